"""Policies as invoices carry them: stored once, under the digest of their text, and never changed."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from sqlalchemy import select

from lunas.ledger.database import LedgerSession, WriteSession, insert_or_ignore
from lunas.ledger.documents import digest, policy_text, read_policy
from lunas.ledger.tables import PolicyRow
from lunas.receivables.policy import Policy

_KEPT = 256
_cache: OrderedDict[str, Policy] = OrderedDict()


async def keep_policy(session: WriteSession, policy: Policy) -> str:
    """Store the policy unless it is there already; returns its digest."""
    key = policy_digest(policy)
    await session.execute(
        insert_or_ignore(session, PolicyRow, "digest").values(
            digest=key,
            name=policy.name,
            version=policy.version,
            document=policy_text(policy),
            created_at=session.clock(),
        )
    )
    return key


@lru_cache(maxsize=_KEPT)
def policy_digest(policy: Policy) -> str:
    """The digest under which the policy is stored, or would be."""
    return digest(policy_text(policy))


async def policy_under(session: LedgerSession, key: str) -> Policy:
    """The policy under that digest. What a digest stands for cannot change, so it is read and parsed once."""
    if (known := _cache.get(key)) is not None:
        _cache.move_to_end(key)
        return known
    text = (await session.scalars(select(PolicyRow.document).where(PolicyRow.digest == key))).one()
    policy = _cache[key] = read_policy(text)
    if len(_cache) > _KEPT:
        _cache.popitem(last=False)
    return policy
