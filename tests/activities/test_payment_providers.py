"""The plainest way to pay: what a customer is told, and when there is nothing to tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from activities.payment_providers import BankTransferOffer, NothingToPay, OfferNotReady, PaymentOfferProvider
from lunas.briefs import InvoiceBrief
from lunas.company import BankAccount, Company
from lunas.receivables.money import Currency, Money

COMPANY = Company(
    name="PT Contoh",
    postal_address="Jl. Melati 8",
    email="ar@contoh.example",
    phone="+62 21 555 0100",
    tax_id="",
    accounts=(
        BankAccount("BCA", "123 456 7890", "PT Contoh"),
        BankAccount("Mandiri", "98-76-54", "PT Contoh"),
        BankAccount("BCA", "555", "PT Contoh Cabang"),
    ),
    public_url="https://lunas.example",
    mail_address="ar@contoh.example",
    mail_name="Contoh",
)
INVOICE = InvoiceBrief(
    number="INV/2026/11/0042",
    issued_on=date(2026, 10, 1),
    due_on=date(2026, 10, 31),
    total=Money(1_250_000_000, Currency.IDR),
    balance=Money(750_000_000, Currency.IDR),
    lines=(),
)


async def test_a_transfer_names_every_account_the_amount_and_the_number_to_quote() -> None:
    provider: PaymentOfferProvider = BankTransferOffer(COMPANY)
    offer = await provider.prepare(INVOICE, "k1", pay_url="https://lunas.example/pay/x")
    assert offer.method == "bank_transfer"
    assert offer.amount == INVOICE.balance
    assert offer.instructions == (
        ("BCA 1", "123 456 7890, a.n. PT Contoh"),
        ("Mandiri", "98-76-54, a.n. PT Contoh"),
        ("BCA 2", "555, a.n. PT Contoh Cabang"),
        ("Yang perlu dibayar", "Rp 7.500.000"),
        ("Nomor faktur", "INV/2026/11/0042"),
    )
    assert len(dict(offer.instructions)) == len(offer.instructions)
    assert offer.url == "https://lunas.example/pay/x"
    assert offer.expires_on is None


async def test_it_is_in_the_customers_language() -> None:
    offer = await BankTransferOffer(COMPANY).prepare(INVOICE, "k1", language="en")
    assert offer.instructions[-2:] == (("Amount to pay", "IDR 7,500,000"), ("Invoice number", "INV/2026/11/0042"))


async def test_the_same_balance_gives_the_same_offer_and_another_balance_another() -> None:
    provider = BankTransferOffer(COMPANY)
    first = await provider.prepare(INVOICE, "k1")
    assert await provider.prepare(INVOICE, "k1") == first
    after_part = await provider.prepare(replace(INVOICE, balance=Money(100, Currency.IDR)), "k1")
    assert after_part.reference != first.reference
    await provider.void(first.reference, "k1")


@pytest.mark.parametrize("minor", [0, -1])
async def test_nothing_is_offered_for_nothing(minor: int) -> None:
    with pytest.raises(NothingToPay, match="INV/2026/11/0042"):
        await BankTransferOffer(COMPANY).prepare(replace(INVOICE, balance=Money(minor, Currency.IDR)), "k1")


async def test_without_accounts_it_says_what_to_set() -> None:
    with pytest.raises(OfferNotReady, match="LUNAS_COMPANY_ACCOUNTS"):
        await BankTransferOffer(replace(COMPANY, accounts=())).prepare(INVOICE, "k1")


async def test_phrases_can_be_overridden(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "id.toml").write_text('[document]\nto_pay = "Mohon dibayar"\n')
    offer = await BankTransferOffer(COMPANY, tmp_path).prepare(INVOICE, "k1")
    assert ("Mohon dibayar", "Rp 7.500.000") in offer.instructions
