"""What the simulator remembers: the instruments that were made, in memory and, if wished, in a file."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

#: How an instrument stands.
OPEN, PAID, ENDED = "open", "paid", "ended"


@dataclass(slots=True)
class Paper:
    """One instrument. `minor` is its amount in hundredths; `kind` is virtual_account, qris, link or card.

    `reference` is the name that whoever asked for it gave it; `payment` the provider's name of the payment on it.
    """

    id: str
    provider: str
    kind: str
    reference: str
    minor: int
    currency: str
    label: str
    name: str
    expires_at: str
    bank: str = ""
    number: str = ""
    qr: str = ""
    state: str = OPEN
    payment: str = ""
    paid_at: str = ""
    channel: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def major(self) -> str:
        """The amount with two places: `10000.00`."""
        return f"{self.minor // 100}.{self.minor % 100:02d}"

    def standing(self, now: datetime) -> str:
        """How it stands now: what is open ends when its time is over."""
        if self.state == OPEN and self.expires_at and datetime.fromisoformat(self.expires_at) <= now:
            return ENDED
        return self.state

    def pay(self, now: datetime) -> None:
        """Take the money, once."""
        if self.standing(now) != OPEN:
            raise ValueError(f"{self.id} is {self.standing(now)}: it takes no money")
        self.state, self.paid_at = PAID, now.isoformat()
        self.payment = self.payment or f"py-{secrets.token_hex(12)}"


class Store:
    """All instruments. With a `path` they are kept in that file, and are there again after a restart."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._papers: dict[str, Paper] = {}
        self._answers: dict[str, str] = {}
        if path is not None and path.exists():
            kept = json.loads(path.read_text("utf-8"))
            self._papers = {each["id"]: Paper(**each) for each in kept["papers"]}
            self._answers = dict(kept["answers"])

    def add(self, paper: Paper, key: str | None = None) -> Paper:
        """Keep a new one; `key` is the idempotency key under which it was asked for."""
        self._papers[paper.id] = paper
        if key:
            self._answers[f"{paper.provider}/{key}"] = paper.id
        self.keep()
        return paper

    def made_under(self, provider: str, key: str | None) -> Paper | None:
        """What was made under an idempotency key before."""
        return self._papers.get(self._answers.get(f"{provider}/{key}", "")) if key else None

    def get(self, id_: str) -> Paper | None:
        """The one of that id."""
        return self._papers.get(id_)

    def find(self, provider: str, *, reference: str = "", number: str = "", payment: str = "") -> Paper | None:
        """The newest one of a provider with that reference, number or payment."""
        for paper in reversed(self._papers.values()):
            if paper.provider == provider and (
                (reference and paper.reference == reference)
                or (number and paper.number == number)
                or (payment and paper.payment == payment)
            ):
                return paper
        return None

    def search(self, words: str) -> Iterator[Paper]:
        """Newest first; those whose number, label or reference has the words in it, blanks aside."""
        wanted = words.replace(" ", "").lower()
        for paper in reversed(self._papers.values()):
            if any(wanted in each.replace(" ", "").lower() for each in (paper.number, paper.label, paper.reference)):
                yield paper

    def keep(self) -> None:
        """Write everything down, whole or not at all."""
        if self._path is None:
            return
        partial = self._path.with_suffix(".partial")
        kept = {"papers": [asdict(each) for each in self._papers.values()], "answers": self._answers}
        partial.write_text(json.dumps(kept), "utf-8")
        partial.replace(self._path)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
