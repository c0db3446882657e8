"""One delivery: verify it, keep it, book it, wait until nothing can leave any more, and only then acknowledge it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from fastapi import BackgroundTasks, Request

from api.errors import Problem
from api.quiet import until_quiet
from api.services import Services
from lunas.ledger.kinds import BookingState
from lunas.ledger.provider_events import Kept, keep_reading
from lunas.providers.dialects import DIALECTS, Dialect
from lunas.providers.events import DeliveryError, EventKind, Forged, Malformed, ProviderEvent, Stale
from lunas.providers.rsa import BadKey
from lunas.receivables.calendar import zone
from lunas.settings import Settings

#: No notification of any provider comes near this many bytes.
MOST_BYTES = 65_536


class Result(StrEnum):
    """What became of a delivery; the metric `lunas_provider_deliveries` counts them by these words."""

    ACCEPTED = "accepted"  # booked, or kept where it moves no money
    DUPLICATE = "duplicate"  # settled before
    REFUSED = "refused"  # kept, and contradicts what is booked: a person decides
    WAITING = "waiting"  # kept, and not booked yet, or a message may still leave: deliver it again
    CONFLICT = "conflict"  # its id stands for something else
    FORGED = "forged"
    STALE = "stale"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"

    @property
    def is_acknowledged(self) -> bool:
        """Whether the provider is done with it."""
        return self in (Result.ACCEPTED, Result.DUPLICATE, Result.REFUSED)


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery and its result; `error` says why it was not believed, `raw` is its body."""

    result: Result
    raw: bytes = b""
    error: DeliveryError | None = None


def dialect_of(house: Services, provider: str) -> Dialect | None:
    """The dialect of a provider that is switched on."""
    return DIALECTS.get(provider) if house.settings.webhook_keys(provider) else None


def check_keys(settings: Settings) -> None:
    """Find out now what would otherwise fail with the first delivery; raises BadKey, which names the setting."""
    for name, dialect in DIALECTS.items():
        for key in settings.webhook_keys(name):
            try:
                if dialect.check_key is not None:
                    dialect.check_key(key)
            except BadKey as error:
                raise BadKey(f"a webhook key of {name} cannot be used: {error}") from None


async def receive(house: Services, dialect: Dialect, request: Request, later: BackgroundTasks) -> Received:
    """Take one delivery in, and count what became of it."""
    received = await _received(house, dialect, request, later)
    house.metrics.delivered(dialect.name, received.result.value)
    return received


async def _received(house: Services, dialect: Dialect, request: Request, later: BackgroundTasks) -> Received:
    raw = await _body(request)
    if raw is None:
        return Received(Result.TOO_LARGE)
    try:
        said = believed(house, dialect, request, raw)
    except Forged as error:
        return Received(Result.FORGED, raw, error)
    except Stale as error:
        return Received(Result.STALE, raw, error)
    except Malformed as error:
        return Received(Result.MALFORMED, raw, error)
    signed = dialect.confirm is None
    async with house.ledger.write() as session:
        kept = await keep_reading(session, said, raw=raw, verification=dialect.verification, confirmed=signed)
    if signed and not kept.same:
        return Received(Result.CONFLICT, raw)
    return Received(await _settled(house, kept, later), raw)


def believed(house: Services, dialect: Dialect, request: Request, raw: bytes) -> ProviderEvent:
    """What a delivery says; raises DeliveryError where it is not to be believed."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    keys = house.settings.webhook_keys(dialect.name)
    dialect.verify(raw, headers, public_path(house, request), keys, datetime.now(UTC))
    return dialect.read(raw, headers, zone(house.settings.company_time_zone))


def public_path(house: Services, request: Request) -> str:
    """The path that the provider was given, which its signature may cover: a proxy may have taken its beginning off."""
    raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return urlsplit(house.settings.public_url).path.rstrip("/") + raw_path.decode("ascii", "replace")


async def _settled(house: Services, kept: Kept, later: BackgroundTasks) -> Result:
    outcome = await house.intake.settle(kept)
    if outcome.again:
        return Result.WAITING
    if outcome.invoices:
        later.add_task(house.nudges.deliver, *outcome.invoices)
    if kept.said.kind is EventKind.PAID:
        try:
            for number in outcome.invoices:
                await until_quiet(house.ledger, number)
        except Problem:
            return Result.WAITING
    if outcome.state is BookingState.REFUSED:
        return Result.REFUSED
    settled_before = not kept.new and kept.state is not BookingState.WAITING
    return Result.DUPLICATE if settled_before else Result.ACCEPTED


async def _body(request: Request) -> bytes | None:
    """The raw body; None for one that is too large, of which no more is read."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > MOST_BYTES:
            return None
    return bytes(taken)
