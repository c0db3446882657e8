"""The simulated gateway against our own clients and verifiers: what it speaks is what they understand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx2
import pytest

from activities.payment_gateways import Client
from deploy.simulator import Keys, SimulatorSettings, Store, simulator_app
from deploy.simulator.telling import How, Webhook
from lunas.providers import midtrans, xendit
from lunas.providers.asking import Instrument, Refused, State, Taken, Wish
from lunas.providers.dialects import DIALECTS
from lunas.providers.events import EventKind, PaymentSource, ProviderEvent
from lunas.providers.midtrans_client import MidtransClient
from lunas.providers.qris import Qris
from lunas.providers.snap_client import SnapAccount, SnapClient
from lunas.providers.stripe_client import StripeClient
from lunas.providers.xendit_client import XenditClient
from lunas.receivables.money import Currency, Money
from tests.providers.samples import PRIVATE_KEY

URL = "http://simulator.example"
ZONE = ZoneInfo("Asia/Jakarta")
KEYS = Keys.of("0123456789abcdef0123")
SETTINGS = SimulatorSettings(URL, "https://lunas.example/webhooks", KEYS, late=0.01)
SECRETS = {
    "xendit": KEYS.xendit_token,
    "midtrans": KEYS.midtrans_server,
    "stripe": KEYS.stripe_webhook,
    "snap": KEYS.snap_secret,
}


def wish(reference: str = "LN-0123456789abcdef0123", minor: int = 1_250_000_00) -> Wish:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    return Wish(reference, Money(minor, Currency.IDR), until, "INV/2026/11/0042", "PT Contoh")


class World:
    """The simulator, our clients, and what came to our webhooks' address."""

    def __init__(self, path: Path | None = None) -> None:
        self.told: list[Webhook] = []
        self.store = Store(path)
        self.app = simulator_app(SETTINGS, self.store, self._post)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app))
        self.xendit = XenditClient(self.http, secret=KEYS.xendit_secret, base_url=URL)
        self.midtrans = MidtransClient(self.http, server_key=KEYS.midtrans_server, base_url=URL, snap_url=URL)
        self.stripe = StripeClient(self.http, secret=KEYS.stripe_secret, base_url=URL)
        account = SnapAccount(URL, KEYS.snap_client, KEYS.snap_secret, PRIVATE_KEY, "8088")
        self.snap = SnapClient(self.http, account)

    @property
    def clients(self) -> dict[str, Client]:
        return {"xendit": self.xendit, "midtrans": self.midtrans, "stripe": self.stripe, "snap": self.snap}

    async def _post(self, webhook: Webhook) -> int:
        self.told.append(webhook)
        return 200

    async def pay(self, paper: str, how: How = How.ONCE) -> httpx2.Response:
        return await self.http.post(f"{URL}/pay/{paper}", data={"how": how.value})

    def heard(self) -> list[ProviderEvent]:
        """What came, each verified and read as we do it."""
        return [read(webhook) for webhook in self.told]

    def paper(self, provider: str, reference: str = "LN-0123456789abcdef0123") -> str:
        found = self.store.find(provider, reference=reference)
        assert found is not None
        return found.id


def read(webhook: Webhook) -> ProviderEvent:
    dialect = DIALECTS[webhook.provider]
    headers, path = dict(webhook.headers()), SETTINGS.webhook_path(webhook.provider)
    dialect.verify(webhook.body, headers, path, [SECRETS[webhook.provider]], datetime.now(UTC))
    return dialect.read(webhook.body, headers, ZONE)


@pytest.fixture
def world() -> World:
    return World()


MAKING: dict[str, Callable[[World, Wish], Awaitable[Instrument]]] = {
    "xendit account": lambda world, wish: world.xendit.virtual_account(wish, "BCA"),
    "xendit qris": lambda world, wish: world.xendit.qris(wish),
    "xendit link": lambda world, wish: world.xendit.payment_link(wish),
    "midtrans account": lambda world, wish: world.midtrans.virtual_account(wish, "bca"),
    "midtrans qris": lambda world, wish: world.midtrans.qris(wish),
    "midtrans link": lambda world, wish: world.midtrans.payment_link(wish),
    "stripe card": lambda world, wish: world.stripe.payment_link(wish),
    "snap account": lambda world, wish: world.snap.virtual_account(wish),
}
EVERY = pytest.mark.parametrize("name", MAKING)


@EVERY
async def test_what_is_made_can_be_shown_and_paid_and_its_webhook_names_us(world: World, name: str) -> None:
    provider, asked = name.partition(" ")[0], wish()
    made = await MAKING[name](world, asked)
    assert made.state is State.OPEN
    if "account" in name:
        assert made.number is not None
        assert made.number.isdecimal()
    elif "qris" in name:
        code = Qris.read(made.qr or "")
        assert (code.amount, code.reference) == (asked.amount, asked.reference)
    else:
        assert made.url == SETTINGS.page(world.paper(provider))

    page = await world.http.get(f"{URL}/pay/{world.paper(provider)}")
    assert "Rp 1.250.000" in page.text
    assert (await world.pay(world.paper(provider))).status_code == 303
    (event,) = world.heard()
    assert (event.kind, event.amount) == (EventKind.PAID, asked.amount)
    assert asked.reference in event.instruments
    assert event.on == datetime.now(ZONE).date()
    assert "Send the webhook again" in (await world.http.get(f"{URL}/pay/{world.paper(provider)}")).text


