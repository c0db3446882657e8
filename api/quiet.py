"""Before a 2xx: wait until nothing of an invoice can still leave that was let go before."""

from __future__ import annotations

from api.errors import Kind, Problem
from lunas.ledger.database import Ledger
from lunas.ledger.progress import settle
from lunas.ledger.views import InvoiceQuery, list_invoices


async def until_quiet(ledger: Ledger, number: str) -> None:
    """Return when no message about the invoice can leave any more, in seconds at most.

    Raises a 503 problem where that takes too long: what was written down stays, and asking again is harmless.
    """
    try:
        await settle(ledger, number)
    except TimeoutError:
        raise Problem(
            Kind.UNAVAILABLE,
            f"it is written down for invoice {number}, but a message that was let go before has not come to an end: "
            "send the same request again in a few seconds; nothing is done twice",
            headers={"Retry-After": "5"},
        ) from None


async def customer_until_quiet(ledger: Ledger, code: str) -> None:
    """The same for all of a customer's open invoices."""
    cursor = None
    while True:
        async with ledger.read() as session:
            page, cursor = await list_invoices(
                session, InvoiceQuery(customer=code, is_open=True), after=cursor, limit=500
            )
        for invoice in page:
            await until_quiet(ledger, invoice.number)
        if cursor is None:
            return
