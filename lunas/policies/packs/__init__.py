"""Packs: what the law says of late payment somewhere, as dated data in YAML files, read once a process.

Rates become known only half-year by half-year, so an invoice carries its pack's name and not its rates.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lunas.receivables.interest import FeeStep, LatePayment, Mode, Pack, Rate
from lunas.receivables.money import Currency
from lunas.receivables.policy import PolicyError
from lunas.receivables.terms import percent

_FOLDER = Path(__file__).parent
_Percent = Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,3})?$")]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reference(_Written):
    since: date = Field(alias="from")
    percent: _Percent


class _Fee(_Written):
    from_minor: int = Field(ge=0)
    minor: int = Field(gt=0)


class _File(_Written):
    name: str
    title: str
    currency: Currency
    year_days: Literal[360, 365]
    rate: Literal["by_the_day", "fixed_at_start"] = "by_the_day"
    by_contract: bool = False
    points_over_reference: _Percent
    reference: list[_Reference] = Field(min_length=1)
    known_to: date | None = None
    fees: list[_Fee] = []

    def pack(self) -> Pack:
        points = percent(self.points_over_reference)
        rates = [Rate(one.since, points + percent(one.percent)) for one in self.reference]
        if self.known_to is not None:
            rates.append(Rate(self.known_to + timedelta(days=1), None))
        days = [rate.since for rate in rates]
        if days != sorted(set(days)):
            raise PolicyError(f"pack {self.name}: the days of its rates must ascend, up to known_to")
        return Pack(
            name=self.name,
            title=self.title,
            currency=self.currency,
            year_days=self.year_days,
            rates=tuple(rates),
            fees=tuple(FeeStep(fee.from_minor, fee.minor) for fee in self.fees),
            fixed_at_start=self.rate == "fixed_at_start",
            by_contract=self.by_contract,
        )


def pack_names() -> tuple[str, ...]:
    """The packs that a policy may name."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


@lru_cache
def pack(name: str) -> Pack:
    """The pack of that name; raises PolicyError for one that there is not, or that cannot be read."""
    if name not in pack_names():
        raise PolicyError(f"pack: {name!r} is no pack of late-payment rules: there are {', '.join(pack_names())}")
    file = _FOLDER / f"{name}.yaml"
    try:
        return _File.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).pack()
    except (ValidationError, yaml.YAMLError) as error:
        raise PolicyError(f"{file}: {error}") from error


def check_late_payment(rules: LatePayment) -> None:
    """Raise PolicyError where a policy says of late payment what its pack does not allow."""
    found = pack(rules.pack)
    if found.by_contract and rules.interest is Mode.CLAIM and not rules.rates:
        raise PolicyError(
            f"interest: pack {found.name} leaves interest to the contract, and its own rate is only shown: "
            "to claim it, name the rate that was agreed on in `rates`, or write `interest: show`"
        )
