"""Letters to an agency: both languages, words that a creditor may change, and templates that are checked."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from activities.agency_letters import AgencyLetters
from lunas.company import Company
from lunas.receivables.money import Currency, Money
from templates.wording import TemplateError


def placed(letters: AgencyLetters, number: str = "INV/7", contract: str = "K/2026/7") -> tuple[str, str]:
    return letters.placement(
        agency="PT Tagih Santun",
        number=number,
        customer_code="C-0042",
        day=date(2026, 11, 6),
        balance=Money(750_000_050, Currency.IDR),
        contract=contract,
        reference="placement/7",
    )


def recalled(letters: AgencyLetters, theirs: str = "TS-88") -> tuple[str, str]:
    return letters.recall(
        agency="PT Tagih Santun",
        number="INV/7",
        customer_code="C-0042",
        day=date(2026, 11, 20),
        agency_reference=theirs,
        reason="",
        contract="K/2026/7",
        reference="recall/7",
    )


def test_the_letters_say_what_matters_in_both_languages(company: Company) -> None:
    letters = AgencyLetters(company)
    letters.check()
    subject, text = placed(letters)
    assert subject == "Penyerahan penagihan / Placement: INV/7"
    for said in ("Rp 7.500.000,50", "IDR 7,500,000.50", "6 November 2026", "C-0042", "K/2026/7", "placement/7"):
        assert said in text
    assert text.endswith("PT Contoh Niaga\nar@contoh.example, +62 21 555 0100\n")
    assert "\n\n\n" not in text
    assert "Kontrak" not in placed(letters, contract="")[1]

    subject, text = recalled(letters)
    assert subject == "Penarikan kembali / Recall: INV/7"
    for said in ("TS-88", "20 November 2026", "sekarang juga", "at once", "Alasan / Reason: -"):
        assert said in text
    assert "()" not in recalled(letters, theirs="")[1]


def test_data_cannot_break_a_line(company: Company) -> None:
    subject, text = placed(AgencyLetters(company), number="INV/7\r\nBcc: x@evil.example")
    assert "\n" not in subject
    assert "\nBcc:" not in text


def override(root: Path, name: str, source: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    return root


def test_a_creditor_can_word_a_letter_anew(company: Company, tmp_path: Path) -> None:
    source = "{% block subject %}S {{ number }}{% endblock %}{% block message %}M.{% endblock %}"
    letters = AgencyLetters(company, override(tmp_path, "agency/placement.txt", source))
    letters.check()
    subject, text = placed(letters)
    assert subject == "S INV/7"
    assert text.startswith("M.\n\nKontrak / Contract: K/2026/7\nRef: placement/7\n")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{% block subject %}s{% endblock %}", "has no message"),
        ("{% block subject %}s{% endblock %}{% block message %} {% endblock %}", "says nothing in its block message"),
        ("{% block subject %}s{% endblock %}{% block message %}{{ nmuber }}{% endblock %}", "did you mean 'number'"),
        ("{% block subject %}s{% endblock %}{% block message %}{{ x() }}{% endblock %}", "call is not allowed"),
    ],
)
def test_a_bad_template_is_found_at_start_up(company: Company, tmp_path: Path, source: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint) as error:
        AgencyLetters(company, override(tmp_path, "agency/recall.txt", source)).check()
    assert "agency/recall.txt" in str(error.value)
