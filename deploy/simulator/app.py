"""The simulator as one application: the providers' APIs, and the pages on which their instruments are paid."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import segno
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deploy.simulator.midtrans import midtrans_router, midtrans_webhooks
from deploy.simulator.settings import SimulatorSettings
from deploy.simulator.snap import snap_router, snap_webhooks
from deploy.simulator.store import OPEN, Paper, Store, now
from deploy.simulator.stripe import stripe_router, stripe_webhooks
from deploy.simulator.telling import How, Post, Teller, Webhook
from deploy.simulator.xendit import xendit_router, xendit_webhooks

_MOST = 100
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TOLD: dict[str, Callable[[Paper, SimulatorSettings], tuple[Webhook, Webhook]]] = {
    "xendit": xendit_webhooks,
    "midtrans": midtrans_webhooks,
    "stripe": stripe_webhooks,
    "snap": snap_webhooks,
}
_HOW_WORDS = {
    How.ONCE: "Once, as it should be",
    How.TWICE: "Twice",
    How.LATE: "Late",
    How.OUT_OF_ORDER: "In the wrong order",
    How.NOT_AT_ALL: "Not at all: it got lost",
}
_KINDS = {"virtual_account": "Virtual account", "qris": "QRIS", "link": "Payment link", "card": "Card"}


def simulator_app(settings: SimulatorSettings, store: Store, post: Post) -> FastAPI:
    """The application; `post` brings webhooks to their endpoint. `app.state.teller` knows what came back."""
    teller = Teller(post, settings.late)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await teller.close()

    app = FastAPI(title="Payment gateway simulator", openapi_url=None, lifespan=lifespan)
    app.state.teller = teller
    for make in (xendit_router, midtrans_router, stripe_router, snap_router):
        app.include_router(make(store, settings))
    page = _pages()

    @app.get("/")
    async def index(find: str = "") -> HTMLResponse:
        found = [_shown(paper) for _, paper in zip(range(_MOST), store.search(find), strict=False)]
        return page("index", papers=found, find=find)

    @app.get("/pay/{id_}")
    async def look(id_: str) -> HTMLResponse:
        paper = _there(store, id_)
        return page("pay", paper=_shown(paper), qr=_drawn(paper.qr), hows=_HOW_WORDS, late=settings.late)

    @app.post("/pay/{id_}")
    async def pay(
        id_: str, how: Annotated[How, Form()] = How.ONCE, late: Annotated[float | None, Form(ge=0, le=3600)] = None
    ) -> RedirectResponse:
        paper = _there(store, id_)
        try:
            paper.pay(now())
        except ValueError as error:
            raise HTTPException(409, str(error)) from None
        store.keep()
        await teller.tell(*_TOLD[paper.provider](paper, settings), how, late)
        return RedirectResponse(f"/pay/{id_}", 303)

    @app.post("/pay/{id_}/tell")
    async def tell_again(id_: str, how: Annotated[How, Form()] = How.ONCE) -> RedirectResponse:
        paper = _there(store, id_)
        if not paper.paid_at:
            raise HTTPException(409, f"{id_} was not paid: there is nothing to tell")
        await teller.tell(*_TOLD[paper.provider](paper, settings), how)
        return RedirectResponse(f"/pay/{id_}", 303)

    @app.exception_handler(HTTPException)
    async def problem(request: Request, error: HTTPException) -> HTMLResponse:
        return page("problem", status=error.status_code, words=error.detail)

    return app


def _there(store: Store, id_: str) -> Paper:
    paper = store.get(id_)
    if paper is None:
        raise HTTPException(404, "there is nothing to pay under this address")
    return paper


def _shown(paper: Paper) -> dict[str, Any]:
    digits = paper.number
    return {
        "id": paper.id,
        "provider": paper.provider.capitalize() if paper.provider != "snap" else "SNAP",
        "kind": _KINDS[paper.kind],
        "bank": paper.bank,
        "number": " ".join(digits[at : at + 4] for at in range(0, len(digits), 4)),
        "amount": f"{'Rp' if paper.currency == 'IDR' else paper.currency} {_grouped(paper)}",
        "label": paper.label,
        "name": paper.name,
        "is_card": paper.kind in ("card", "link"),
        "state": paper.standing(now()),
        "is_open": paper.standing(now()) == OPEN,
        "is_paid": bool(paper.paid_at),
        "until": paper.expires_at[:16].replace("T", " "),
    }


def _grouped(paper: Paper) -> str:
    whole = f"{paper.minor // 100:,}".replace(",", ".")
    return whole if paper.minor % 100 == 0 else f"{whole},{paper.minor % 100:02d}"


def _drawn(payload: str) -> Markup:
    if not payload:
        return Markup("")
    out = io.BytesIO()
    segno.make(payload, error="m", micro=False).save(out, kind="svg", border=4, xmldecl=False, nl=False, omitsize=True)
    return Markup(out.getvalue().decode())  # noqa: S704 - an SVG of black squares, made here


def _pages() -> Callable[..., HTMLResponse]:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    template = environment.get_template("page.html")

    def page(which: str, *, status: int = 200, **fields: Any) -> HTMLResponse:
        return HTMLResponse(template.render(which=which, **fields), status, headers=_HEADERS)

    return page
