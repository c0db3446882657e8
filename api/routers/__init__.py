"""One router a noun, each with its whole path; `EVERY` is what the application serves."""

from __future__ import annotations

from api.routers import (
    charges,
    contacts,
    customers,
    findings,
    health,
    invoices,
    keys,
    links,
    payments,
    plans,
    provider_events,
    replies,
    requests,
    sending,
    upkeep,
    webhooks,
)

EVERY = (
    customers.router,
    invoices.router,
    payments.router,
    provider_events.router,
    charges.router,
    requests.router,
    upkeep.router,
    contacts.router,
    replies.router,
    findings.router,
    links.router,
    sending.router,
    plans.router,
    webhooks.router,
    keys.router,
    health.router,
)
