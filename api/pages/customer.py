"""What a message's links lead to: one invoice, what its customer can do about it, and how to stop messages.

A link shows one invoice and nothing else of its customer. A GET never changes anything: mail scanners follow links.
Whatever changes something is a POST of the page's own form, shown once more for a yes, and answered with a redirect.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, cast
from urllib.parse import quote, urlencode

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.background import BackgroundTask

from api.errors import Kind, Problem
from api.pages.choices import choices
from api.pages.forms import Form, Forms, Unfit, read_amount
from api.pages.limits import Limit
from api.pages.paying import masked, pay_fields
from api.pages.rendering import HEADERS, Pages
from api.pages.visit import Visit, visit
from api.pages.wishes import WISHES, Reading, Wish
from api.quiet import customer_until_quiet
from api.services import Services
from api.temporal import NotFinished, NotPossible, NotRunning, WorkflowTrouble
from lunas.ledger.customers import address_of, contacts_of, customer_by_code, opt_out
from lunas.ledger.errors import NotFound
from lunas.ledger.offers import BANK_TRANSFER
from lunas.ledger.tables import ContactRow
from lunas.links import LinkError, PayLink, Purpose, unsubscribe_subject
from lunas.providers.qris import Qris
from lunas.receivables.ladder import Channel
from lunas.receivables.money import Money
from templates.typeset import invoice_pdf, pdf_name
from templates.wording import LANGUAGES, Section, filled

_P = ParamSpec("_P")
log = structlog.get_logger(__name__)

_SPAN = timedelta(minutes=10)
_MOST_FORMS, _MOST_PDFS = 30, 60
#: The page looks so often whether a way to pay is there, a few seconds apart; then it says that it takes longer.
_LOOKS = 10


class CustomerPages:
    """The pages of one installation."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._house = services
        self._ledger = services.ledger
        self._links = settings.links
        self._company = settings.company
        self._pages = Pages(settings.company, settings.template_folder)
        self._makes_ways = any(method != BANK_TRANSFER for method in settings.payment_methods)
        self._static = Qris.read(settings.qris_payload) if settings.qris_payload else None
        self._forms = Forms(self._links)
        self._form_limit = Limit(_MOST_FORMS, _SPAN)
        self._pdf_limit = Limit(_MOST_PDFS, _SPAN)

    def router(self) -> APIRouter:
        """The routes; they are not part of the API's documentation."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/pay/{token}", self._kindly(self.pay), methods=["GET"])
        router.add_api_route("/pay/{token}/invoice.pdf", self._kindly(self.pdf), methods=["GET"])
        router.add_api_route("/pay/{token}/{wish}", self._kindly(self.ask), methods=["GET", "POST"])
        router.add_api_route("/unsubscribe/{token}", self._kindly(self.unsubscribe), methods=["GET", "POST"])
        return router

    def _kindly(self, answer: Callable[_P, Awaitable[Response]]) -> Callable[_P, Awaitable[Response]]:
        """The same; a ledger that is away becomes a page in the reader's language, and a line in our log."""

        @wraps(answer)
        async def answered(*args: _P.args, **kwargs: _P.kwargs) -> Response:
            try:
                return await answer(*args, **kwargs)
            except (OperationalError, InterfaceError, NoConnectionFree, ConnectionError) as away:
                log.error("ledger_away", why=type(away).__name__)
                request = cast(Request, kwargs["request"])
                language = _language(request) or _preferred(request)
                words = self._pages.words[language]["forms"]
                return self._pages.html("sorry.html", language, status=503, error=words["down"])

        return answered

    # --- the invoice ------------------------------------------------------------------------------------------------

    async def pay(self, token: str, request: Request) -> Response:
        """What is owed on one invoice, why, until when, how to pay it, and what else can be done about it."""
        try:
            found = await self._visit(token)
        except (LinkError, NotFound):
            return self._gone(request)
        reading = self._reading(found, request)
        part, error = self._part(reading, request.query_params.get("part", ""))
        words = self._pages.words[reading.language]
        fields = pay_fields(found, self._company, words, reading.language, part, self._static)
        return self._pages.html(
            "pay.html",
            reading.language,
            status=422 if error else 200,
            **fields,
            **self._common(token, request),
            **self._news(found, reading, request),
            stops=[] if found.is_settled else self._stops(found, reading),
            asks=self._asks(token, reading),
            error=error,
            entered={"amount": request.query_params.get("part", "")[:40]} if error else {},
        )

    async def pdf(self, token: str, request: Request) -> Response:
        """The invoice as PDF, as it stands now."""
        try:
            found = await self._visit(token)
        except (LinkError, NotFound):
            return self._gone(request)
        reading = self._reading(found, request)
        if not self._pdf_limit.takes(token):
            return self._pages.html("sorry.html", reading.language, status=429, error=reading.words["too_often"])
        document = await asyncio.to_thread(invoice_pdf, found.brief, found.recipient(reading.language), self._company)
        shown = {**HEADERS, "Content-Disposition": f'inline; filename="{pdf_name(found.number)}"'}
        return Response(document, media_type="application/pdf", headers=shown)

    # --- wishes -----------------------------------------------------------------------------------------------------

    async def ask(self, token: str, wish: str, request: Request) -> Response:
        """A form by itself; sent, what it would do; confirmed, the page that says that it is done."""
        try:
            found = await self._visit(token)
        except (LinkError, NotFound):
            return self._gone(request)
        if wish not in WISHES:
            return self._gone(request)
        reading = self._reading(found, request)
        if request.method == "GET":
            return self._form(token, wish, reading, request)
        form, granted = Form({}, False, ""), None
        try:
            if not self._form_limit.takes(token):
                raise Unfit("too_often", 429)
            form = await self._forms.read(request, token, wish)
            granted = WISHES[wish](form, reading)
            if form.is_confirmed:
                await self._grant(granted, form, wish)
                return self._done(token, wish, request)
        except Unfit as unfit:
            if granted is None:
                return self._form(token, wish, reading, request, form.fields, unfit)
            return self._confirmation(token, wish, granted, reading, request, unfit)
        return self._confirmation(token, wish, granted, reading, request)

    async def _grant(self, granted: Wish, form: Form, wish: str) -> None:
        """Do it; raises Unfit with what the customer is to be told where it cannot be done, or not now."""
        try:
            await granted.perform(self._house, form.key)
        except (NotPossible, NotRunning) as refused:
            raise Unfit(f"refused_{wish}", 409) from refused
        except NotFinished as unknown:
            raise Unfit("unknown", 504) from unknown
        except WorkflowTrouble as away:
            raise Unfit("away", 503) from away
        except Problem as problem:
            if problem.kind is Kind.UNKNOWN:  # it is done; only a message that left before may still arrive
                return
            raise Unfit(f"refused_{wish}", 409) from problem

    def _form(
        self,
        token: str,
        wish: str,
        reading: Reading,
        request: Request,
        entered: Mapping[str, str] | None = None,
        unfit: Unfit | None = None,
    ) -> Response:
        asks = self._asks(token, reading)
        status = 200 if unfit is None else unfit.status
        error = "" if unfit is None else filled(reading.words[unfit.word], **unfit.values)
        if wish not in asks and status in (200, 403, 422):  # it is not possible any more, or never was
            error, status = reading.words[f"refused_{wish}"], 409
        return self._pages.html(
            "ask.html",
            reading.language,
            status=status,
            wish=wish,
            asks=asks,
            entered=dict(entered or {}),
            error=error,
            **self._heading(reading),
            **self._common(token, request),
        )

    def _confirmation(
        self, token: str, wish: str, granted: Wish, reading: Reading, request: Request, unfit: Unfit | None = None
    ) -> Response:
        return self._pages.html(
            "confirm.html",
            reading.language,
            status=200 if unfit is None else unfit.status,
            wish=wish,
            rows=[{"label": label, "value": value} for label, value in granted.rows],
            kept=dict(granted.fields),
            seal=self._forms.seal(token, wish),
            error="" if unfit is None else filled(reading.words[unfit.word], **unfit.values),
            may_send=unfit is None or unfit.status in (503, 504),
            **self._heading(reading),
            **self._common(token, request),
        )

    def _done(self, token: str, wish: str, request: Request) -> Response:
        news = {"wait": "1"} if wish == "way" else {"done": wish}
        return RedirectResponse(self._here(token, request, **news), status_code=303, headers=HEADERS)

    # --- stop messages ----------------------------------------------------------------------------------------------

    async def unsubscribe(self, token: str, request: Request) -> Response:
        """Ask whether to stop; a POST, also a mail program's one-click, stops."""
        try:
            subject = self._links.read(Purpose.UNSUBSCRIBE, token, _today())
            channel, _, rest = subject.partition("/")
            async with self._ledger.read() as session:
                customer = await customer_by_code(session, rest.partition("/")[2])
                contacts = await contacts_of(session, customer.id)
        except (LinkError, NotFound):
            return self._gone(request)
        language, shown = _language(request) or customer.language.value, ""
        for contact in contacts:
            address = contact.email if channel == Channel.EMAIL else contact.phone
            if address and unsubscribe_subject(customer.code, channel, address) == subject:
                shown = masked(address)
                if request.method == "POST":
                    async with self._ledger.write() as session:
                        await opt_out(session, contact.id, Channel(channel), by="customer")
        if request.method == "GET":
            return self._pages.html("unsubscribe.html", language, done=False, address=shown)
        try:
            await customer_until_quiet(self._ledger, customer.code)
        except Problem:  # it is written down, but a message that was let go before may still arrive
            words = self._pages.words[language]["forms"]
            page = self._pages.html("sorry.html", language, status=503, error=words["stop_soon"])
        else:
            page = self._pages.html("unsubscribe.html", language, done=True, address=shown)
        page.background = BackgroundTask(self._house.nudges.deliver_waiting)
        return page

    # --- what they share --------------------------------------------------------------------------------------------

    async def _visit(self, token: str) -> Visit:
        """Raises LinkError or NotFound for any link that is not good."""
        link = PayLink.of(self._links.read(Purpose.PAY, token, _today()))
        async with self._ledger.read() as session:
            return await visit(session, link)

    def _reading(self, found: Visit, request: Request) -> Reading:
        contact, customer = found.follower.contact, found.follower.customer
        own = (contact.language if contact else None) or customer.language
        language = _language(request) or own.value
        return Reading(found, language, self._pages.words[language]["forms"])

    def _asks(self, token: str, reading: Reading) -> dict[str, dict[str, Any]]:
        asks = choices(reading, makes_ways=self._makes_ways)
        return {name: {**ask, "seal": self._forms.seal(token, name)} for name, ask in asks.items()}

    def _part(self, reading: Reading, written: str) -> tuple[Money | None, str]:
        """What the customer wants to transfer now, or why that cannot be."""
        if not written.strip() or reading.visit.is_settled:
            return None, ""
        balance = reading.visit.brief.balance
        try:
            part = read_amount(written[:40], balance.currency)
            if part.minor > balance.minor:
                raise Unfit("amount_out", most=reading.money(balance.minor))
        except Unfit as unfit:
            return None, filled(reading.words[unfit.word], **unfit.values)
        return (part if part.minor < balance.minor else None), ""

    def _news(self, found: Visit, reading: Reading, request: Request) -> dict[str, Any]:
        """What the customer has just done, and whether the page is to look again."""
        done, wait = request.query_params.get("done", ""), request.query_params.get("wait", "")
        looked = int(wait) if re.fullmatch(r"[0-9]{1,2}", wait) else 0
        if not looked or "way" not in choices(reading, makes_ways=self._makes_ways):
            return {"news": reading.words[f"{done}_done"] if done in WISHES else "", "again": ""}
        if looked > _LOOKS:
            return {"news": reading.words["waited"], "again": ""}
        query = urlencode({**_kept(request), "wait": looked + 1})
        return {"news": reading.words["waiting"], "again": f"?{query}"}

    def _stops(self, found: Visit, reading: Reading) -> list[dict[str, str]]:
        """Where messages can be stopped: at the address that the link was made for, or at any of the customer's."""
        contact = found.follower.contact
        contacts: Sequence[ContactRow] = [contact] if contact else found.follower.contacts
        words: Section = self._pages.words[reading.language]["page"]
        stops: dict[str, dict[str, str]] = {}
        for channel in (Channel.SMS, Channel.EMAIL):
            for address in filter(None, (address_of(one, channel) for one in contacts)):
                subject = unsubscribe_subject(found.follower.customer.code, channel, address)
                phrase = words["stop_sms"] if channel is Channel.SMS else reading.words["stop_email"]
                stops[subject] = {
                    "url": self._links.url(Purpose.UNSUBSCRIBE, subject, _today()),
                    "words": filled(phrase, number=masked(address), address=masked(address)),
                }
        return list(stops.values())

    def _heading(self, reading: Reading) -> dict[str, Any]:
        fields = pay_fields(reading.visit, self._company, self._pages.words[reading.language], reading.language)
        return {name: fields[name] for name in ("title", "balance", "settled", "subject")}

    def _common(self, token: str, request: Request) -> dict[str, Any]:
        query = f"?{urlencode(_kept(request))}" if _kept(request) else ""
        return {"base": f"/pay/{quote(token)}", "query": query}

    def _here(self, token: str, request: Request, **news: str) -> str:
        return f"/pay/{quote(token)}?{urlencode({**_kept(request), **news})}"

    def _gone(self, request: Request) -> Response:
        """The one answer to every link that is not good, whatever is wrong with it."""
        return self._pages.html("gone.html", _language(request) or _preferred(request), status=404)


def _language(request: Request) -> str | None:
    """The language that the reader has switched to."""
    asked = request.query_params.get("lang")
    return asked if asked in LANGUAGES else None


def _preferred(request: Request) -> str:
    """The language that the reader's browser prefers, where we do not know whose link it is."""
    return "en" if request.headers.get("accept-language", "id").lower().startswith("en") else "id"


def _kept(request: Request) -> dict[str, str]:
    """What every address on the page goes on with."""
    language = _language(request)
    return {"lang": language} if language else {}


def _today() -> date:
    return datetime.now(UTC).date()
