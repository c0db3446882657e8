"""The README tells the truth about the life of an invoice, and its pictures and links are there."""

from __future__ import annotations

import re

from tests.journeys.readme import README, with_lifecycle


def test_the_life_of_an_invoice_is_the_tables() -> None:
    text = README.read_text()
    assert text == with_lifecycle(text), "write it anew with: python -m tests.journeys.readme"


def test_what_it_links_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    missing = [target for target in targets if not target.startswith("http") and not (README.parent / target).exists()]
    assert targets
    assert missing == []
