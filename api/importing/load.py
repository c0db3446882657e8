"""Invoices go to the API, several at once. Safe to run again: a number that is there already is left as it is.

What was done is noted beside the file as it goes, so that an import of many rows that was interrupted goes on where it
stopped; without that note it would only take longer, because every step is idempotent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self, TypeVar

from api.importing.columns import Field
from api.importing.model import Customer, OpenInvoice, Parsed, Rejection
from api.importing.row import shape
from lunas.receivables.money import Money

_T = TypeVar("_T")

#: Requests in flight: the ledger writes one at a time, so more would only wait there.
AT_ONCE = 8
#: How often, and after how many seconds, a request is sent again that the API could not take.
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)


class Declined(Exception):
    """The API said no, in a sentence; sending it again would not help."""


class Unavailable(Exception):
    """The API could not be reached, or could not take the request just now."""


class ImportInterrupted(Exception):
    """The API went away in the middle; what was done is noted, and the same command goes on from there."""


class Register(Protocol):
    """The API as an import needs it. Each method raises Declined or Unavailable."""

    async def keep_customer(self, customer: Customer) -> None:
        """Write the customer down, unless its code is known."""
        ...

    async def open_balance(self, number: str) -> Money | None:
        """What is open on that invoice; None where there is none."""
        ...

    async def book_earlier_payment(self, invoice: OpenInvoice) -> None:
        """Book what was paid on the invoice before it came to us; once, however often this is called."""
        ...

    async def issue(self, invoice: OpenInvoice) -> None:
        """Issue the invoice; harmless where it is there already and says the same."""
        ...


class Result(StrEnum):
    """What became of a row."""

    ISSUED = "issued"
    UNCHANGED = "unchanged"
    NOT_TAKEN = "not taken"


@dataclass(slots=True)
class Loaded:
    """What became of all rows."""

    issued: int = 0
    unchanged: int = 0
    rejections: list[Rejection] = field(default_factory=list)


async def load(
    parsed: Parsed, register: Register, note: Note, step: Callable[[], None], *, at_once: int = AT_ONCE
) -> Loaded:
    """Issue every invoice that `note` does not know as done; `step` is called after each.

    Raises ImportInterrupted where the API stays away.
    """
    waiting = [invoice for invoice in parsed.invoices if invoice.line not in note.done]
    loaded = Loaded(unchanged=len(parsed.invoices) - len(waiting))
    for _ in range(loaded.unchanged):
        step()
    try:
        refused = await _customers(waiting, register, at_once)
        bring = partial(_bring, register, refused)
        async with aclosing(_several(bring, waiting, at_once)) as brought:
            async for invoice, result, why in brought:
                if result is Result.NOT_TAKEN:
                    loaded.rejections.append(_rejection(parsed, invoice, why))
                else:
                    note.add(invoice.line)
                loaded.issued += result is Result.ISSUED
                loaded.unchanged += result is Result.UNCHANGED
                step()
    except Unavailable as away:
        raise ImportInterrupted(
            f"{away}; {loaded.issued} invoices were issued before, and the same command goes on from there"
        ) from away
    return loaded


async def _customers(waiting: Sequence[OpenInvoice], register: Register, at_once: int) -> Mapping[str, str]:
    """Write every customer down; the answer says of those that were not taken why."""

    async def keep(customer: Customer) -> tuple[str, str | None]:
        try:
            await _insisting(lambda: register.keep_customer(customer))
        except Declined as said:
            return customer.code, str(said)
        return customer.code, None

    customers = {invoice.customer.code: invoice.customer for invoice in waiting}
    async with aclosing(_several(keep, customers.values(), at_once)) as kept:
        return {code: why async for code, why in kept if why is not None}


async def _bring(
    register: Register, refused: Mapping[str, str], invoice: OpenInvoice
) -> tuple[OpenInvoice, Result, str]:
    if (why := refused.get(invoice.customer.code)) is not None:
        return invoice, Result.NOT_TAKEN, f"its customer was not taken: {why}"
    try:
        return invoice, await _issue(register, invoice), ""
    except Declined as said:
        return invoice, Result.NOT_TAKEN, str(said)


async def _issue(register: Register, invoice: OpenInvoice) -> Result:
    """Issue one invoice. What was paid before is booked first, so that no notice ever asks for it."""
    known = await _insisting(lambda: register.open_balance(invoice.number))
    if known is None and invoice.outstanding < invoice.total:
        await _insisting(lambda: register.book_earlier_payment(invoice))
    await _insisting(lambda: register.issue(invoice))
    if known is None:
        return Result.ISSUED
    if invoice.outstanding < known:
        raise Declined(
            f"it is there already with {known} open, and the file says {invoice.outstanding}: book what was paid with "
            "`lunas pay`, or issue a credit note"
        )
    return Result.UNCHANGED


async def _insisting(ask: Callable[[], Awaitable[_T]]) -> _T:
    """The answer, asked for again while the API cannot take it; raises Unavailable when it stays so."""
    for wait in WAITS:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(wait)
    return await ask()


_In = TypeVar("_In")


async def _several(do: Callable[[_In], Awaitable[_T]], items: Iterable[_In], at_once: int) -> AsyncGenerator[_T, None]:
    """The results as they come, with so many under way; after an error nothing new is begun."""
    begun: set[asyncio.Future[_T]] = set()
    coming = iter(items)
    try:
        while True:
            for item in coming:
                begun.add(asyncio.ensure_future(do(item)))
                if len(begun) >= at_once:
                    break
            if not begun:
                return
            done, _ = await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                yield each.result()
            begun -= done
    finally:
        for each in begun:
            each.cancel()
        # Each is looked at, so that a second error in the same moment is not mourned later as never retrieved.
        await asyncio.gather(*begun, return_exceptions=True)


def _rejection(parsed: Parsed, invoice: OpenInvoice, why: str) -> Rejection:
    return Rejection(
        invoice.line, parsed.columns.name(Field.NUMBER), shape(invoice.number), why, parsed.cells[invoice.line]
    )


class Note:
    """What was done of one file, as a file beside it: line by line, written as it happens."""

    def __init__(self, path: Path, of: str, done: frozenset[int]) -> None:
        self.done = done
        self._path = path
        self._of = of
        self._file: IO[str] | None = None

    @classmethod
    def beside(cls, source: Path, data: bytes, *about: object) -> Note:
        """The note of an earlier, interrupted import of the same bytes with the same options; else an empty one."""
        digest = hashlib.sha256(data)
        digest.update(repr(about).encode())
        of, path = digest.hexdigest(), source.with_name(f".{source.name}.imported")
        try:
            first, *rest = path.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            first, rest = "", []
        done = frozenset(int(line) for line in rest if line.isdecimal()) if first == of else frozenset[int]()
        return cls(path, of, done)

    def add(self, line: int) -> None:
        """That line is done."""
        assert self._file is not None
        self._file.write(f"{line}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        self._file = self._path.open("a" if self.done else "w", encoding="utf-8")
        if not self.done:
            self._file.write(f"{self._of}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keeps the note where the import was interrupted; an import that has ended needs none."""
        assert self._file is not None
        self._file.close()
        if kind is None:
            self._path.unlink(missing_ok=True)
