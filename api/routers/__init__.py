"""One router a noun, each with its whole path; `EVERY` is what the application serves."""

from __future__ import annotations

from api.routers import (
    contacts,
    customers,
    findings,
    health,
    invoices,
    keys,
    payments,
    plans,
    replies,
    requests,
    sending,
)

EVERY = (
    customers.router,
    invoices.router,
    payments.router,
    requests.router,
    contacts.router,
    replies.router,
    findings.router,
    sending.router,
    plans.router,
    keys.router,
    health.router,
)
