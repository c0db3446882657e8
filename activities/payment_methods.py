"""Which ways to pay are offered: LUNAS_PAYMENT_METHODS turned into providers that make them.

Each method is written `provider/what`, a virtual account with its bank: `xendit/virtual_account/BCA`. The order is that
in which customers see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import httpx2
from pydantic import SecretStr

from activities.payment_gateways import (
    CREDIT_CARD,
    PAYMENT_LINK,
    QRIS,
    VIRTUAL_ACCOUNT,
    GatewayOffer,
    Recipe,
    StaticQrisOffer,
)
from activities.payment_providers import BankTransferOffer, OfferNotReady, PaymentOfferProvider
from lunas.providers.midtrans_client import MidtransClient
from lunas.providers.rsa import BadKey
from lunas.providers.snap_client import SnapAccount, SnapClient
from lunas.providers.stripe_client import StripeClient
from lunas.providers.xendit_client import XenditClient
from lunas.settings import Settings

_KNOWN = (
    "bank_transfer, qris, xendit/virtual_account/BANK, xendit/qris, xendit/payment_link, "
    "midtrans/virtual_account/BANK, midtrans/qris, midtrans/payment_link, stripe/credit_card, snap/virtual_account/BANK"
)


def payment_providers(settings: Settings, http: httpx2.AsyncClient) -> Sequence[PaymentOfferProvider]:
    """A provider for each method of the settings; raises OfferNotReady for one that is unknown or lacks a setting."""
    found: dict[str, PaymentOfferProvider] = {}
    for method in settings.payment_methods:
        try:
            provider = _provider(method, settings, http)
        except (ValueError, BadKey) as error:
            raise OfferNotReady(f"{method} in LUNAS_PAYMENT_METHODS cannot be offered: {error}") from error
        if found.setdefault(provider.maker, provider) is not provider:
            raise OfferNotReady(f"{method} stands in LUNAS_PAYMENT_METHODS twice: name each method once")
    return tuple(found.values())


def _provider(method: str, settings: Settings, http: httpx2.AsyncClient) -> PaymentOfferProvider:
    override = settings.template_folder
    match method.split("/"):
        case ["bank_transfer"]:
            return BankTransferOffer(settings.company, override, spread=settings.unique_amounts)
        case ["qris"]:
            return StaticQrisOffer(settings.qris_payload, override)
        case [name, *what] if name in _RECIPES:
            recipe = _RECIPES[name](settings, http, method, what)
            return GatewayOffer(recipe, settings.company_name, override)
    raise ValueError(f"there is no such method; there are {_KNOWN}")


def _xendit(settings: Settings, http: httpx2.AsyncClient, maker: str, what: Sequence[str]) -> Recipe:
    client = XenditClient(http, secret=_secret(settings.xendit_secret_key), base_url=settings.xendit_url)
    match what:
        case ["virtual_account", bank]:
            make = partial(client.virtual_account, bank=bank)
            return Recipe(maker, VIRTUAL_ACCOUNT, client, make, knows_ours=False, bank=bank)
        case ["qris"]:
            return Recipe(maker, QRIS, client, client.qris, knows_ours=False)
        case ["payment_link"]:
            return Recipe(maker, PAYMENT_LINK, client, client.payment_link, knows_ours=False)
    raise ValueError(f"there is no such method; there are {_KNOWN}")


def _midtrans(settings: Settings, http: httpx2.AsyncClient, maker: str, what: Sequence[str]) -> Recipe:
    client = MidtransClient(
        http,
        server_key=_secret(settings.midtrans_server_key),
        base_url=settings.midtrans_url,
        snap_url=settings.midtrans_snap_url,
    )
    match what:
        case ["virtual_account", bank]:
            make = partial(client.virtual_account, bank=bank)
            return Recipe(maker, VIRTUAL_ACCOUNT, client, make, knows_ours=True, bank=bank.upper())
        case ["qris"]:
            return Recipe(maker, QRIS, client, client.qris, knows_ours=True)
        case ["payment_link"]:
            return Recipe(maker, PAYMENT_LINK, client, client.payment_link, knows_ours=True)
    raise ValueError(f"there is no such method; there are {_KNOWN}")


def _stripe(settings: Settings, http: httpx2.AsyncClient, maker: str, what: Sequence[str]) -> Recipe:
    if list(what) != ["credit_card"]:
        raise ValueError(f"there is no such method; there are {_KNOWN}")
    client = StripeClient(http, secret=_secret(settings.stripe_secret_key), base_url=settings.stripe_url)
    return Recipe(maker, CREDIT_CARD, client, client.payment_link, knows_ours=False)


def _snap(settings: Settings, http: httpx2.AsyncClient, maker: str, what: Sequence[str]) -> Recipe:
    match what:
        case ["virtual_account", bank]:
            account = SnapAccount(
                base_url=settings.snap_url,
                client_id=settings.snap_client_id,
                client_secret=_secret(settings.snap_client_secret),
                private_key=_secret(settings.snap_private_key),
                prefix=settings.snap_prefix,
                channel=settings.snap_channel,
                root=settings.snap_root,
                additional=settings.snap_additional,
                delete=settings.snap_delete,
            )
            client = SnapClient(http, account)
            return Recipe(maker, VIRTUAL_ACCOUNT, client, client.virtual_account, knows_ours=True, bank=bank)
    raise ValueError(f"there is no such method; there are {_KNOWN}")


_RECIPES: dict[str, Callable[[Settings, httpx2.AsyncClient, str, Sequence[str]], Recipe]] = {
    "xendit": _xendit,
    "midtrans": _midtrans,
    "stripe": _stripe,
    "snap": _snap,
}


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""
