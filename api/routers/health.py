"""For load balancers and monitoring; no key, and nothing that is anybody's business."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import DBAPIError

from api.errors import Kind, documented
from api.metrics import CONTENT_TYPE, outbox_age
from api.schemas.upkeep import Alive, Ready
from api.services import House
from lunas.ledger.migrations import is_current

router = APIRouter(tags=["health"])


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """The documentation."""
    return RedirectResponse("/docs")


@router.get("/healthz", responses=documented(Kind.FAULT))
async def healthz() -> Alive:
    """The process answers."""
    return Alive()


@router.get(
    "/readyz", responses={503: {"model": Ready, "description": "The ledger does not answer, or needs `lunas migrate`"}}
)
async def readyz(house: House, response: Response) -> Ready:
    """Whether requests can be served. Temporal may be down: then invoices and money are booked, and workflows wait."""
    waiting, age = 0, timedelta(0)
    try:
        current = await is_current(house.ledger)
        ledger = "ok" if current else "not migrated: run `lunas migrate`"
        if current:
            waiting, age = await outbox_age(house.ledger)
    except (DBAPIError, OSError):
        current, ledger = False, "does not answer"
    temporal = "ok" if await house.temporal.is_up() else "does not answer: workflows hear what is booked once it does"
    response.status_code = 200 if current else 503
    return Ready(
        ready=current,
        ledger=ledger,
        temporal=temporal,
        outbox_waiting=waiting,
        outbox_age_seconds=age.total_seconds(),
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        **documented(Kind.FAULT, Kind.UNAVAILABLE),
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def metrics(house: House) -> Response:
    """Figures for Prometheus."""
    return Response(await house.metrics.render(house.ledger, house.temporal), media_type=CONTENT_TYPE)
