"""Letters to a collection agency in words: one letter in both languages, for it may be read in either."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TypedDict

from activities.notice_fields import shape_of
from activities.rendering import CheckedLoader, environment_for, run, say
from lunas.company import Company
from lunas.receivables.money import Currency, Money
from templates.creditor import CompanyFields, company_fields
from templates.wording import TemplateError, amount, load_words, long_date, readable, roots_of

_LAYOUT = "agency/layout.txt"
_BLOCKS = ("subject", "message")


class AgencyFields(TypedDict):
    """What wording may speak of; dates and amounts are written out in both languages."""

    company: CompanyFields
    agency: str
    number: str
    customer_code: str
    day_id: str
    day_en: str
    balance_id: str  # of a placement; empty in a recall
    balance_en: str
    agency_reference: str  # what the agency calls it; may be empty, as the reason is in a placement
    reason: str
    contract: str
    reference: str


class LayoutFields(AgencyFields):
    """What the layout speaks of besides: the words it is put around."""

    message: str


class AgencyLetters:
    """Words letters for one creditor; files below `override` replace shipped ones of the same name.

    Its methods raise TemplateError where a template is missing or wrong.
    """

    def __init__(self, company: Company, override: Path | None = None) -> None:
        roots = roots_of(override)
        self._company = company_fields(company, load_words("id", roots)["mail"])
        wording, layout = shape_of(AgencyFields, frozenset()), shape_of(LayoutFields, frozenset())
        loader = CheckedLoader(roots, lambda name: layout if name == _LAYOUT else wording)
        # In wording a blank line parts paragraphs, also after a tag; the layout is laid out for whoever edits it.
        self._wordings = environment_for(loader, trim=False)
        self._layouts = environment_for(loader, trim=True)

    def placement(
        self,
        *,
        agency: str,
        number: str,
        customer_code: str,
        day: date,
        balance: Money,
        contract: str,
        reference: str,
    ) -> tuple[str, str]:
        """Subject and text of the letter that hands an invoice over; `reference` names the placement."""
        fields = self._fields(agency, number, customer_code, day, contract, reference)
        fields["balance_id"], fields["balance_en"] = amount(balance, "id"), amount(balance, "en")
        return self._letter("agency/placement.txt", fields)

    def recall(
        self,
        *,
        agency: str,
        number: str,
        customer_code: str,
        day: date,
        agency_reference: str,
        reason: str,
        contract: str,
        reference: str,
    ) -> tuple[str, str]:
        """Subject and text of the letter that takes an invoice back."""
        fields = self._fields(agency, number, customer_code, day, contract, reference)
        fields["agency_reference"], fields["reason"] = readable(agency_reference, 80), readable(reason) or "-"
        return self._letter("agency/recall.txt", fields)

    def check(self) -> None:
        """Write both letters with sample data: at start-up, so that nothing is found wrong when a placement is due."""
        day = date(2026, 11, 20)
        for theirs in ("", "TS-88"):
            self.placement(
                agency="PT Tagih Santun",
                number="INV/2026/11/0042",
                customer_code="C-0042",
                day=day,
                balance=Money(1_250_000_000, Currency.IDR),
                contract="K/2026/7" if theirs else "",
                reference="placement/7",
            )
            self.recall(
                agency="PT Tagih Santun",
                number="INV/2026/11/0042",
                customer_code="C-0042",
                day=day,
                agency_reference=theirs,
                reason="paid",
                contract="K/2026/7" if theirs else "",
                reference="recall/7",
            )

    def _fields(
        self, agency: str, number: str, customer_code: str, day: date, contract: str, reference: str
    ) -> AgencyFields:
        return {
            "company": self._company,
            "agency": readable(agency),
            "number": readable(number, 64),
            "customer_code": readable(customer_code, 64),
            "day_id": long_date(day, "id"),
            "day_en": long_date(day, "en"),
            "balance_id": "",
            "balance_en": "",
            "agency_reference": "",
            "reason": "",
            "contract": readable(contract, 80),
            "reference": readable(reference),
        }

    def _letter(self, name: str, fields: AgencyFields) -> tuple[str, str]:
        template = run(name, lambda: self._wordings.get_template(name))
        for block in _BLOCKS:
            if block not in template.blocks:
                raise TemplateError(f"{name} has no {block}: add {{% block {block} %}}…{{% endblock %}}")
        subject = readable(say(name, template, "subject", fields))
        message = say(name, template, "message", fields).strip()
        if not subject or not message:
            raise TemplateError(f"{name} says nothing in its block {'message' if subject else 'subject'}")
        layout = run(_LAYOUT, lambda: self._layouts.get_template(_LAYOUT))
        return subject, run(_LAYOUT, lambda: layout.render({**fields, "message": message})).strip() + "\n"
