"""Asking the workflow of an invoice for something, whoever asks: a client of the API, or a customer on their page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from api.errors import Kind, Problem
from api.services import Services
from api.temporal import NotRunning, TemporalDown
from lunas.ledger.database import Ledger
from lunas.ledger.invoices import opening_state
from lunas.ledger.progress import settle
from lunas.receivables.events import Request
from lunas.receivables.lifecycle import allows
from workflows import messages as m
from workflows.nudging import Told


class Message(Protocol):
    """A message that stands for one event."""

    def event(self) -> Request: ...


async def ask(house: Services, number: str, update: str, message: Message, *, key: str) -> m.View:
    """Ask the workflow; once this has an answer, nothing leaves that the request was to stop.

    A workflow that should run and does not is started first. Under the same `key` it is done once. Raises
    WorkflowTrouble, and Problem where the invoice is closed or a message could not be waited for.
    """
    try:
        view = await house.temporal.ask(number, update, message, key=key)
    except NotRunning:
        await _start(house, number, message)
        view = await house.temporal.ask(number, update, message, key=key)
    await _settled(house.ledger, number)
    return view


async def _start(house: Services, number: str, message: Message) -> None:
    match await house.nudges.tell(number):
        case None:
            raise TemporalDown(f"the workflow of invoice {number} does not run, and Temporal does not start it")
        case Told.NOT_WANTED:
            async with house.ledger.read() as session:
                state = await opening_state(session, number)
            raise Problem(Kind.REFUSED, allows(state, message.event(), datetime.now(UTC)) or "it is closed")


async def _settled(ledger: Ledger, number: str) -> None:
    try:
        await settle(ledger, number)
    except TimeoutError:
        raise Problem(
            Kind.UNKNOWN,
            f"the request is done and written down for invoice {number}, but a message that was let go before it has "
            "not come to an end, and may arrive: do not ask again",
        ) from None
