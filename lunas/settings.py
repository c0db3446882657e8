"""Settings: one class, read from the environment (`LUNAS_…`), the same names in every process.

Temporal's own connection is not here: `temporalio.envconfig` reads it (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …).
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lunas.company import BankAccount, Company
from lunas.links import Links
from lunas.receivables.calendar import zone

#: Where the keys of each provider's webhooks stand.
_KEY_LISTS = {
    "xendit": "xendit_webhook_tokens",
    "midtrans": "midtrans_webhook_keys",
    "stripe": "stripe_webhook_secrets",
    "snap": "snap_webhook_keys",
    "generic": "generic_webhook_secrets",
}
_SHORTEST_KEY = 16


class Account(BaseModel):
    """A bank account that customers pay into."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bank: str
    number: str
    holder: str


class Settings(BaseSettings):
    """Everything that differs between two installations. `lunas doctor` shows what is in force."""

    model_config = SettingsConfigDict(env_prefix="LUNAS_", extra="forbid", frozen=True, hide_input_in_errors=True)

    # the ledger: sqlite+aiosqlite:///path or postgresql+asyncpg://user:password@host/database
    database_url: str = "sqlite+aiosqlite:///lunas.db"

    # whose invoices these are
    company_name: str = "PT Contoh Niaga Sejahtera"
    company_address: str = "Jl. Melati No. 8\nJakarta Selatan 12345"
    company_email: str = "finance@contoh-niaga.example"
    company_phone: str = "+62 21 555 0100"
    company_tax_id: str = "01.234.567.8-901.000"
    company_accounts: Annotated[tuple[Account, ...], NoDecode] = (
        Account(bank="BCA", number="123 456 7890", holder="PT Contoh Niaga Sejahtera"),
    )
    company_time_zone: str = "Asia/Jakarta"  # whose midnight makes an invoice overdue in our own lists
    owner_email: str = "collections@contoh-niaga.example"

    # where links in messages lead, and the secret that signs them
    public_url: str = "http://127.0.0.1:8080"
    link_secret: SecretStr = SecretStr("")

    # mail out
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=2525, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_connections: int = Field(default=4, ge=1, le=64)
    smtp_max_idle: float = Field(default=1.5, gt=0, le=300)  # seconds; below the relay's own idle timeout
    mail_address: str = "finance@contoh-niaga.example"
    mail_name: str = "Contoh Niaga, Finance"

    # SMS out: "twilio", or "template" (a local gateway: a URL and a JSON body with {to}, {text} and {id})
    sms_gateway: Literal["none", "twilio", "template"] = "none"
    sms_url: str = ""
    sms_template: str = '{"to": "{to}", "text": "{text}", "id": "{id}"}'
    sms_accepted_if: str = ""  # what a yes looks like, such as "status=1"; many gateways answer 200 to everything
    sms_id_field: str = "id"  # where the answer names the message
    sms_account: str = ""
    sms_secret: SecretStr | None = None
    sms_sender: str = ""

    # payment providers: what verifies their webhooks, as JSON lists, so that an old key and a new one hold together;
    # a provider without any is off. SNAP takes client secrets and public keys in PEM.
    xendit_webhook_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    midtrans_webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()  # server keys
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    snap_webhook_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    generic_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    # … and what asks them, where a webhook alone is not to be believed
    xendit_secret_key: SecretStr | None = None
    xendit_url: str = "https://api.xendit.co"
    midtrans_server_key: SecretStr | None = None
    midtrans_url: str = "https://api.midtrans.com"

    # the collection agency that placements go to; its papers are recorded before anything is placed
    agency_name: str = ""
    agency_email: str = ""
    agency_licence: str = ""
    agency_certificate: str = ""
    agency_contract: str = ""

    # research: who we say we are, and whether other people's websites may be fetched at all
    research_user_agent: str = "LunasContactResearch/1.0"
    research_enabled: bool = True

    # webhooks to API clients may go to our own network and over plain HTTP: for development only
    webhook_private_addresses: bool = False

    # ways to pay that are offered, in this order, such as "bank_transfer,xendit/virtual_account/BCA,xendit/qris";
    # a provider's address may be changed for its sandbox
    payment_methods: Annotated[tuple[str, ...], NoDecode] = ("bank_transfer",)
    offers_valid_days: int = Field(default=14, ge=1, le=60)
    unique_amounts: int = Field(default=0, ge=0, le=999)  # whole units that a transfer may be less than what is open
    qris_payload: str = ""  # the text of the merchant's own static QRIS code
    midtrans_snap_url: str = "https://app.midtrans.com"
    stripe_secret_key: SecretStr | None = None
    stripe_url: str = "https://api.stripe.com"
    # a bank or an aggregator that speaks SNAP, the national standard
    snap_url: str = ""
    snap_client_id: str = ""
    snap_client_secret: SecretStr | None = None
    snap_private_key: SecretStr | None = None  # ours, in PEM
    snap_prefix: str = ""  # partnerServiceId: the digits with which our virtual accounts begin
    snap_channel: str = "95221"
    snap_root: str = "/snap/v1.0"
    snap_additional: dict[str, Any] | None = None  # additionalInfo of every virtual account, as JSON
    snap_delete: Literal["DELETE", "POST"] = "DELETE"

    # policies and templates: extra folders that win over the shipped ones
    policy_folder: Path | None = None
    template_folder: Path | None = None
    default_policy: str = "standard"

    # the API
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=1, le=65535)
    body_limit_bytes: int = Field(default=1_000_000, ge=1_000)

    # worker
    metrics_address: str | None = None
    versioned_worker: bool = False
    build_id: str = "dev"
    reconcile_every: timedelta = timedelta(minutes=5)

    @field_validator("company_accounts", mode="before")
    @classmethod
    def _accounts_from_json(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("payment_methods", mode="before")
    @classmethod
    def _methods_from_text(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("company_time_zone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        zone(value)
        return value

    @field_validator(*_KEY_LISTS.values(), mode="before")
    @classmethod
    def _keys_from_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return json.loads(value) if value.lstrip().startswith("[") else [value] if value.strip() else []

    @field_validator(*_KEY_LISTS.values())
    @classmethod
    def _keys_that_can_be_secret(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value().strip()) < _SHORTEST_KEY for key in value):
            raise ValueError(f"a key of a payment provider has {_SHORTEST_KEY} characters at least: copy it whole")
        return value

    @model_validator(mode="after")
    def _webhooks_that_can_be_confirmed(self) -> Self:
        for provider, key in (("xendit", "xendit_secret_key"), ("midtrans", "midtrans_server_key")):
            if self.webhook_keys(provider) and not getattr(self, key):
                raise ValueError(f"webhooks of {provider} are confirmed at {provider}: set LUNAS_{key.upper()}")
        return self

    def webhook_keys(self, provider: str) -> tuple[str, ...]:
        """What verifies the webhooks of that provider; empty where it is off."""
        name = _KEY_LISTS.get(provider)
        return tuple(key.get_secret_value() for key in getattr(self, name)) if name else ()

    @property
    def links(self) -> Links:
        """The maker and reader of customers' links; raises LinkError where the secret is missing."""
        return Links(self.public_url.rstrip("/"), self.link_secret.get_secret_value())

    @property
    def company(self) -> Company:
        """The creditor, as messages and documents show it."""
        return Company(
            name=self.company_name,
            postal_address=self.company_address,
            email=self.company_email,
            phone=self.company_phone,
            tax_id=self.company_tax_id,
            accounts=tuple(BankAccount(a.bank, a.number, a.holder) for a in self.company_accounts),
            public_url=self.public_url.rstrip("/"),
            mail_address=self.mail_address,
            mail_name=self.mail_name,
            time_zone=self.company_time_zone,
        )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
