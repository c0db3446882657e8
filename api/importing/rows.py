"""A record becomes an open invoice, or a rejection that says which column, what it looks like and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from api.importing.amounts import Decimals, currency_of, detect_decimals, parse_amount
from api.importing.columns import Columns, Field, find_header
from api.importing.contacts import customer_code, given, parse_email, parse_phone, parse_zone, zone_of
from api.importing.dates import DateFormat, detect_format
from api.importing.errors import CannotImport
from api.importing.model import Customer, OpenInvoice, Options, Parsed, Rejection
from api.importing.row import Row, RowRejected, shape
from api.importing.source import MOST_COLUMNS, MOST_RECORDS, Cell, Record, decode, header_candidates, records
from lunas.receivables.calendar import zone
from lunas.receivables.money import Currency, Money
from lunas.receivables.terms import Terms

_TOTALS = re.compile(r"(grand |sub ?)?(total|jumlah)( keseluruhan| seluruh)?\s*:?", re.IGNORECASE)
_CASH = frozenset({"cod", "cash", "tunai", "cbd", "due on receipt", "kontan"})
_LANGUAGES = {"id": "id", "in": "id", "indonesia": "id", "indonesian": "id", "bahasa indonesia": "id",
              "en": "en", "english": "en", "inggris": "en"}  # fmt: skip


def parse(data: bytes, options: Options) -> Parsed:
    """Read the whole file. Raises CannotImport for what cannot be decided row by row."""
    text = decode(data, options.encoding)
    if options.delimiter is None:
        candidates = header_candidates(text)
    else:
        candidates = {options.delimiter: tuple(records(text, options.delimiter))[:20]}
    delimiter, columns = find_header(candidates, options.mapping)
    if len(columns.headers) > MOST_COLUMNS:
        raise CannotImport(f"the header has {len(columns.headers)} columns: at most {MOST_COLUMNS}")
    if Field.ISSUED not in columns.index and options.terms is None and Field.TERMS not in columns.index:
        raise CannotImport(
            'no column was recognised for the invoice date; name it with --map issued="HEADER", or say the terms '
            'with --terms "net 30", from which it is reckoned'
        )
    rows = [record for record in records(text, delimiter) if record.line > columns.line]
    if len(rows) > MOST_RECORDS:
        raise CannotImport(f"the file has {len(rows):,} rows: at most {MOST_RECORDS:,}; split it and import the parts")
    dates = options.dates or detect_format(_cells(rows, columns, Field.ISSUED, Field.DUE))
    decimals = options.decimals or detect_decimals(_cells(rows, columns, Field.AMOUNT, Field.OPEN))
    return _Reader(columns, options, dates, decimals).read(rows)


class _Reader:
    """Reads one file's rows; remembers the numbers and customers seen, because its rows answer for each other."""

    def __init__(self, columns: Columns, options: Options, dates: DateFormat, decimals: Decimals) -> None:
        self._columns, self._options, self._dates, self._decimals = columns, options, dates, decimals
        self._seen: dict[str, OpenInvoice] = {}
        self._customers: dict[str, Customer] = {}
        self._disagreeing: set[str] = set()
        self._cells: dict[int, tuple[str, ...]] = {}
        self._left_out = 0
        self._passed_over: dict[str, int] = {}

    def read(self, rows: list[Record]) -> Parsed:
        rejections: list[Rejection] = []
        for record in rows:
            try:
                self._take(record)
            except RowRejected as rejected:
                column = self._columns.name(rejected.column) if rejected.column else ""
                rejections.append(Rejection(record.line, column, shape(rejected.value), rejected.reason, record.cells))
        invoices = tuple(
            replace(invoice, customer=self._customers[invoice.customer.code]) for invoice in self._seen.values()
        )
        return Parsed(
            self._columns,
            invoices,
            tuple(rejections),
            self._passed_over,
            tuple(self._notes()),
            self._dates,
            self._decimals,
            self._cells,
        )

    def _take(self, record: Record) -> None:
        if record.problem is not None:
            raise RowRejected(None, "", record.problem)
        row = Row(self._columns, record)
        if not row.text(Field.NUMBER) and any(_TOTALS.fullmatch(cell.strip()) for cell in record.cells):
            return self._pass_over("a line of totals")
        row.check_width()
        invoice = self._invoice(row)
        if invoice is None:
            return self._pass_over("nothing is open")
        known = self._seen.get(invoice.number)
        if known is not None:
            if replace(known, line=0) == replace(invoice, line=0):
                return self._pass_over("the same row again")
            raise RowRejected(
                Field.NUMBER, invoice.number, f"this number stands on line {known.line} too, with something else"
            )
        self._seen[invoice.number] = invoice
        self._cells[invoice.line] = record.cells
        self._remember(invoice.customer)
        return None

    def _invoice(self, row: Row) -> OpenInvoice | None:
        number = row.required(Field.NUMBER, "the invoice's number")
        currency = self._currency(row)
        total, outstanding = self._amounts(row, currency)
        terms = self._terms(row)
        issued_on, due_on = self._days(row, terms)
        customer = self._customer(row)
        if outstanding.minor == 0:
            return None
        return OpenInvoice(
            line=row.line,
            number=number,
            customer=customer,
            issued_on=issued_on,
            due_on=due_on,
            total=total,
            outstanding=outstanding,
            terms=terms,
            policy=row.text(Field.POLICY) or self._options.policy,
            description=row.text(Field.DESCRIPTION) or None,
            purchase_order=row.text(Field.PURCHASE_ORDER) or None,
        )

    def _currency(self, row: Row) -> Currency:
        said = row.text(Field.CURRENCY).upper().rstrip(".")
        found = currency_of(row.text(Field.AMOUNT)) or currency_of(row.text(Field.OPEN))
        if not said:
            return found or self._options.currency
        said = {"RP": "IDR", "RUPIAH": "IDR", "US$": "USD", "DOLLAR": "USD"}.get(said, said)
        if said not in list(Currency):
            raise row.rejected(Field.CURRENCY, f"not a currency that is collected in: one of {', '.join(Currency)}")
        if found not in (None, Currency(said)):
            raise row.rejected(Field.CURRENCY, f"the amount itself is in {found}")
        return Currency(said)

    def _amounts(self, row: Row, currency: Currency) -> tuple[Money, Money]:
        amounts: dict[Field, Money] = {}
        for column in (Field.AMOUNT, Field.OPEN):
            if row.text(column):
                amounts[column] = row.read(column, lambda text: parse_amount(text, self._decimals, currency))
                if amounts[column].minor < 0:
                    raise row.rejected(column, "negative: a credit note is no open invoice")
        if not amounts:
            raise row.rejected(Field.AMOUNT if Field.AMOUNT in self._columns.index else Field.OPEN, "no amount")
        outstanding = amounts.get(Field.OPEN, amounts.get(Field.AMOUNT, Money(0, currency)))
        total = amounts.get(Field.AMOUNT, outstanding)
        if total < outstanding:
            raise row.rejected(Field.OPEN, "more is open than was invoiced")
        return total, outstanding

    def _days(self, row: Row, terms: Terms | None) -> tuple[date, date | None]:
        issued = row.read(Field.ISSUED, self._dates.parse) if row.text(Field.ISSUED) else None
        due = row.read(Field.DUE, self._dates.parse) if row.text(Field.DUE) else None
        if issued is None and (due is None or terms is None):
            raise row.rejected(Field.ISSUED, "no invoice date, and it takes a due date and terms to reckon it")
        if issued is None:
            assert due is not None and terms is not None
            issued = due - timedelta(days=terms.net_days)
        if due is not None and due < issued:
            raise row.rejected(Field.DUE, f"due before it was issued, read as {self._dates.pattern}")
        return issued, due

    def _terms(self, row: Row) -> Terms | None:
        text = row.text(Field.TERMS).lower()
        if not text:
            return self._options.terms
        if text in _CASH:
            return Terms(0)
        if days := re.fullmatch(r"(?:net|n|top)?\s*(\d{1,3})\s*(?:hari|days?|hr)?", text):
            text = f"net {days[1]}"
        return row.read(Field.TERMS, lambda _: Terms.parse(text))

    def _customer(self, row: Row) -> Customer:
        name, code = row.text(Field.CUSTOMER), row.text(Field.CUSTOMER_CODE)
        if not (name or code):
            raise row.rejected(Field.CUSTOMER, "no customer")
        language = row.text(Field.LANGUAGE).lower()
        if language and language not in _LANGUAGES:
            raise row.rejected(Field.LANGUAGE, "not a language that is written in: id or en")
        address = [text for text in (row.lines(Field.ADDRESS), row.text(Field.CITY)) if given(text)]
        zone_name = parse_zone(row.text(Field.ZONE), zone_of(address, self._options.time_zone))
        row.read(Field.ZONE, lambda _: zone(zone_name))
        return Customer(
            code=code or customer_code(name),
            name=name or code,
            language=_LANGUAGES.get(language, self._options.language),
            time_zone=zone_name,
            email=self._contact(row, Field.EMAIL, parse_email),
            phone=self._contact(row, Field.PHONE, lambda text: parse_phone(text, self._options.region)),
            contact_name=given(row.text(Field.CONTACT)) or None,
            address="\n".join(address) or None,
            website=given(row.text(Field.WEBSITE)) or None,
        )

    def _contact(self, row: Row, column: Field, read: Callable[[str], str | None]) -> str | None:
        try:
            return row.read(column, read)
        except RowRejected:
            if not self._options.lenient:
                raise
            self._left_out += 1
            return None

    def _remember(self, customer: Customer) -> None:
        known = self._customers.get(customer.code)
        if known is None:
            self._customers[customer.code] = customer
            return
        merged = replace(
            known,
            email=known.email or customer.email,
            phone=known.phone or customer.phone,
            contact_name=known.contact_name or customer.contact_name,
            address=known.address or customer.address,
            website=known.website or customer.website,
        )
        if any(
            getattr(customer, name) not in (None, getattr(merged, name))
            for name in ("name", "email", "phone", "time_zone")
        ):
            self._disagreeing.add(customer.code)
        self._customers[customer.code] = merged

    def _pass_over(self, why: str) -> None:
        self._passed_over[why] = self._passed_over.get(why, 0) + 1

    def _notes(self) -> Iterator[str]:
        if self._columns.unused:
            yield "not used: " + ", ".join(self._columns.unused)
        if self._disagreeing:
            codes = ", ".join(sorted(self._disagreeing)[:5]) + (" …" if len(self._disagreeing) > 5 else "")
            yield f"rows disagree about a customer's name, contact or zone, the first row holds: {codes}"
        if self._left_out:
            yield f"emails and phone numbers that could not be used, and were left out: {self._left_out}"
        if unreachable := sum(not customer.has_contact for customer in self._customers.values()):
            yield f"customers without email and phone, for whom a search for a contact will begin: {unreachable}"


def _cells(rows: list[Record], columns: Columns, *fields: Field) -> Iterator[Cell]:
    places = [columns.index[each] for each in fields if each in columns.index]
    for record in rows:
        if record.problem is not None or any(cell.strip() for cell in record.cells[len(columns.headers) :]):
            continue  # its cells may be shifted: no evidence
        for place in places:
            if place < len(record.cells) and record.cells[place].strip():
                yield Cell(record.line, record.cells[place])
