"""What the tests send, and the short ways to send it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx2

NUMBER = "INV/2026/11/0042"
TOTAL = 1_250_000_000


def customer(code: str = "ACME", **other: Any) -> dict[str, Any]:
    contact = {"name": "Siti", "email": "siti@acme.example", "phone": "+6281234567890"}
    return {"code": code, "name": f"PT {code}", "contacts": [contact], **other}


def invoice(number: str = NUMBER, **other: Any) -> dict[str, Any]:
    line = {"description": "Beras 25 kg", "quantity": "2", "unit_price_minor": TOTAL // 2}
    return {
        "number": number,
        "customer": "ACME",
        "currency": "IDR",
        "issued_on": "2026-11-01",
        "lines": [line],
        **other,
    }


def payment(reference: str = "trx-1", **other: Any) -> dict[str, Any]:
    return {
        "provider": "bca",
        "reference": reference,
        "invoice": NUMBER,
        "amount_minor": TOTAL,
        "currency": "IDR",
        "paid_on": "2026-11-20",
        **other,
    }


def at(number: str = NUMBER, rest: str = "") -> str:
    """The path of an invoice, or of something of it."""
    return f"/v1/invoices/{quote(number, safe='')}{rest}"


async def issued(http: httpx2.AsyncClient, **other: Any) -> dict[str, Any]:
    """A customer and an invoice of it."""
    assert (await http.post("/v1/customers", json=customer())).status_code == 201
    response = await http.post("/v1/invoices", json=invoice(**other))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def problem(response: httpx2.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem of the response, which must be one of that kind."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = response.json()
    assert said["type"] == f"urn:lunas:problem:{kind}"
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    return said
