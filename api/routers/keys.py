"""API keys: made, listed without their secrets, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.errors import EVERYWHERE, NAMED, SENT, documented
from api.keys import Admin
from api.routes import SecretRoute
from api.schemas.upkeep import KeyBody, KeyList, KeyView, NewKeyView
from api.services import House
from lunas.ledger import keys

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=SecretRoute)

Prefix = Annotated[str, Path(pattern=r"^[0-9a-f]{1,16}$", description="The middle part of the key")]


@router.post("", status_code=201, responses=documented(*EVERYWHERE, *SENT))
async def create_key(body: KeyBody, house: House, key: Admin, response: Response) -> NewKeyView:
    """Make an API key. It is shown this once; only its digest is kept. An Idempotency-Key has no effect here."""
    async with house.ledger.write() as session:
        expires = await session.now() + timedelta(days=body.days) if body.days else None
        made = await keys.create_key(session, name=body.name, scopes=body.scopes, expires_at=expires)
    response.headers["Cache-Control"] = "no-store"
    return NewKeyView(key=made)


@router.get("", responses=documented(*EVERYWHERE))
async def list_keys(house: House, key: Admin) -> KeyList:
    """The keys that were not revoked, without their secrets."""
    async with house.ledger.read() as session:
        found = await keys.keys(session)
    return KeyList(
        keys=[
            KeyView(prefix=one.prefix, name=one.name, scopes=sorted(one.scopes), expires_at=one.expires_at)
            for one in found
        ]
    )


@router.delete("/{prefix}", status_code=204, responses=documented(*NAMED))
async def revoke_key(prefix: Prefix, house: House, key: Admin) -> None:
    """From now on the key opens nothing."""
    async with house.ledger.write() as session:
        await keys.revoke_key(session, prefix)
