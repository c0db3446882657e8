"""Invoices as people and API clients see them: one by one, or page by page, by due date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, or_, select

from lunas.ledger.database import LedgerSession
from lunas.ledger.errors import LedgerError
from lunas.ledger.facts import OUTSTANDING, Seen, unknown_invoice
from lunas.ledger.tables import CustomerRow, InvoiceLineRow, InvoiceRow
from lunas.receivables.invoice import CLOSED, HoldKind, Stage
from lunas.receivables.money import Money


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """One invoice for a list or a page: the workflow's last projection, and the balance as it is now."""

    id: int
    number: str
    customer: str
    customer_name: str
    total: Money
    balance: Money
    issued_on: date
    due_on: date
    terms: str
    purchase_order: str | None
    stage: Stage
    held: HoldKind | None
    held_until: datetime | None
    rung: str | None
    next_step: str | None
    next_at: datetime | None
    flags: tuple[str, ...]
    reachable: bool
    opened_at: datetime
    closed_at: datetime | None

    @property
    def cursor(self) -> str:
        """Where a page that ends with this invoice goes on."""
        return f"{self.due_on.isoformat()}~{self.id}"


@dataclass(frozen=True, slots=True)
class InvoiceQuery:
    """Which invoices a list shows; what is None or empty does not restrict it.

    `overdue_on`: open and due before that date. `text` is looked for in number, customer code, name and purchase order.
    """

    stages: tuple[Stage, ...] = ()
    held: HoldKind | None = None
    is_open: bool | None = None
    customer: str | None = None
    overdue_on: date | None = None
    due_from: date | None = None
    due_to: date | None = None
    flag: str | None = None
    text: str = ""


_VIEW = select(InvoiceRow, CustomerRow.code, CustomerRow.name, OUTSTANDING).join(
    CustomerRow, CustomerRow.id == InvoiceRow.customer_id
)


async def invoice_view(session: LedgerSession, number: str) -> InvoiceView:
    """One invoice; raises NotFound."""
    row = (await session.execute(_VIEW.where(InvoiceRow.number == number))).one_or_none()
    if row is None:
        raise unknown_invoice(number)
    return _view(row[0], row[1], row[2], row[3])


def view_of(seen: Seen, customer: CustomerRow) -> InvoiceView:
    """The same for a caller that has looked at the invoice already."""
    return _view(seen.invoice, customer.code, customer.name, seen.balance.outstanding)


async def lines_of(session: LedgerSession, number: str) -> tuple[InvoiceLineRow, ...]:
    """The lines of one invoice, in order."""
    rows = await session.scalars(
        select(InvoiceLineRow)
        .join(InvoiceRow, InvoiceRow.id == InvoiceLineRow.invoice_id)
        .where(InvoiceRow.number == number)
        .order_by(InvoiceLineRow.position)
    )
    return tuple(rows)


async def list_invoices(
    session: LedgerSession, query: InvoiceQuery, *, after: str | None = None, limit: int = 50
) -> tuple[tuple[InvoiceView, ...], str | None]:
    """A page of invoices by due date, and the cursor of the next page; None on the last.

    Raises LedgerError for a cursor that no page gave.
    """
    statement = _VIEW.where(*_conditions(query)).order_by(InvoiceRow.due_on, InvoiceRow.id).limit(limit + 1)
    if after is not None:
        due_on, last_id = _read_cursor(after)
        later = or_(InvoiceRow.due_on > due_on, and_(InvoiceRow.due_on == due_on, InvoiceRow.id > last_id))
        statement = statement.where(later)
    views = tuple(_view(*row) for row in await session.execute(statement))
    page = views[:limit]
    return page, page[-1].cursor if len(views) > limit else None


def _conditions(query: InvoiceQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.stages:
        found.append(InvoiceRow.stage.in_(query.stages))
    if query.held is not None:
        found.append(InvoiceRow.held == query.held)
    if query.is_open is not None:
        found.append(InvoiceRow.stage.not_in(CLOSED) if query.is_open else InvoiceRow.stage.in_(CLOSED))
    if query.customer is not None:
        found.append(CustomerRow.code == query.customer)
    if query.overdue_on is not None:
        found.extend((InvoiceRow.stage.not_in(CLOSED), InvoiceRow.due_on < query.overdue_on))
    if query.due_from is not None:
        found.append(InvoiceRow.due_on >= query.due_from)
    if query.due_to is not None:
        found.append(InvoiceRow.due_on <= query.due_to)
    if query.flag is not None:
        found.append(("," + InvoiceRow.flags + ",").contains(f",{query.flag},", autoescape=True))
    if query.text:
        columns = (InvoiceRow.number, CustomerRow.code, CustomerRow.name, InvoiceRow.purchase_order)
        found.append(or_(*(column.icontains(query.text, autoescape=True) for column in columns)))
    return found


def _read_cursor(cursor: str) -> tuple[date, int]:
    due_on, _, last_id = cursor.partition("~")
    try:
        return date.fromisoformat(due_on), int(last_id)
    except ValueError:
        raise LedgerError(f"{cursor!r} is not a cursor of this list: pass the one of the page before") from None


def _view(row: InvoiceRow, customer: str, name: str, outstanding: int) -> InvoiceView:
    return InvoiceView(
        id=row.id,
        number=row.number,
        customer=customer,
        customer_name=name,
        total=Money(row.total_minor, row.currency),
        balance=Money(outstanding, row.currency),
        issued_on=row.issued_on,
        due_on=row.due_on,
        terms=row.terms,
        purchase_order=row.purchase_order,
        stage=row.stage,
        held=row.held,
        held_until=row.held_until,
        rung=row.rung,
        next_step=row.next_step,
        next_at=row.next_at,
        flags=tuple(row.flags.split(",")) if row.flags else (),
        reachable=row.reachable,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )
