"""What the routes work with: one object, made by the composition root and found by every route."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, cast

from fastapi import Depends, Request

from api.errors import FieldError, Kind, Problem
from api.metrics import Metrics
from api.nudges import Nudges
from api.temporal import Temporal
from lunas.intake import Intake
from lunas.ledger.database import Ledger
from lunas.policies import load_policy, policy_for, policy_names
from lunas.receivables.policy import Policy, PolicyFile
from lunas.settings import Settings
from workflows.waking import Waker


@dataclass(frozen=True)
class PolicyShelf:
    """The policies that invoices may be given: the shipped ones, and those of a folder, which win by name."""

    default: str
    folder: Path | None = None

    def names(self) -> tuple[str, ...]:
        """Every policy's name, in order."""
        own = policy_names(self.folder) if self.folder else ()
        return tuple(sorted({*own, *policy_names()}))

    def file(self, name: str) -> PolicyFile:
        """The policy as written; raises a 422 problem for an unknown name, PolicyError for a file with a fault."""
        return load_policy(self._known(name, "body"), self._folder_of(name))

    def resolved(self, name: str, zone: str, issued_on: date, *, where: Literal["body", "query"] = "body") -> Policy:
        """The copy for an invoice of a customer in that zone; raises as `file` does, and `where` the name stood."""
        return policy_for(self._known(name, where), zone, issued_on.year, self._folder_of(name))

    def _known(self, name: str, where: Literal["body", "query"]) -> str:
        if name in self.names():
            return name
        detail = f"there is no policy of that name: there are {', '.join(self.names())}"
        raise Problem(Kind.INVALID, detail, errors=[FieldError(where=where, pointer="/policy", detail=detail)])

    def _folder_of(self, name: str) -> Path | None:
        return self.folder if self.folder and name in policy_names(self.folder) else None


@dataclass(frozen=True)
class Services:
    """Settings, the ledger, Temporal, and what is made of them."""

    settings: Settings
    ledger: Ledger
    temporal: Temporal
    nudges: Nudges
    policies: PolicyShelf
    metrics: Metrics
    waker: Waker
    intake: Intake


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


House = Annotated[Services, Depends(_services)]
