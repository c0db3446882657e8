"""The loader of policies: checked, with holidays as dates, and errors that name the file."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from lunas.ledger.database import Ledger
from lunas.ledger.policies import policy_under
from lunas.ledger.tables import InvoiceRow
from lunas.policies import SHIPPED, holidays_for, load_policy, policy_for, policy_names
from lunas.receivables.policy import PolicyError
from tests.ledger.samples import add_customer, add_invoice, new_invoice


@pytest.mark.parametrize("name", policy_names())
def test_every_shipped_policy_can_be_followed(name: str) -> None:
    policy = policy_for(name, "Asia/Makassar", 2026)

    assert policy.name == name and policy.calendar.zone_name == "Asia/Makassar"
    assert policy is policy_for(name, "Asia/Makassar", 2026)


def test_the_default_policy_keeps_the_holidays_of_its_country() -> None:
    holidays = policy_for("standard", "Asia/Jakarta", 2026).calendar.holidays

    assert date(2026, 8, 17) in holidays and date(2029, 8, 17) in holidays
    assert date(2026, 3, 20) in holidays  # a day that the government adds to the feast
    assert {day.year for day in holidays} == {2026, 2027, 2028, 2029}


def test_holidays_of_a_part_of_a_country() -> None:
    assert set(holidays_for("US", [2026])) < set(holidays_for("US-CA", [2026]))


@pytest.mark.parametrize("country", ["XX", "US-XX", "Indonesia", ""])
def test_a_country_without_holidays_is_an_error(country: str) -> None:
    with pytest.raises(PolicyError, match="no country"):
        holidays_for(country, [2026])


@pytest.mark.parametrize("name", ["nobody", "../policies/standard", "standard.yaml", ""])
def test_a_policy_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(PolicyError, match="standard"):
        load_policy(name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("name: standard", "name: other"), "policy.name is 'other'"),
        (("holidays: ID", "holidays: XX"), "policy.conduct.holidays"),
        (("day: -14", "day: 14"), "policy.ladder"),
        (("terms: net 30", "terms: [net"), "while parsing"),
        (("terms: net 30", "terms: !!python/object/apply:os.getcwd []"), "could not determine a constructor"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_an_error_with_its_file(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    source = (SHIPPED / "standard.yaml").read_text()
    assert change[0] in source
    file = tmp_path / "standard.yaml"
    file.write_text(source.replace(*change))

    with pytest.raises(PolicyError, match=complaint) as error:
        policy_for("standard", "Asia/Jakarta", 2026, tmp_path)
    assert str(file) in str(error.value)


def test_a_folder_of_ones_own_policies(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text((SHIPPED / "gentle.yaml").read_text().replace("name: gentle", "name: ours"))

    assert policy_names(tmp_path) == ("ours",)
    assert load_policy("ours", tmp_path).terms.net_days == 90


def test_an_edited_file_is_read_again_and_an_untouched_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "standard.yaml"
    file.write_text((SHIPPED / "standard.yaml").read_text())
    before = policy_for("standard", "Asia/Jakarta", 2026, tmp_path)
    assert policy_for("standard", "Asia/Jakarta", 2026, tmp_path) is before
    assert load_policy("standard", tmp_path) is load_policy("standard", tmp_path)

    file.write_text(file.read_text().replace("terms: net 30", "terms: net 45"))
    os.utime(file, ns=(1, 1))  # as another moment, however coarse the file system's clock is
    assert load_policy("standard", tmp_path).terms.net_days == 45
    after = policy_for("standard", "Asia/Jakarta", 2026, tmp_path)
    assert (before.terms.net_days, after.terms.net_days) == (30, 45)


def test_a_file_of_the_same_size_is_told_apart_by_its_moment(tmp_path: Path) -> None:
    file = tmp_path / "standard.yaml"
    source = (SHIPPED / "standard.yaml").read_text()
    for moment, days in enumerate((30, 60), 1):
        file.write_text(source.replace("terms: net 30", f"terms: net {days}"))
        os.utime(file, ns=(moment, moment))
        assert load_policy("standard", tmp_path).terms.net_days == days


def test_a_file_that_is_mended_needs_no_restart(tmp_path: Path) -> None:
    file = tmp_path / "standard.yaml"
    file.write_text("name: [")
    with pytest.raises(PolicyError):
        load_policy("standard", tmp_path)
    file.write_text((SHIPPED / "standard.yaml").read_text())
    assert load_policy("standard", tmp_path).terms.net_days == 30
    file.unlink()
    with pytest.raises(PolicyError, match="does not exist"):
        load_policy("standard", tmp_path)


async def test_an_edit_changes_new_invoices_only(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "standard.yaml"
    file.write_text((SHIPPED / "standard.yaml").read_text())
    await add_customer(ledger)
    await add_invoice(ledger, new_invoice("INV-1"), policy_for("standard", "Asia/Jakarta", 2026, tmp_path))
    file.write_text(file.read_text().replace("promise_grace: 2", "promise_grace: 5"))
    await add_invoice(ledger, new_invoice("INV-2"), policy_for("standard", "Asia/Jakarta", 2026, tmp_path))
    async with ledger.read() as session:
        graces = [
            (await policy_under(session, row.policy_digest)).patience.promise_grace
            for row in await session.scalars(select(InvoiceRow).order_by(InvoiceRow.number))
        ]
    assert graces == [2, 5]
