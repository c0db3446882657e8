"""The kind of route that everything below /v1 is: a key before anything is read, strict JSON, answers kept once."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Annotated, ClassVar, cast

from fastapi import Depends, Request, Response

from api import paths
from api.bodies import Handler, StrictRequest, StrictRoute
from api.errors import FieldError, Kind, Problem
from api.keys import authenticate
from api.services import Services
from lunas.ledger.idempotency import Slot, Stored, begin, finish, give_up
from lunas.ledger.keys import ApiKey

paths.register()  # before any route is written

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class KeyedRoute(StrictRoute):
    """A route that needs an API key, and that works a POST with an Idempotency-Key out once."""

    keeps_answers: ClassVar[bool] = True

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            services = cast(Services, request.app.state.services)
            request.state.key = await authenticate(services.ledger, request.headers.get("authorization"))
            written = request.headers.get(HEADER)
            if request.method != "POST" or written is None or not self.keeps_answers:
                return await handle(request)
            request.state.request_key = _checked(written)
            return await self._once(services, StrictRequest(request.scope, request.receive), handle)

        return keyed

    async def _once(self, services: Services, request: Request, handle: Handler) -> Response:
        """The first answer under this key. Only a success is kept: what failed may be tried again under its key."""
        key = cast(ApiKey, request.state.key)
        slot = Slot(key.prefix, f"{request.method} {self.path_format}"[:200], request.state.request_key)
        said = hashlib.sha256(request.scope["path"].encode() + b"\0" + await request.body()).hexdigest()
        async with services.ledger.write() as session:
            stored = await begin(session, slot, said)
        if stored is not None:
            return Response(stored.body, stored.status, {REPLAYED: "true"}, "application/json")
        try:
            response = await handle(request)
        except BaseException:
            await _free(services, slot)
            raise
        if response.status_code < 300:
            async with services.ledger.write() as session:
                await finish(session, slot, Stored(response.status_code, bytes(response.body).decode()))
        else:
            await _free(services, slot)
        return response


class SecretRoute(KeyedRoute):
    """A route whose answer holds a secret, and is kept nowhere."""

    keeps_answers = False


async def _free(services: Services, slot: Slot) -> None:
    async with services.ledger.write() as session:
        await give_up(session, slot)


def _checked(written: str) -> str:
    if _KEY.fullmatch(written):
        return written
    detail = "it is 1 to 200 visible ASCII characters, such as a UUID"
    raise Problem(
        Kind.INVALID, f"{HEADER}: {detail}", errors=[FieldError(where="header", pointer=f"/{HEADER}", detail=detail)]
    )


def _request_key(request: Request) -> str:
    """A name for this request that a repetition has too, if the client gave it an Idempotency-Key."""
    given: str | None = getattr(request.state, "request_key", None)
    if given is None:
        return str(uuid.uuid4())
    holder = cast(ApiKey, request.state.key)
    return hashlib.sha256(f"{holder.prefix} {request.scope['path']} {given}".encode()).hexdigest()


RequestKey = Annotated[str, Depends(_request_key)]
