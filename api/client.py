"""A typed client of the API, for the command line and for other Python programs.

    ApiError
    ├── Unreachable    no answer came
    └── Declined       the API answered with a problem: `problem` says which and why

Whatever is safe to repeat is repeated by itself when no answer came, or the API asked to be asked again (503).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from api.errors import Kind, ProblemDocument
from api.schemas import charges, customers, invoices, payments, plans, requests, upkeep
from api.webhook_calls import WebhookCalls
from lunas.receivables.ladder import Channel

_V = TypeVar("_V", bound=BaseModel)
_WAITS = (0.2, 1.0)  # seconds before the second and the third attempt
_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
_PAGE = 200


class ApiError(Exception):
    """The API did not do what was asked; the message is for people."""


class Unreachable(ApiError):
    """No answer came: the request may or may not have been done."""


class Declined(ApiError):
    """The API answered with a problem."""

    def __init__(self, problem: ProblemDocument) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    def is_about(self, kind: Kind) -> bool:
        """Whether it is a problem of that kind."""
        return self.problem.type == kind.uri


class LunasClient:
    """`async with LunasClient("http://127.0.0.1:8080", key) as lunas: await lunas.issue(...)`.

    Every method raises Declined or Unreachable. `transport` replaces the network, for tests.
    """

    def __init__(self, url: str, key: str, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, application/problem+json"}
        self._http = httpx2.AsyncClient(
            base_url=url.rstrip("/"), headers=headers, timeout=_TIMEOUT, transport=transport
        )
        self.webhooks = WebhookCalls(self._send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # --- customers --------------------------------------------------------------------------------------------------

    async def create_customer(self, customer: customers.CustomerBody) -> customers.CustomerView:
        """Write a customer down."""
        return await self._post("/v1/customers", customer, customers.CustomerView)

    async def customer(self, code: str) -> customers.CustomerView:
        """One customer."""
        return await self._get(f"/v1/customers/{_name(code)}", customers.CustomerView)

    async def find_customers(self, text: str | None = None, *, limit: int = 50) -> list[customers.CustomerLine]:
        """The first `limit` customers whose code or name contains the text, by code."""
        found: list[customers.CustomerLine] = []
        cursor: str | None = None
        while len(found) < limit:
            asked = {"text": text, "cursor": cursor, "limit": min(_PAGE, limit - len(found))}
            page = await self._get("/v1/customers", customers.CustomerPage, asked)
            found += page.customers
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    async def change_customer(self, code: str, change: customers.CustomerChange) -> customers.CustomerView:
        """Change what is given."""
        path = f"/v1/customers/{_name(code)}"
        return _read(await self._send("PATCH", path, body=_json(change)), customers.CustomerView)

    async def add_contact(self, code: str, contact: customers.ContactBody) -> customers.ContactView:
        """Write a contact down."""
        path = f"/v1/customers/{_name(code)}/contacts"
        return await self._post(path, contact, customers.ContactView, once=True)

    async def change_contact(self, code: str, id_: int, change: customers.ContactChange) -> customers.ContactView:
        """Put a contact right."""
        path = f"/v1/customers/{_name(code)}/contacts/{id_}"
        return _read(await self._send("PATCH", path, body=_json(change)), customers.ContactView)

    async def opt_out(self, code: str, id_: int, channel: Channel) -> customers.ContactView:
        """The contact wants no messages through the channel."""
        path = f"/v1/customers/{_name(code)}/contacts/{id_}/opt-out/{channel}"
        return await self._post(path, None, customers.ContactView)

    async def erase_contact(self, code: str, id_: int, by: str) -> customers.ContactView:
        """Forget a person, for good."""
        path = f"/v1/customers/{_name(code)}/contacts/{id_}/erasure"
        return await self._post(path, upkeep.SignBody(by=by), customers.ContactView)

    # --- invoices ---------------------------------------------------------------------------------------------------

    async def issue(self, invoice: invoices.InvoiceBody) -> invoices.InvoiceView:
        """Issue an invoice and start collecting it; harmless where it says what is there already."""
        return await self._post("/v1/invoices", invoice, invoices.InvoiceView)

    async def invoice(self, number: str, *, live: bool = False) -> invoices.InvoiceView:
        """One invoice; `live` asks its workflow as well."""
        return await self._get(_invoice(number), invoices.InvoiceView, {"live": "true" if live else None})

    async def find_invoices(
        self, *, limit: int | None = None, **filters: str | bool | date | Sequence[str] | None
    ) -> AsyncIterator[invoices.InvoiceLine]:
        """Invoices by due date, all pages of them or the first `limit`; filters as in `GET /v1/invoices`."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            asked = {**filters, "cursor": cursor, "limit": _PAGE if left is None else min(_PAGE, left)}
            page = await self._get("/v1/invoices", invoices.InvoicePage, asked)
            for one in page.invoices:
                yield one
            left = None if left is None else left - len(page.invoices)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def journal(self, number: str) -> list[invoices.JournalLine]:
        """The whole journal of an invoice, oldest first."""
        entries: list[invoices.JournalLine] = []
        after: int | None = 0
        while after is not None:
            page = await self._get(f"{_invoice(number)}/journal", invoices.JournalPage, {"after": after})
            entries.extend(page.entries)
            after = page.next_after
        return entries

    async def decisions(self, number: str, on: date | None = None) -> list[invoices.DecisionView]:
        """Why messages about an invoice were, or were not, sent."""
        found = await self._get(f"{_invoice(number)}/decisions", invoices.Decisions, {"on": on})
        return found.decisions

    # --- facts ------------------------------------------------------------------------------------------------------

    async def pay(self, payment: payments.PaymentBody) -> payments.PaymentView:
        """Book money that came in."""
        return await self._post("/v1/payments", payment, payments.PaymentView)

    async def reverse(self, reference: str, reversal: payments.ReversalBody) -> payments.ReversalView:
        """Book money of a payment that went back."""
        return await self._post(f"/v1/payments/{_name(reference)}/reversals", reversal, payments.ReversalView)

    async def refund(self, reference: str, refund: payments.RefundBody) -> payments.RefundView:
        """Book money of a payment that we pay back."""
        return await self._post(f"/v1/payments/{_name(reference)}/refunds", refund, payments.RefundView)

    async def interest(self, number: str, as_of: date | None = None) -> charges.InterestView:
        """Late interest and the late fee of an invoice."""
        return await self._get(f"{_invoice(number)}/interest", charges.InterestView, {"as_of": as_of})

    async def accrued(self, as_of: date | None = None) -> charges.AccruedList:
        """Interest on all open invoices whose policy counts it."""
        return await self._get("/v1/interest", charges.AccruedList, {"as_of": as_of})

    async def charge(self, number: str, body: charges.ChargeBody) -> charges.ChargeView:
        """Claim late interest or the late fee."""
        return await self._post(f"{_invoice(number)}/charges", body, charges.ChargeView, once=True)

    async def waive(self, number: str, body: charges.ChargeBody) -> charges.ChargeView:
        """Give late interest or the late fee up."""
        return await self._post(f"{_invoice(number)}/waivers", body, charges.ChargeView, once=True)

    async def credit(self, note: payments.CreditNoteBody) -> payments.CreditNoteView:
        """Book a credit note."""
        return await self._post("/v1/credit-notes", note, payments.CreditNoteView)

    async def unapplied(self) -> list[payments.UnappliedView]:
        """Receipts that wait for a match."""
        return (await self._get("/v1/payments/unapplied", payments.UnappliedList)).receipts

    async def match(self, allocation: payments.AllocationBody) -> payments.PaymentView:
        """Match a receipt to an invoice."""
        return await self._post("/v1/allocations", allocation, payments.PaymentView, once=True)

    async def answered(self, number: str, answer: upkeep.AnswerBody) -> upkeep.FactView:
        """The customer answered."""
        return await self._post(f"{_invoice(number)}/answers", answer, upkeep.FactView, once=True)

    async def agency_reported(self, number: str, report: upkeep.AgencyBody) -> upkeep.FactView:
        """The agency reports."""
        return await self._post(f"{_invoice(number)}/agency-reports", report, upkeep.FactView, once=True)

    # --- requests ---------------------------------------------------------------------------------------------------

    async def promise(self, number: str, body: requests.PromiseBody) -> requests.RequestView:
        """The customer promises to pay by a date."""
        return await self._ask(number, "promise", body)

    async def instalments(self, number: str, body: requests.PlanBody) -> requests.RequestView:
        """The customer is to pay in instalments."""
        return await self._ask(number, "instalments", body)

    async def dispute(self, number: str, body: requests.DisputeBody) -> requests.RequestView:
        """The customer says that the bill is wrong."""
        return await self._ask(number, "dispute", body)

    async def resolve(self, number: str, body: requests.ResolutionBody) -> requests.RequestView:
        """The dispute is decided."""
        return await self._ask(number, "dispute/resolve", body)

    async def pause(self, number: str, body: requests.PauseBody) -> requests.RequestView:
        """Send nothing for a while."""
        return await self._ask(number, "pause", body)

    async def resume(self, number: str, body: requests.RequestBody) -> requests.RequestView:
        """End the pause."""
        return await self._ask(number, "resume", body)

    async def place(self, number: str, body: requests.PlacementBody) -> requests.RequestView:
        """Let the agency have it, or keep it."""
        return await self._ask(number, "placement", body)

    async def recall(self, number: str, body: requests.DecisionBody) -> requests.RequestView:
        """Take it back from the agency."""
        return await self._ask(number, "recall", body)

    async def write_off(self, number: str, body: requests.DecisionBody) -> requests.RequestView:
        """Book it as a loss."""
        return await self._ask(number, "write-off", body)

    async def cancel(self, number: str, body: requests.DecisionBody) -> requests.RequestView:
        """Stop collecting an invoice that should never have been."""
        return await self._ask(number, "cancel", body)

    async def decide_credit(self, number: str, body: requests.CreditBody) -> requests.RequestView:
        """Hold it for credit, or release it."""
        return await self._ask(number, "credit", body)

    async def change_policy(self, number: str, body: requests.PolicyBody) -> requests.RequestView:
        """Follow another policy from here on."""
        return await self._ask(number, "policy", body)

    async def correct_contact(self, number: str, body: requests.InvoiceContactBody) -> requests.RequestView:
        """Put the contact of the invoice's customer right."""
        return await self._ask(number, "contact", body)

    # --- plans and upkeep -------------------------------------------------------------------------------------------

    async def policies(self) -> plans.PolicyList:
        """The policies that invoices may be given."""
        return await self._get("/v1/policies", plans.PolicyList)

    async def lifecycle(self) -> plans.LifecycleView:
        """The lifecycle's table."""
        return await self._get("/v1/lifecycle", plans.LifecycleView)

    async def rehearse(self, rehearsal: plans.RehearsalBody) -> plans.RehearsalView:
        """What a policy would do."""
        return await self._post("/v1/rehearsals", rehearsal, plans.RehearsalView)

    async def preview(self, number: str, policy: str, *, days: int = 365) -> plans.RehearsalView:
        """What another policy would do to an invoice from now on."""
        asked = {"policy": policy, "days": days}
        return await self._get(f"{_invoice(number)}/rehearsal", plans.RehearsalView, asked)

    async def sending(self) -> upkeep.SwitchView:
        """Whether messages leave at all."""
        return await self._get("/v1/sending", upkeep.SwitchView)

    async def stop_sending(self, turn: upkeep.TurnBody) -> upkeep.SwitchView:
        """Stop all sending."""
        return await self._post("/v1/sending/stop", turn, upkeep.SwitchView)

    async def resume_sending(self, turn: upkeep.TurnBody) -> upkeep.SwitchView:
        """Let messages leave again."""
        return await self._post("/v1/sending/resume", turn, upkeep.SwitchView)

    async def findings(self, code: str) -> list[upkeep.FindingView]:
        """What research found about a customer."""
        return (await self._get(f"/v1/customers/{_name(code)}/findings", upkeep.FindingList)).findings

    async def decide_finding(self, id_: int, by: str, *, approve: bool) -> None:
        """Make a contact of what was found, or not."""
        word = "approval" if approve else "rejection"
        await self._send("POST", f"/v1/findings/{id_}/{word}", body=_json(upkeep.SignBody(by=by)))

    async def unsettled(self) -> list[upkeep.UnsettledView]:
        """Notices whose outcome nobody knows."""
        return (await self._get("/v1/notices/unsettled", upkeep.UnsettledList)).notices

    async def settle_notice(self, id_: int, settlement: upkeep.SettlementBody) -> upkeep.UnsettledView:
        """Settle whether such a notice was sent."""
        return await self._post(f"/v1/notices/{id_}/settlement", settlement, upkeep.UnsettledView, once=True)

    async def revoke_links(self, revocation: upkeep.RevocationBody, *, invoice: str = "", customer: str = "") -> None:
        """End the links to an invoice's page, or to those of all of a customer's invoices."""
        of = _invoice(invoice) if invoice else f"/v1/customers/{_name(customer)}"
        await self._send("POST", f"{of}/links/revocation", body=_json(revocation))

    async def nudge(self, number: str) -> upkeep.NudgeView:
        """Tell the workflow the news, or start it."""
        return await self._post(f"{_invoice(number)}/nudge", None, upkeep.NudgeView)

    async def create_key(self, key: upkeep.KeyBody) -> str:
        """Make an API key."""
        response = await self._send("POST", "/v1/keys", body=_json(key), repeats=False)
        return _read(response, upkeep.NewKeyView).key

    async def keys(self) -> list[upkeep.KeyView]:
        """The keys that were not revoked."""
        return (await self._get("/v1/keys", upkeep.KeyList)).keys

    async def revoke_key(self, prefix: str) -> None:
        """From now on the key opens nothing."""
        await self._send("DELETE", f"/v1/keys/{_name(prefix)}")

    async def ready(self) -> upkeep.Ready:
        """Whether the API serves, and what waits."""
        response = await self._http.get("/readyz")
        return _read(response, upkeep.Ready)

    # --- the wire ---------------------------------------------------------------------------------------------------

    async def _ask(self, number: str, what: str, body: BaseModel) -> requests.RequestView:
        return await self._post(f"{_invoice(number)}/{what}", body, requests.RequestView, once=True)

    async def _get(self, path: str, view: type[_V], query: Mapping[str, Any] | None = None) -> _V:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        return _read(await self._send("GET", path, query=asked), view)

    async def _post(self, path: str, body: BaseModel | None, view: type[_V], *, once: bool = False) -> _V:
        """`once`: the request has no reference of its own that would keep a repetition from being done twice."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} if once else {}
        return _read(await self._send("POST", path, body=_json(body) if body else None, headers=headers), view)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeats: bool = True,
    ) -> httpx2.Response:
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        waits = iter(_WAITS if repeats else ())
        while True:
            try:
                response = await self._http.request(
                    method, path, content=body, params=_texts(query) if query else None, headers=sent
                )
            except httpx2.TransportError as error:
                if (wait := next(waits, None)) is None:
                    raise Unreachable(
                        f"the API at {self._http.base_url} does not answer ({type(error).__name__}): see that it runs"
                    ) from error
            else:
                if response.status_code != 503 or (wait := next(waits, None)) is None:
                    return _checked(response)
            await asyncio.sleep(wait)


def _invoice(number: str) -> str:
    return f"/v1/invoices/{_name(number)}"


def _name(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _json(body: BaseModel) -> str:
    return body.model_dump_json(exclude_unset=True)


def _texts(query: Mapping[str, Any]) -> dict[str, str | list[str]]:
    return {
        name: [str(one) for one in value]
        if isinstance(value, list | tuple)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
        for name, value in query.items()
    }


def _read(response: httpx2.Response, view: type[_V]) -> _V:
    return view.model_validate_json(response.content)


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.is_success:
        return response
    try:
        problem = ProblemDocument.model_validate_json(response.content)
    except ValidationError:
        status = response.status_code
        problem = ProblemDocument(
            type="about:blank",
            title=response.reason_phrase,
            status=status,
            detail=f"{response.request.url} answered {status}, and not as the API does: check the address",
        )
    raise Declined(problem)
