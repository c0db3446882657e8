"""The shipped policies, and the loader of any: a YAML file in, a checked policy out, holidays resolved to dates.

A file that was edited is read again by the next invoice; those that were issued before keep the copy they carry.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path

import holidays as holiday_calendars
import yaml

from lunas.policies.packs import check_late_payment
from lunas.receivables.policy import Policy, PolicyError, PolicyFile, parse_policy

SHIPPED = Path(__file__).parent

#: When a file was last written, in nanoseconds, and its size in bytes.
Stamp = tuple[int, int]

#: Kinds of holiday on which nobody is dunned, where a country's calendar knows them.
_CATEGORIES = ("public", "government")
#: A policy carries the holidays of so many years from the one it is resolved in.
_YEARS = 4


def load_policy(name: str, folder: Path | None = None) -> PolicyFile:
    """The policy `<name>.yaml` of the folder (None: the shipped ones), checked.

    Raises PolicyError, which names the file, where there is none or it cannot be followed.
    """
    folder = (folder or SHIPPED).resolve()
    return _load(name, folder, _stamp(name, folder))


def policy_names(folder: Path | None = None) -> tuple[str, ...]:
    """The names of the policies in the folder (None: the shipped ones), in order."""
    return tuple(sorted(file.stem for file in (folder or SHIPPED).glob("*.yaml")))


def policy_for(name: str, zone: str, year: int, folder: Path | None = None) -> Policy:
    """The copy of the policy that an invoice issued in `year` carries, for a customer in that time zone.

    Its holidays reach three years beyond `year`. Raises PolicyError.
    """
    folder = (folder or SHIPPED).resolve()
    return _resolve(name, zone, year, folder, _stamp(name, folder))


def holidays_for(country: str, years: Iterable[int]) -> tuple[date, ...]:
    """The dates on which nobody is dunned in the country (`ID`; a part of one is `US-CA`), ascending.

    Raises PolicyError for a country whose holidays nobody has written down.
    """
    return _holidays(country, tuple(sorted(set(years))))


def _stamp(name: str, folder: Path) -> Stamp | None:
    """What tells one state of the file from another; None where there is no such file."""
    try:
        found = (folder / f"{name}.yaml").stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=64)
def _load(name: str, folder: Path, stamp: Stamp | None) -> PolicyFile:
    """The file as it was at `stamp`, which is only there to have another state read anew. Errors are not kept."""
    file = folder / f"{name}.yaml"
    if name not in policy_names(folder):
        known = ", ".join(policy_names(folder)) or "none"
        raise PolicyError(f"there is no policy {name!r}: {file} does not exist; there are {known}")
    try:
        policy = parse_policy(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (PolicyError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyError(f"{file}: {error}") from error
    if policy.late_payment is not None:
        try:
            check_late_payment(policy.late_payment)
        except PolicyError as error:
            raise PolicyError(f"{file}: policy.late_payment.{error}") from error
    if policy.name != name:
        raise PolicyError(f"{file}: policy.name is {policy.name!r}: give it the name of its file, {name!r}")
    return policy


@lru_cache(maxsize=256)
def _resolve(name: str, zone: str, year: int, folder: Path, stamp: Stamp | None) -> Policy:
    policy = _load(name, folder, stamp)
    if policy.holidays is None:
        return policy.for_customer(zone)
    try:
        closed = holidays_for(policy.holidays, range(year, year + _YEARS))
    except PolicyError as error:
        raise PolicyError(f"{folder / name}.yaml: policy.conduct.holidays: {error}") from error
    return policy.for_customer(zone, closed)


@lru_cache(maxsize=256)
def _holidays(country: str, years: tuple[int, ...]) -> tuple[date, ...]:
    code, _, part = country.partition("-")
    supported = holiday_calendars.list_supported_countries()
    if part not in ("", *supported.get(code, ())) or code not in supported:
        raise PolicyError(
            f"{country!r} is no country whose holidays are known: write a code such as ID, or US-CA for a part"
        )
    offered = holiday_calendars.country_holidays(code).supported_categories
    wanted = tuple(category for category in _CATEGORIES if category in offered)
    return tuple(sorted(holiday_calendars.country_holidays(code, part or None, years=years, categories=wanted)))
