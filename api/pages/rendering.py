"""Pages from templates: no script, nothing from elsewhere, kept by nobody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lunas.company import Company
from templates.wording import LANGUAGES, load_words, roots_of

#: The link is a secret: it is stored nowhere, told to no other site, found by no search, and framed by nobody.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class Pages:
    """Renders templates for one creditor; files below `override` replace shipped ones."""

    def __init__(self, company: Company, override: Path | None = None) -> None:
        roots = roots_of(override)
        self._company = company
        self.words = {language: load_words(language, roots) for language in LANGUAGES}
        self._templates = Environment(
            loader=FileSystemLoader([root / "pages" for root in roots]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def html(self, name: str, language: str, *, status: int = 200, **fields: Any) -> Response:
        """A page; `words` are those of pages, `forms` those of forms."""
        company = {
            "name": self._company.name,
            "initial": next((c for c in self._company.name.removeprefix("PT ") if c.isalnum()), "L"),
            "phone": self._company.phone,
            "dial": re.sub(r"[^\d+]", "", self._company.phone),
            "email": self._company.email,
            "write": f"mailto:{quote(self._company.email, safe='@')}?subject={quote(fields.get('subject', ''))}",
        }
        words = self.words[language]
        shown = {"query": "", "base": "", "again": "", **fields}
        page = self._templates.get_template(name).render(
            language=language, words=words["page"], forms=words["forms"], company=company, **shown
        )
        return HTMLResponse(page, status_code=status, headers=HEADERS)
