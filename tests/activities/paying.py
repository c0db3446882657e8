"""The simulated gateway and the offers that are made at it, for tests of how they follow the balance."""

from __future__ import annotations

import httpx2
from temporalio.testing import ActivityEnvironment

from activities.payment_methods import payment_providers
from activities.payment_offers import PaymentOffers
from deploy.simulator import Keys, SimulatorSettings, Store, simulator_app
from deploy.simulator.store import OPEN, Paper
from deploy.simulator.telling import Webhook
from lunas.ledger.database import Ledger
from lunas.ledger.offers import invoices_to_follow, needs_other_offers, usable_offers
from lunas.ledger.tables import OfferRow
from lunas.links import Links
from lunas.providers.qris import Item, sealed
from lunas.receivables.orders import Order, Verdict
from lunas.settings import Settings
from tests.ledger.samples import (
    WEDNESDAY,
    progress,
)

LINKS = Links("https://lunas.example", "a-secret-for-tests-of-32-characters!")
NUMBER = "INV/2026/11/0042"
URL = "http://simulator.example"
KEYS = Keys.of("0123456789abcdef0123")
METHODS = "bank_transfer, xendit/virtual_account/BCA, midtrans/qris, stripe/credit_card"
STATIC = sealed(
    [
        Item("00", "01"), Item("01", "11"), Item("26", "0016ID.CO.EXAMPLE.WWW"), Item("52", "5999"), Item("53", "360"),
        Item("58", "ID"), Item("59", "TOKO CONTOH"), Item("60", "JAKARTA"),
    ]
)  # fmt: skip


class Line(httpx2.AsyncBaseTransport):
    """The way to the simulator. `lose` are paths whose answers get lost, `cut` paths that cannot be reached."""

    def __init__(self, app: object) -> None:
        self._inner = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
        self.lose: set[str] = set()
        self.cut: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if any(part in path for part in self.cut):
            raise httpx2.ConnectError("the line is cut")
        self.asked.append((request.method, path))
        answer = await self._inner.handle_async_request(request)
        if any(part in path for part in self.lose):
            raise httpx2.ReadTimeout("the answer is lost")
        return answer


class World:
    """The ledger, the simulator, and the offers between them."""

    def __init__(self, ledger: Ledger, methods: str = METHODS, **settings: object) -> None:
        self.ledger = ledger
        self.papers = Store()
        self.line = Line(simulator_app(SimulatorSettings(URL, "https://x.example", KEYS), self.papers, _nowhere))
        self.http = httpx2.AsyncClient(transport=self.line)
        chosen = {
            "payment_methods": methods,
            "xendit_secret_key": KEYS.xendit_secret,
            "midtrans_server_key": KEYS.midtrans_server,
            "stripe_secret_key": KEYS.stripe_secret,
            "xendit_url": URL,
            "midtrans_url": URL,
            "midtrans_snap_url": URL,
            "stripe_url": URL,
        } | settings
        self.settings = Settings(**chosen)  # type: ignore[arg-type]
        self.offers = PaymentOffers(ledger, payment_providers(self.settings, self.http), LINKS)

    async def prepare(self) -> Verdict:
        asked = Order(NUMBER, WEDNESDAY, progress(), subject="offer+35", key="offer")
        return (await ActivityEnvironment().run(self.offers.prepare, asked)).verdict

    async def follow(self) -> None:
        await ActivityEnvironment().run(self.offers.follow, NUMBER)

    async def usable(self) -> dict[str, OfferRow]:
        async with self.ledger.read() as session:
            return {row.maker: row for row in await usable_offers(session, NUMBER)}

    async def is_stale(self) -> bool:
        async with self.ledger.read() as session:
            stale = await needs_other_offers(session, NUMBER)
            assert (NUMBER in await invoices_to_follow(session)) is stale
            return stale

    def there(self, state: str = OPEN) -> list[Paper]:
        return [paper for paper in self.papers.search("") if paper.state == state]


async def _nowhere(webhook: Webhook) -> int:
    raise AssertionError("nothing is paid here")