@EVERY
async def test_asking_twice_makes_one(world: World, name: str) -> None:
    asked = wish()
    first = await MAKING[name](world, asked)
    try:
        assert await MAKING[name](world, asked) == first
    except Taken:
        assert name.startswith(("midtrans", "snap")), "the others keep what they answered under the key"
    assert len(list(world.store.search(""))) == 1


@EVERY
async def test_what_is_voided_takes_no_money_and_voiding_twice_is_harmless(world: World, name: str) -> None:
    provider = name.partition(" ")[0]
    made = await MAKING[name](world, wish())
    client = world.clients[provider]
    id_ = made.id if provider in ("xendit", "stripe") else wish().reference
    for _ in range(2):
        await client.cancel(id_)
        assert (await client.get(id_)).state is State.ENDED
    assert (await world.pay(world.paper(provider))).status_code == 409
    assert world.told == []


@pytest.mark.parametrize("name", ["midtrans account", "snap account"])
async def test_one_whose_answer_was_lost_is_looked_up_by_our_reference(world: World, name: str) -> None:
    asked = wish()
    made = await MAKING[name](world, asked)
    client = world.midtrans if name.startswith("midtrans") else world.snap
    assert (await client.get(asked.reference)).number == made.number


@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        (How.ONCE, ["paid"]),
        (How.TWICE, ["paid", "paid"]),
        (How.OUT_OF_ORDER, ["paid", "pending"]),
        (How.NOT_AT_ALL, []),
        (How.LATE, ["paid"]),
    ],
)
@pytest.mark.parametrize("provider", ["xendit", "midtrans", "stripe"])
async def test_webhooks_come_as_they_were_wished_for(world: World, provider: str, how: How, kinds: list[str]) -> None:
    name = {"xendit": "xendit account", "midtrans": "midtrans qris", "stripe": "stripe card"}[provider]
    await MAKING[name](world, wish())
    await world.pay(world.paper(provider), how)
    if how is How.LATE:
        assert world.told == []
        await world.app.state.teller.close()
    assert [event.kind for event in world.heard()] == kinds
    paid = {event.event for event in world.heard() if event.kind is EventKind.PAID}
    assert len(paid) <= 1, "a repetition is the same event"


async def test_a_lost_webhook_can_be_sent_again(world: World) -> None:
    await world.xendit.qris(wish())
    paper = world.paper("xendit")
    assert (await world.http.post(f"{URL}/pay/{paper}/tell", data={"how": "once"})).status_code == 409
    await world.pay(paper, How.NOT_AT_ALL)
    assert (await world.http.post(f"{URL}/pay/{paper}/tell", data={"how": "once"})).status_code == 303
    assert [event.kind for event in world.heard()] == [EventKind.PAID]


async def test_a_payment_is_taken_once(world: World) -> None:
    await world.stripe.payment_link(wish())
    paper = world.paper("stripe")
    assert (await world.pay(paper)).status_code == 303
    assert (await world.pay(paper)).status_code == 409


@pytest.mark.parametrize(
    ("name", "confirm"), [("xendit link", xendit.confirmed), ("midtrans qris", midtrans.confirmed)]
)
async def test_a_payment_is_confirmed_where_the_webhook_alone_is_not_believed(
    world: World, name: str, confirm: Callable[..., Awaitable[ProviderEvent | None]]
) -> None:
    provider = name.partition(" ")[0]
    source: PaymentSource = world.xendit if provider == "xendit" else world.midtrans
    await MAKING[name](world, wish())
    await world.pay(world.paper(provider))
    (event,) = world.heard()
    seen = await confirm(event, source, ZONE)
    assert seen is not None
    assert (seen.amount, seen.reference, seen.instruments) == (event.amount, event.reference, event.instruments)
    assert await source.payment("py-nothing") is None


@EVERY
async def test_a_stranger_is_refused(world: World, name: str) -> None:
    world.xendit = XenditClient(world.http, secret="wrong", base_url=URL)
    world.midtrans = MidtransClient(world.http, server_key="wrong", base_url=URL, snap_url=URL)
    world.stripe = StripeClient(world.http, secret="wrong", base_url=URL)
    world.snap = SnapClient(world.http, SnapAccount(URL, KEYS.snap_client, "wrong", PRIVATE_KEY, "8088"))
    with pytest.raises(Refused) as caught:
        await MAKING[name](world, wish())
    assert caught.value.status == 401
    assert list(world.store.search("")) == []


async def test_what_was_made_is_there_after_a_restart(tmp_path: Path) -> None:
    before = World(tmp_path / "simulator.json")
    made = await before.xendit.virtual_account(wish(), "BCA")
    after = World(tmp_path / "simulator.json")
    assert await after.xendit.get(made.id) == made
    assert await after.xendit.virtual_account(wish(), "BCA") == made, "the key is remembered too"


async def test_its_pages_find_an_instrument_and_escape_what_they_show(world: World) -> None:
    asked = wish()
    await world.xendit.virtual_account(
        Wish(asked.reference, asked.amount, asked.expires_at, "<b>INV</b>", asked.name), "BCA"
    )
    number = world.store.find("xendit", reference=asked.reference)
    assert number is not None
    page = (await world.http.get(URL, params={"find": number.number[:8]})).text
    assert "&lt;b&gt;INV&lt;/b&gt;" in page
    assert "<b>INV" not in page
    assert "Nothing to pay yet" in (await world.http.get(URL, params={"find": "nothing such"})).text
    assert (await world.http.get(f"{URL}/pay/nothing")).status_code == 404
