"""Every scene is told as its golden file has it: a day, a word or an order that changes is seen by a person."""

from __future__ import annotations

import pytest

from tests.journeys.scenes import GOLDEN, SCENES, tell


@pytest.mark.parametrize("name", SCENES)
def test_a_life_is_lived_as_it_was_told(name: str) -> None:
    file = GOLDEN / f"{name}.txt"
    assert file.exists(), "write it with: python -m tests.journeys"
    told = file.read_text(encoding="utf-8")
    assert tell(name) == told, "if the change is meant: python -m tests.journeys, and read the difference"


def test_no_golden_file_is_left_behind() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(SCENES)
