"""Keys to the API: 256 random bits, shown once. The ledger keeps a prefix, to find it by, and a digest, to check it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select

from lunas.ledger.database import DatabaseClock, LedgerSession, WriteSession
from lunas.ledger.documents import digest
from lunas.ledger.errors import NotFound
from lunas.ledger.tables import ApiKeyRow

_MARK = "lunas"
_BY_PREFIX = select(ApiKeyRow, DatabaseClock()).where(ApiKeyRow.prefix == bindparam("prefix"))


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that was verified: who holds it, and what it opens."""

    id: int
    prefix: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None


async def create_key(
    session: WriteSession, *, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> str:
    """Make a key and return it: nobody can read it again. A holder may have two, so that it can change them."""
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = f"{_MARK}_{prefix}_{secret}"
    session.add(
        ApiKeyRow(
            prefix=prefix,
            digest=digest(key),
            name=name,
            scopes=" ".join(sorted(set(scopes))),
            created_at=await session.now(),
            expires_at=expires_at,
        )
    )
    await session.flush()
    return key


async def verify_key(session: LedgerSession, key: str) -> ApiKey | None:
    """The key's holder; None for a key that is unknown, expired or revoked, without a word about which."""
    mark, _, rest = key.partition("_")
    prefix, _, secret = rest.partition("_")
    if mark != _MARK or not secret:
        return None
    found = (await session.execute(_BY_PREFIX, {"prefix": prefix})).one_or_none()
    if found is None:
        return None
    row, now = found[0], session.moment(found[1])
    if not hmac.compare_digest(row.digest, digest(key)):
        return None
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return _view(row)


async def revoke_key(session: WriteSession, prefix: str) -> None:
    """From now on the key opens nothing; raises NotFound."""
    row = await session.scalar(select(ApiKeyRow).where(ApiKeyRow.prefix == prefix))
    if row is None:
        raise NotFound(f"there is no key {prefix!r}: give the middle part of it, as the list of keys shows it")
    row.revoked_at = row.revoked_at or await session.now()
    await session.flush()


async def keys(session: LedgerSession) -> tuple[ApiKey, ...]:
    """The keys that were not revoked, oldest first."""
    rows = await session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None)).order_by(ApiKeyRow.id))
    return tuple(_view(row) for row in rows)


def _view(row: ApiKeyRow) -> ApiKey:
    return ApiKey(row.id, row.prefix, row.name, frozenset(row.scopes.split()), row.expires_at)
