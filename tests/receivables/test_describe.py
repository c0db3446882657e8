"""The printed lifecycle: complete, and made of the table itself."""

from __future__ import annotations

import re

import pytest

from lunas.receivables.describe import diagram, event_words, moves, table
from lunas.receivables.invoice import OWN_CHASING, Stage
from lunas.receivables.lifecycle import GROUPS, IGNORED, REFUSED, TABLE, Back
from lunas.receivables.words import doc_words, event_name, name_words

SECTIONS = {part.split("\n", 1)[0]: part for part in table().split("### ")[1:]}
EDGE = re.compile(r"^ +(?P<was>\w+) --> (?P<becomes>\w+): (?P<events>.+)$", re.MULTILINE)


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_line_of_the_table_is_printed_in_its_order() -> None:
    printed = [row for section in list(SECTIONS)[:5] for row in rows(section)]
    assert len(printed) == len(TABLE)
    for rule in TABLE:
        effects = "; ".join(map(doc_words, rule.we))
        same = [row for row in printed if row[:2] == [GROUPS[rule.when], event_words(rule.event)]]
        assert any(row[4] == (effects or "–") for row in same), rule.name
        if rule.given is not None:
            assert any(row[2] == doc_words(rule.given) for row in same), rule.name
        if isinstance(rule.becomes, Stage):
            assert any(row[3] != "–" for row in same), rule.name


def test_a_line_after_a_condition_says_otherwise() -> None:
    assert [row[2] for row in rows("Time: the ladder") if row[1] == "a reminder falls due"] == [
        "it leaves the contact budget to what follows it within 7 days",
        "otherwise",
    ]


def test_what_is_ignored_and_refused_is_printed_with_its_reason() -> None:
    assert [row[2] for row in rows("What changes nothing")] == [why for _, _, why in IGNORED]
    assert [row[2] for row in rows("What is refused")] == [why for _, _, why in REFUSED]


def test_every_cell_is_filled_on_purpose() -> None:
    for section in SECTIONS:
        for row in rows(section):
            assert len(row) in (3, 5)
            assert all(cell for place, cell in enumerate(row) if place != 2)


def edges() -> set[tuple[Stage, Stage, str]]:
    """The diagram's arrows, those of the box "with us" taken apart."""
    found = set()
    for edge in EDGE.finditer(diagram()):
        was = OWN_CHASING if edge["was"] == "with_us" else {Stage(edge["was"])}
        becomes = OWN_CHASING if edge["becomes"] == "with_us" else {Stage(edge["becomes"])}
        found |= {(a, b, event) for a in was for b in becomes for event in edge["events"].split(" / ")}
    return found


def test_the_diagram_shows_every_move_and_no_other() -> None:
    expected = {
        (was, becomes, name_words(event_name(event))) for (was, becomes), events in moves().items() for event in events
    }
    assert edges() == expected
    for rule in TABLE:
        if isinstance(rule.becomes, Stage):
            drawn = {(was, rule.becomes, name_words(event_name(rule.event))) for was in rule.when - {rule.becomes}}
            assert drawn <= expected
        if isinstance(rule.becomes, Back):
            assert {was for was, _, event in expected if event == name_words(event_name(rule.event))} >= rule.when


@pytest.mark.parametrize("stage", Stage)
def test_the_diagram_names_every_stage(stage: Stage) -> None:
    assert re.search(rf"\b{stage}\b", diagram())
    assert (f"    {stage} --> [*]" in diagram()) is stage.is_closed
