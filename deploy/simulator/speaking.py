"""What the simulated providers have in common: who is asking, amounts, numbers and codes."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from decimal import Decimal, InvalidOperation
from typing import Any

from fastapi import HTTPException, Request


def basic_user(request: Request) -> str:
    """The user name of HTTP Basic, where the providers' secret keys travel; empty where there is none."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def same(given: str, expected: str) -> bool:
    """Whether two secrets are the same, in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request; 400 for anything else."""
    try:
        found = await request.json()
    except ValueError:
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return found


def hundredths(amount: object) -> int:
    """An amount in major units as hundredths; raises ValueError for what is none, or is not more than 0."""
    try:
        found = Decimal(str(amount)) * 100
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount") from None
    if not found.is_finite() or found != found.to_integral_value() or found <= 0:
        raise ValueError(f"{amount!r} is not an amount that can be paid")
    return int(found)


def digits(count: int) -> str:
    """So many random digits."""
    return "".join(secrets.choice("0123456789") for _ in range(count))


def qris(minor: int, reference: str) -> str:
    """A dynamic QRIS code of a merchant that does not exist; no app can pay it."""

    def item(id_: str, value: str) -> str:
        return f"{id_}{len(value):02d}{value}"

    merchant = item("00", "ID.CO.SIMULATOR.WWW") + item("01", "936000000000000000") + item("03", "UMI")
    row = (
        item("00", "01") + item("01", "12") + item("26", merchant) + item("52", "5999") + item("53", "360")
        + item("54", str(minor // 100)) + item("58", "ID") + item("59", "SIMULATOR") + item("60", "JAKARTA")
        + item("62", item("01", reference[:25])) + "6304"
    )  # fmt: skip
    return row + f"{binascii.crc_hqx(row.encode(), 0xFFFF):04X}"
