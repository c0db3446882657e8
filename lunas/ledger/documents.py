"""Documents that the ledger keeps whole, as JSON: resolved policies and the state of a closed invoice."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import TypeAdapter

from lunas.receivables.invoice import InvoiceState
from lunas.receivables.policy import Policy

_POLICY = TypeAdapter(Policy)
_STATE = TypeAdapter(InvoiceState)


def policy_text(policy: Policy) -> str:
    """The policy as its one canonical text."""
    return _POLICY.dump_json(policy).decode()


def read_policy(text: str) -> Policy:
    """The policy again."""
    return _POLICY.validate_json(text)


def state_text(state: InvoiceState) -> str:
    """The state of an invoice as text."""
    return _STATE.dump_json(state).decode()


def read_state(text: str) -> InvoiceState:
    """The state again. Fields added since it was stored have their defaults."""
    return _STATE.validate_json(text)


def digest(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def body_digest(**fields: Any) -> str:
    """A digest of what a request says, whatever the order of its fields; dates and enums count as their text."""
    return digest(json.dumps(fields, sort_keys=True, default=str, ensure_ascii=False))
