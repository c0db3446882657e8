"""Settings: one class, read from the environment (`LUNAS_…`), the same names in every process.

Temporal's own connection is not here: `temporalio.envconfig` reads it (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …).
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lunas.company import BankAccount, Company
from lunas.links import Links


class Account(BaseModel):
    """A bank account that customers pay into."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bank: str
    number: str
    holder: str


class Settings(BaseSettings):
    """Everything that differs between two installations. `lunas doctor` shows what is in force."""

    model_config = SettingsConfigDict(env_prefix="LUNAS_", extra="forbid", frozen=True)

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

    # the collection agency that placements go to; its papers are recorded before anything is placed
    agency_name: str = ""
    agency_email: str = ""
    agency_licence: str = ""
    agency_certificate: str = ""
    agency_contract: str = ""

    # research: who we say we are, and whether other people's websites may be fetched at all
    research_user_agent: str = "LunasContactResearch/1.0"
    research_enabled: bool = True

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
        )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
