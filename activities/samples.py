"""Made-up notices that between them say everything a notice can say: for the check at start-up and for previews."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from lunas.briefs import EarlyPayment, InvoiceBrief, Line, NoticeBrief, PaymentWay, Promised, Recipient
from lunas.ledger.offers import BANK_TRANSFER
from lunas.receivables.ladder import Channel, Tone
from lunas.receivables.money import Currency, Money

TODAY = date(2026, 11, 20)
WAYS = (
    PaymentWay(
        BANK_TRANSFER,
        (("Bank Mandiri", "123-00-4567890-1, a.n. PT Contoh"), ("BCA", "521-0987654, a.n. PT Contoh")),
    ),
    PaymentWay(
        "virtual_account", (("BNI", "8077 1234 5678 9012"),), "https://pay.example/va/8077", TODAY + timedelta(days=10)
    ),
)


def rupiah(major: int) -> Money:
    """So many whole rupiah."""
    return Money(major * 100, Currency.IDR)


def invoice(number: str, *, days_late: int, total: int, balance: int | None = None) -> InvoiceBrief:
    """An invoice of `total` rupiah that is so many days past due, with `balance` of it open."""
    half = rupiah(total // 2)
    return InvoiceBrief(
        number=number,
        issued_on=TODAY - timedelta(days=days_late + 30),
        due_on=TODAY - timedelta(days=days_late),
        total=rupiah(total),
        balance=rupiah(total if balance is None else balance),
        lines=(
            Line("Jasa pemeliharaan jaringan, November 2026", "1", half, half),
            Line("Sewa perangkat", "2.5", rupiah(total // 5), half),
        ),
    )


def notices(kind: str, language: str, channel: Channel) -> Iterator[NoticeBrief]:
    """Notices of one kind in every form that its templates tell apart."""
    plain = invoice("INV/2026/11/0042", days_late=-7, total=12_500_000)
    early = EarlyPayment(rupiah(250_000), TODAY + timedelta(days=3))
    lead = replace(plain, purchase_order="PO-7781", early_payment=early)
    to = Recipient("C-0042", "PT Sinar Abadi", "Sari Wulandari", "sari@sinar.example", language)
    basic = NoticeBrief(
        kind=kind,
        channel=channel,
        tone=Tone.FRIENDLY,
        ordinal=1,
        today=TODAY,
        to=to,
        invoices=(lead,),
        message_id="<sample@lunas.example>",
        first_mail=True,
        pay_by=TODAY + timedelta(days=10),
        paid=rupiah(7_500_000),
    )
    yield basic
    yield replace(basic, to=replace(to, contact_name=None), first_mail=False)
    yield replace(basic, to=replace(to, contact_name="Ibu Sari"), invoices=(replace(lead, balance=rupiah(0)),))
    for days_late in (-1, 0, 1, 28):
        late = invoice("INV/2026/11/0042", days_late=days_late, total=12_500_000, balance=5_000_000)
        for tone in Tone:
            for ordinal in (1, 4):
                yield replace(basic, tone=tone, ordinal=ordinal, invoices=(late,))
    others = (lead, replace(plain, number="INV/2026/10/0017", balance=rupiah(0)))
    parts = [Promised(TODAY + timedelta(days=10 * part), rupiah(2_500_000)) for part in (1, 2, 3)]
    yield replace(basic, ways=WAYS, promised=tuple(parts[:1]))
    yield replace(basic, promised=tuple(parts))
    yield replace(basic, invoices=others)
    yield replace(basic, tone=Tone.FIRM, invoices=tuple(replace(each, balance=rupiah(0)) for each in others))
