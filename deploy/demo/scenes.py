"""What happens to each invoice of the demo: a few steps each, so that every stage and hold is to be seen afterwards.

Days count from the due date, in the invoice's own calendar; the fictional customers are in invoices.csv.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class LiveUntil:
    """Time passes until noon of so many days after the due date (before it: negative)."""

    day: int


@dataclass(frozen=True, slots=True)
class Pays:
    """Money comes in: this share of what is open, by the bank or by one of the other ways."""

    share: Fraction = Fraction(1)
    provider: str = "bca"


@dataclass(frozen=True, slots=True)
class PaymentBounces:
    """The last payment goes back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Promises:
    """The customer promises to pay all of it within so many days."""

    days: int


@dataclass(frozen=True, slots=True)
class Disputes:
    """The customer says that the bill is wrong, by this share of what is open (None: wholly)."""

    reason: str
    share: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Resolves:
    """The dispute is decided."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pauses:
    """Staff sends nothing for so many days."""

    days: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decides:
    """A person decides about the agency."""

    by: str
    approve: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AgencyReports:
    """The agency acknowledges the placement, or gives it back."""

    word: str


@dataclass(frozen=True, slots=True)
class Recalls:
    """Staff takes it back from the agency."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class GetsCreditNote:
    """A credit note takes this share of what is open off."""

    reason: str
    share: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class AsksForAnotherWay:
    """The customer cannot pay in the agreed way."""


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """Staff books it as a loss."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Staff stops collecting what should never have been billed."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeldForCredit:
    """Credit must be approved before anything is sent."""

    by: str
    reason: str


#: What is asked of a workflow, and may be refused.
Ask = Promises | Disputes | Resolves | Pauses | Decides | Recalls | WrittenOff | Cancelled | HeldForCredit
Step = Ask | LiveUntil | Pays | PaymentBounces | GetsCreditNote | AgencyReports | AsksForAnotherWay

_HALF, _THIRD = Fraction(1, 2), Fraction(1, 3)

# fmt: off
SCENES: dict[str, tuple[Step, ...]] = {
    # -- before and around the due date
    "FJ-1001": (),
    "FJ-1002": (LiveUntil(-4),),
    "FJ-1003": (LiveUntil(-22), Pays(Fraction(98, 100))),
    "FJ-1004": (LiveUntil(0),),
    "FJ-1027": (LiveUntil(-13),),
    "FJ-1028": (HeldForCredit("Sari", "batas kredit terlampaui"),),
    "FJ-1035": (LiveUntil(-13),),
    "FJ-1036": (LiveUntil(-20), Cancelled("Sari", "ditagih dua kali")),
    # -- followed up
    "FJ-1005": (LiveUntil(4),),
    "FJ-1006": (LiveUntil(8), Pays(_HALF)),
    "FJ-1008": (LiveUntil(3), Promises(5), LiveUntil(20)),
    "FJ-1010": (LiveUntil(3), Disputes("jumlah hari sewa keliru", _THIRD), LiveUntil(9),
                Resolves("rejected", "berita acara sudah ditandatangani"), LiveUntil(20)),
    "FJ-1025": (LiveUntil(8),),
    "FJ-1029": (LiveUntil(2), Pays(_HALF), LiveUntil(9), Pays()),
    "FJ-1030": (LiveUntil(5), Pays(), PaymentBounces("transfer ditolak bank"), LiveUntil(9)),
    "FJ-1032": (LiveUntil(22),),
    # -- on hold
    "FJ-1007": (LiveUntil(15), Promises(7)),
    "FJ-1009": (LiveUntil(8), Disputes("sepuluh palet retak")),
    "FJ-1015": (LiveUntil(2), Pauses(21, "bagian keuangan sedang pindah kantor")),
    "FJ-1017": (LiveUntil(112),),
    # -- nobody answers, or nobody is there
    "FJ-1011": (LiveUntil(25),),
    "FJ-1012": (LiveUntil(22),),
    "FJ-1021": (LiveUntil(1),),
    "FJ-1022": (LiveUntil(-9),),
    "FJ-1031": (LiveUntil(1),),
    # -- another way to pay
    "FJ-1013": (LiveUntil(38),),
    "FJ-1014": (LiveUntil(37), Pays(provider="va-demo")),
    "FJ-1016": (LiveUntil(60),),
    "FJ-1024": (LiveUntil(10), AsksForAnotherWay(), LiveUntil(12)),
    # -- the agency
    "FJ-1018": (LiveUntil(112), Decides("Bu Lina", True, "tiga bulan tanpa kabar"), LiveUntil(114),
                AgencyReports("acknowledged")),
    "FJ-1019": (LiveUntil(112), Decides("Bu Lina", True, "janji diingkari"), LiveUntil(120), Pays()),
    "FJ-1020": (LiveUntil(112), Decides("Bu Lina", True, "sudah tiga kali ditagih"), LiveUntil(118),
                Recalls("Bu Lina", "pelanggan menghubungi kami"), LiveUntil(125)),
    "FJ-1033": (LiveUntil(130),),
    "FJ-1034": (LiveUntil(112), Decides("Bu Lina", False, "pelanggan lama, ditagih sendiri"), LiveUntil(125)),
    # -- ends without payment
    "FJ-1023": (LiveUntil(60), WrittenOff("Bu Lina", "usaha pelanggan tutup")),
    "FJ-1026": (LiveUntil(5), GetsCreditNote("goods returned")),
}
# fmt: on
