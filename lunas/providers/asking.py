"""What we ask of payment providers, in one language for all of them; and what may become of a request.

    ProviderError
    ├── Unreachable    nothing of the request was written: nothing was done, ask again
    ├── Refused        the provider said no: nothing was done; `code` is its own word for why
    │   └── Taken      our reference stands for an instrument that it has already
    └── Silent         it was written, and no answer tells what became of it: ask again with the same reference

A provider's own words may quote the payer: errors carry codes, never texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import httpx2

from lunas.providers import bodies, events
from lunas.providers.events import Malformed
from lunas.receivables.money import Currency, Money

# What httpx2 raises before the first byte of a request is written. After any other failure the request may have been
# carried out.
_NOTHING_WRITTEN = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_NOT_A_CODE = re.compile(r"[^A-Za-z0-9_.-]+")
#: A proxy in front of the provider, or a limit on requests: the provider itself has not seen this one.
_NOT_SEEN = frozenset({429})
_PATIENCE = httpx2.Timeout(10.0, connect=3.0)


class ProviderError(Exception):
    """A provider did not do what it was asked, or is not known to have done it."""


class Unreachable(ProviderError):
    """The provider could not be spoken to; nothing was done, for certain."""


class Silent(ProviderError):
    """No answer tells whether it was done. Asking again with the same reference makes no second instrument."""


class Refused(ProviderError):
    """The provider said no, and nothing was done. `code` is its own, or the HTTP status where it gave none."""

    def __init__(self, provider: str, status: int, code: str) -> None:
        self.status = status
        self.code = _NOT_A_CODE.sub("_", code)[:80] or str(status)
        super().__init__(f"{provider} refused: {self.code} (HTTP {status})")


class Taken(Refused):
    """Our reference stands for an instrument already: the answer to an earlier request was lost."""


class State(StrEnum):
    """How an instrument stands at its provider."""

    OPEN = "open"  # it can be paid
    PAID = "paid"
    ENDED = "ended"  # expired, cancelled or failed: it takes no money


@dataclass(frozen=True, slots=True)
class Wish:
    """The instrument that is wanted: payable once, with exactly `amount`, until `expires_at`.

    `reference` is our own name for it; a wish with the same reference is the same wish. `label` says what is paid, as
    the payer sees it (an invoice's number); `name` is whose account it is, where the provider shows one. The same wish
    is asked for in the same words, for providers compare them: nothing in it depends on when it is asked.
    """

    reference: str
    amount: Money
    expires_at: datetime
    label: str
    name: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument as its provider has it: `id` is the provider's name for it.

    `number` is a virtual account's, `qr` what a QR code says, `url` a page to pay on.
    """

    id: str
    state: State
    number: str | None = None
    qr: str | None = None
    url: str | None = None
    expires_at: datetime | None = None


def provider_client() -> httpx2.AsyncClient:
    """A client fit for providers: a connection that may have been lost while it lay idle is never used again."""
    return httpx2.AsyncClient(
        limits=httpx2.Limits(max_connections=20, max_keepalive_connections=0), timeout=_PATIENCE, follow_redirects=False
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered: its HTTP status and the JSON object of its body."""

    status: int
    said: bodies.Document

    @property
    def is_success(self) -> bool:
        """Whether the HTTP status says yes; some providers say no in the body alone."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Caller:
    """One provider's address: requests to it are made here, and failures named. `provider` stands in errors."""

    http: httpx2.AsyncClient
    provider: str
    base_url: str
    auth: httpx2.Auth | None = None

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise ValueError(f"the address of {self.provider} is {self.base_url!r}: expected https://…")

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer of `path`, whether it is a yes or a no; raises Unreachable or Silent."""
        request = self.http.build_request(
            method,
            self.base_url.rstrip("/") + path,
            json=json,
            data=dict(form) if form is not None else None,
            content=content,
            headers={"Accept": "application/json", **(headers or {})},
        )
        try:
            answer = await self.http.send(request, auth=self.auth or httpx2.USE_CLIENT_DEFAULT)
        except _NOTHING_WRITTEN as error:
            raise Unreachable(f"{self.provider} cannot be reached: {type(error).__name__}") from error
        except httpx2.TransportError as error:
            raise Silent(f"{self.provider} gave no answer: {type(error).__name__}") from error
        if answer.status_code in _NOT_SEEN:
            raise Unreachable(f"{self.provider} takes no more requests for now: HTTP {answer.status_code}")
        if answer.status_code >= 500:
            raise Silent(f"{self.provider} answered HTTP {answer.status_code}")
        try:
            return Answer(answer.status_code, bodies.read(answer.content) if answer.content else {})
        except Malformed as error:
            if answer.is_success:
                raise Silent(f"{self.provider} answered what cannot be read: {error}") from None
            return Answer(answer.status_code, {})


def word(said: bodies.Document, *names: str) -> str | None:
    """The first of these fields that holds a text or a number."""
    for name in names:
        found = said.get(name)
        if isinstance(found, str) and found.strip():
            return found.strip()
        if type(found) is int:
            return str(found)
    return None


def moment(said: bodies.Document, name: str) -> datetime | None:
    """The aware moment in ISO 8601 under that name; None where it is missing or cannot be read."""
    try:
        found = datetime.fromisoformat(word(said, name) or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


async def found_at(caller: Caller, path: str, headers: Mapping[str, str] | None = None) -> bodies.Document | None:
    """What a GET finds there, for a payment that is to be confirmed; None where the provider knows nothing of it.

    Raises the Unreachable of `lunas.providers.events` where that is not certain.
    """
    try:
        answer = await caller.call("GET", path, headers=headers)
    except ProviderError as error:
        raise events.Unreachable(str(error)) from error
    if answer.is_success:
        return answer.said
    if answer.status == 404:
        return None
    raise events.Unreachable(f"{caller.provider} answered HTTP {answer.status} to the question for a payment")


def whole_units(provider: str, amount: Money) -> int:
    """The amount in whole major units, as a provider wants it; raises Refused for an amount that has a fraction."""
    unit = int(10**amount.currency.exponent)
    if amount.minor % unit:
        raise Refused(provider, 0, "AMOUNT_HAS_A_FRACTION")
    return amount.minor // unit


def decimal_text(amount: Money) -> str:
    """The amount in major units with two places, as SNAP writes it: `10000.00`."""
    return f"{amount.major:.2f}"


def rupiah_only(provider: str, amount: Money) -> None:
    """Raises Refused for another currency than the rupiah, before anything is asked."""
    if amount.currency is not Currency.IDR:
        raise Refused(provider, 0, "ONLY_RUPIAH")
