"""What a message's links lead to: how to pay one invoice, and how to stop messages on a channel.

A link shows one invoice and nothing else of its customer. A GET never changes anything: mail scanners follow links.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lunas.company import Company
from lunas.ledger.customers import contacts_of, customer_by_code, opt_out
from lunas.ledger.database import Ledger
from lunas.ledger.errors import NotFound
from lunas.ledger.views import invoice_view, lines_of
from lunas.links import LinkError, Links, Purpose, unsubscribe_subject
from lunas.receivables.calendar import zone
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Money
from templates import ROOT
from templates.wording import amount, filled, load_words, long_date

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class CustomerPages:
    """Renders the pages for one creditor, from one ledger."""

    def __init__(self, ledger: Ledger, company: Company, links: Links) -> None:
        self._ledger = ledger
        self._company = company
        self._links = links
        self._templates = Environment(
            loader=FileSystemLoader(ROOT / "pages"), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )

    def router(self) -> APIRouter:
        """The routes; they are not part of the API's documentation."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/pay/{token}", self.pay, methods=["GET"])
        router.add_api_route("/unsubscribe/{token}", self.unsubscribe, methods=["GET", "POST"])
        return router

    async def pay(self, token: str, request: Request) -> Response:
        """What is owed on one invoice, and where to pay it."""
        try:
            number = self._links.read(Purpose.PAY, token, _today())
            async with self._ledger.read() as session:
                view = await invoice_view(session, number)
                lines = await lines_of(session, number)
                customer = await customer_by_code(session, view.customer)
        except (LinkError, NotFound):
            return self._gone(request)
        language, words = customer.language, load_words(customer.language)["page"]
        late = (datetime.now(zone(customer.time_zone)).date() - view.due_on).days
        paid = view.total - view.balance
        return self._page(
            "pay.html",
            language,
            title=filled(words["title"], number=number),
            settled=view.balance.minor <= 0,
            balance=amount(view.balance, language),
            due=filled(words["due"], date=long_date(view.due_on, language)),
            late=filled(words["late"], days=str(late)) if late > 0 else "",
            how=filled(words["how_more"], number=number),
            accounts=[
                {"bank": a.bank, "number": a.number, "holder": filled(words["holder"], holder=a.holder)}
                for a in self._company.accounts
            ],
            lines=[
                {
                    "description": line.description,
                    "amount": amount(Money(line.amount_minor, view.total.currency), language),
                }
                for line in lines
            ],
            total=amount(view.total, language),
            paid=amount(paid, language) if paid.minor > 0 else "",
        )

    async def unsubscribe(self, token: str, request: Request) -> Response:
        """Ask whether to stop; a POST, also a mail program's one-click, stops."""
        try:
            subject = self._links.read(Purpose.UNSUBSCRIBE, token, _today())
            channel, _, rest = subject.partition("/")
            code = rest.partition("/")[2]
            async with self._ledger.read() as session:
                customer = await customer_by_code(session, code)
                contacts = await contacts_of(session, customer.id)
        except (LinkError, NotFound):
            return self._gone(request)
        if request.method == "POST":
            for contact in contacts:
                address = contact.email if channel == Channel.EMAIL else contact.phone
                if address and unsubscribe_subject(code, channel, address) == subject:
                    async with self._ledger.write() as session:
                        await opt_out(session, contact.id, Channel(channel), by="customer")
        return self._page("unsubscribe.html", customer.language, done=request.method == "POST")

    def _gone(self, request: Request) -> Response:
        language = "en" if request.headers.get("accept-language", "id").lower().startswith("en") else "id"
        return self._page("gone.html", language, status=404)

    def _page(self, name: str, language: str, *, status: int = 200, **fields: Any) -> Response:
        company = {
            "name": self._company.name,
            "initial": next((c for c in self._company.name.removeprefix("PT ") if c.isalnum()), "L"),
            "phone": self._company.phone,
            "email": self._company.email,
        }
        words = load_words(language)["page"]
        page = self._templates.get_template(name).render(language=language, words=words, company=company, **fields)
        return HTMLResponse(page, status_code=status, headers=_HEADERS)


def _today() -> date:
    return datetime.now(UTC).date()
