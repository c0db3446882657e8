"""The creditor, as messages, letters and documents name it."""

from __future__ import annotations

from typing import TypedDict

from lunas.company import Company
from templates.wording import Section, filled, readable, readable_lines

_LEGAL_FORMS = frozenset({"PT", "CV", "UD", "FA", "PD", "KOPERASI", "YAYASAN"})


class CompanyFields(TypedDict):
    """The creditor."""

    name: str
    initial: str
    address: str
    email: str
    phone: str
    tax_id: str  # a phrase, or empty


def company_fields(company: Company, words: Section) -> CompanyFields:
    """The creditor, each field on one line."""
    name = readable(company.name)
    known = [word for word in name.split() if word.rstrip(".").upper() not in _LEGAL_FORMS]
    return {
        "name": name,
        "initial": (known or [name])[0][:1].upper(),
        "address": ", ".join(line.rstrip(",") for line in readable_lines(company.postal_address)),
        "email": readable(company.email),
        "phone": readable(company.phone),
        "tax_id": filled(words["tax_id"], number=readable(company.tax_id)) if company.tax_id else "",
    }
