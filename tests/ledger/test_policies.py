"""The loader of policies: checked, with holidays as dates, and errors that name the file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from lunas.policies import SHIPPED, holidays_for, load_policy, policy_for, policy_names
from lunas.receivables.policy import PolicyError


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
