"""QRIS codes: their checksum, their data objects, and a merchant's printed code made to ask for one amount."""

from __future__ import annotations

import contextlib
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunas.providers.qris import Item, Qris, QrisError, build, checksum, parse, qr_png, qr_svg, sealed
from lunas.receivables.money import Currency, Money

ACCOUNT = Item("26", "0016ID.CO.EXAMPLE.WWW01189360000012345678900303UMI")
STATIC_ITEMS = (
    Item("00", "01"),
    Item("01", "11"),
    ACCOUNT,
    Item("52", "5999"),
    Item("53", "360"),
    Item("58", "ID"),
    Item("59", "TOKO CONTOH"),
    Item("60", "JAKARTA"),
    Item("61", "12345"),
    Item("62", "0703A01"),
)
STATIC = sealed(STATIC_ITEMS)
REFERENCE = "LN-0123456789abcdef0123"


def rupiah(major: int) -> Money:
    return Money(major * 100, Currency.IDR)


def without(id_: str) -> str:
    return sealed([item for item in STATIC_ITEMS if item.id != id_])


def altered(id_: str, value: str) -> str:
    return sealed([Item(id_, value) if item.id == id_ else item for item in STATIC_ITEMS])


@pytest.mark.parametrize(
    ("text", "crc"),
    [
        ("123456789", "29B1"),  # the check value of CRC-16/CCITT-FALSE
        ("", "FFFF"),
        ("A", "B915"),
    ],
)
def test_the_checksum_is_the_standards(text: str, crc: str) -> None:
    assert checksum(text) == crc


def test_a_printed_code_is_read() -> None:
    code = Qris.read(f"  {STATIC}\n")
    assert (code.merchant, code.is_dynamic, code.amount, code.reference) == ("TOKO CONTOH", False, None, None)
    assert code.payload == STATIC


def test_it_is_made_to_ask_for_one_amount_with_our_reference() -> None:
    code = Qris.read(STATIC).made_dynamic(rupiah(1_250_000), REFERENCE)
    assert (code.is_dynamic, code.amount, code.reference) == (True, rupiah(1_250_000), REFERENCE)
    again = Qris.read(code.payload)
    assert again == code
    assert again.value("54") == "1250000"
    assert parse(again.value("62") or "") == (Item("01", REFERENCE), Item("05", REFERENCE), Item("07", "A01"))
    assert [item.id for item in again.items] == sorted(item.id for item in again.items)
    kept = {item.id for item in STATIC_ITEMS} - {"01", "62"}
    assert all(again.value(id_) == Qris.read(STATIC).value(id_) for id_ in kept), "the merchant's own data stays"


def test_a_fee_that_the_printed_code_adds_is_left_out() -> None:
    payload = sealed(sorted([*STATIC_ITEMS, Item("55", "02"), Item("56", "500")], key=lambda item: item.id))
    code = Qris.read(payload).made_dynamic(rupiah(10), REFERENCE)
    assert code.value("55") is None
    assert code.value("56") is None


def test_a_long_additional_field_gives_way_to_our_reference() -> None:
    code = Qris.read(altered("62", build([Item("03", "x" * 60)]))).made_dynamic(rupiah(10), REFERENCE)
    assert code.reference == REFERENCE


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ("", "there is no QRIS payload"),
        ("hello", "length of two digits"),
        (STATIC[:-1], "cut off"),
        (STATIC[:-4] + "0000", "checksum"),
        (STATIC.replace("TOKO", "TOKI"), "a character was changed"),
        (without("26"), "merchant account"),
        (without("59"), "merchant"),
        (without("53"), "currency"),
        (altered("53", "840"), "rupiah"),
        (altered("58", "SG"), "rupiah in Indonesia"),
        (altered("01", "13"), "11 .static. or 12"),
        (altered("62", "0799A"), "cut off"),
        (sealed(STATIC_ITEMS[1:]), "does not begin with 000201"),
        (build(STATIC_ITEMS), "does not end with its checksum"),
        (sealed([*STATIC_ITEMS[:5], Item("53", "360"), *STATIC_ITEMS[5:]]), "stands there twice"),
    ],
)
def test_what_is_no_qris_code_is_refused_and_the_reason_is_said(payload: str, complaint: str) -> None:
    with pytest.raises(QrisError, match=complaint):
        Qris.read(payload)


@pytest.mark.parametrize(
    ("amount", "reference", "complaint"),
    [
        (Money(150, Currency.IDR), REFERENCE, "whole rupiah"),
        (Money(0, Currency.IDR), REFERENCE, "more than 0"),
        (Money(100, Currency.USD), REFERENCE, "whole rupiah"),
        (rupiah(1), "x" * 26, "1 to 25"),
        (rupiah(1), "", "1 to 25"),
        (rupiah(1), "jalan–melati", "letters and digits"),
    ],
)
def test_an_amount_or_a_reference_that_a_code_cannot_hold_is_refused(
    amount: Money, reference: str, complaint: str
) -> None:
    with pytest.raises(QrisError, match=complaint):
        Qris.read(STATIC).made_dynamic(amount, reference)


def test_a_code_that_names_an_amount_is_not_given_another() -> None:
    code = Qris.read(STATIC).made_dynamic(rupiah(5), REFERENCE)
    with pytest.raises(QrisError, match="dynamic already"):
        code.made_dynamic(rupiah(6), REFERENCE)


ITEMS = st.lists(
    st.builds(
        Item,
        st.integers(0, 99).map("{:02d}".format),
        st.text(string.ascii_letters + string.digits + " .-/", min_size=1, max_size=99),
    ),
    max_size=8,
    unique_by=lambda item: item.id,
)


@given(ITEMS)
def test_what_is_built_is_parsed_again(items: list[Item]) -> None:
    assert list(parse(build(items))) == items


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(QrisError):
        assert build(parse(text)) == text


@given(st.integers(1, 9_999_999_999), st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=25))
def test_every_amount_and_reference_come_back(major: int, reference: str) -> None:
    code = Qris.read(Qris.read(STATIC).made_dynamic(rupiah(major), reference).payload)
    assert (code.amount, code.reference) == (rupiah(major), reference)


@given(st.integers(0, len(STATIC) - 5), st.sampled_from("0123456789ABCDEFxyz"))
def test_a_slip_of_one_character_is_noticed(at: int, other: str) -> None:
    slipped = STATIC[:at] + other + STATIC[at + 1 :]
    if slipped != STATIC:
        with pytest.raises(QrisError):
            Qris.read(slipped)


def test_it_is_drawn_for_pages_and_for_mails() -> None:
    svg = qr_svg(STATIC)
    assert svg.startswith("<svg ")
    assert "script" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert re.search(r'width="(\d+)" height="\1"', svg)
    assert re.search(r'viewBox="0 0 (\d+) \1"', svg), "a width in a style scales it, and does not cut it off"
    assert qr_png(STATIC).startswith(b"\x89PNG")
