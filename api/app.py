"""The application. `uvicorn --factory api.app:app` serves it by the environment's settings, `create_app` by others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from temporalio.client import Client

from api import handlers, openapi, routers
from api.bodies import BodyLimit
from api.faults import Faults
from api.metrics import Measured, Metrics
from api.nudges import Nudges
from api.pages.customer import CustomerPages
from api.paths import WholeSegments
from api.services import PolicyShelf, Services
from api.temporal import Connect, Temporal, WorkflowTrouble, connect_from_environment
from api.webhooks.receiving import check_keys
from api.webhooks.routes import router as webhooks
from lunas.intake import intake
from lunas.ledger.database import Ledger
from lunas.settings import Settings, settings
from workflows.messages import webhook_id
from workflows.waking import Waker, wake


def app() -> FastAPI:
    """The application of this process; its ledger is closed with it."""
    current = settings()
    return create_app(current, Ledger(current.database_url), connect_from_environment, closes_ledger=True)


def create_app(
    settings: Settings, ledger: Ledger, temporal: Client | Connect, *, closes_ledger: bool = False
) -> FastAPI:
    """The application over this ledger and this Temporal, which may be down now and at any time."""
    services = make_services(settings, ledger, temporal)

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        services.policies.file(settings.default_policy)  # a policy that cannot be read stops us now, not on day 58
        yield
        await services.waker.close()
        await services.intake.close()
        if closes_ledger:
            await ledger.close()

    application = FastAPIOffline(
        title="Lunas",
        version=version("lunas"),
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        middleware=[
            Middleware(WholeSegments),
            Middleware(Measured),
            Middleware(Faults),
            Middleware(BodyLimit, limit=settings.body_limit_bytes),
        ],
    )
    check_keys(settings)
    application.state.services = services
    handlers.register(application)
    for router in routers.EVERY:
        application.include_router(router)
    application.include_router(webhooks)
    if settings.link_secret.get_secret_value():  # without it the worker does not start, and no mail has a link
        application.include_router(CustomerPages(services).router())
    application.openapi = lambda: openapi.document(application)  # type: ignore[method-assign]
    return application


def make_services(settings: Settings, ledger: Ledger, temporal: Client | Connect) -> Services:
    """What the routes work with."""
    reached = Temporal(temporal)

    async def wake_endpoint(endpoint: int) -> None:
        await reached.reach(webhook_id(endpoint), lambda client: wake(client, endpoint))

    waker = Waker(wake_endpoint, (WorkflowTrouble,))
    ledger.on_announced = waker
    return Services(
        settings=settings,
        ledger=ledger,
        temporal=reached,
        nudges=Nudges(ledger, reached),
        policies=PolicyShelf(settings.default_policy, settings.policy_folder),
        metrics=Metrics(),
        waker=waker,
        intake=intake(settings, ledger),
    )


def _operation_id(route: APIRoute) -> str:
    return route.name
