"""Who asks: API keys and their scopes. Everything below /v1 needs a key; each route names the scope that opens it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from api.errors import Kind, Problem
from lunas.ledger.database import Ledger
from lunas.ledger.keys import ApiKey, verify_key

_LONGEST_KEY = 200


class Scope(StrEnum):
    """What a key may open; `admin` opens everything."""

    READ = "read"
    WRITE_INVOICES = "write:invoices"
    WRITE_PAYMENTS = "write:payments"
    DECIDE = "decide"
    ADMIN = "admin"


#: What each scope is for, as the documentation says it.
SCOPES: dict[Scope, str] = {
    Scope.READ: "read invoices, customers, journals and decisions",
    Scope.WRITE_INVOICES: "write customers, contacts, invoices and credit notes",
    Scope.WRITE_PAYMENTS: "book payments and reversals",
    Scope.DECIDE: "promises, disputes, pauses, placements, write-offs and the like",
    Scope.ADMIN: "everything, API keys and the switch that stops all sending too",
}

_bearer = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="lunas_<prefix>_<secret>",
    description="An API key. Scopes: " + "; ".join(f"`{scope}`: {what}" for scope, what in SCOPES.items()) + ".",
    auto_error=False,
)


async def authenticate(ledger: Ledger, header: str | None) -> ApiKey:
    """The key of an `Authorization` header; raises a 401 problem that says nothing about why a key is not valid."""
    if not header:
        raise _unauthenticated("no API key: send `Authorization: Bearer lunas_…`", 'Bearer realm="lunas"')
    scheme, _, key = header.partition(" ")
    if scheme.lower() == "bearer" and key.isascii() and len(key) <= _LONGEST_KEY:
        async with ledger.read() as session:
            known = await verify_key(session, key.strip())
        if known is not None:
            return known
    raise _unauthenticated(
        "the API key is not valid: it may be mistyped, expired or revoked; `lunas keys` makes a new one",
        'Bearer realm="lunas", error="invalid_token"',
    )


def _unauthenticated(detail: str, challenge: str) -> Problem:
    return Problem(Kind.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


async def _holder(request: Request, needed: SecurityScopes, _: Annotated[Any, Depends(_bearer)]) -> ApiKey:
    """The key that the route has authenticated, if its scopes open the route."""
    key = cast(ApiKey, request.state.key)
    missing = [scope for scope in needed.scopes if scope not in key.scopes]
    if missing and Scope.ADMIN not in key.scopes:
        have = ", ".join(sorted(key.scopes)) or "none"
        raise Problem(Kind.FORBIDDEN, f"this needs a key with the scope {missing[0]}; yours has {have}")
    return key


Reader = Annotated[ApiKey, Security(_holder, scopes=[Scope.READ])]
Issuer = Annotated[ApiKey, Security(_holder, scopes=[Scope.WRITE_INVOICES])]
Cashier = Annotated[ApiKey, Security(_holder, scopes=[Scope.WRITE_PAYMENTS])]
Decider = Annotated[ApiKey, Security(_holder, scopes=[Scope.DECIDE])]
Admin = Annotated[ApiKey, Security(_holder, scopes=[Scope.ADMIN])]


def signed(by: str | None, key: ApiKey) -> str:
    """The name that the journal keeps: the person's, with that of the key that vouches for it."""
    return f"{by}, by key {key.name}" if by else f"key {key.name}"
