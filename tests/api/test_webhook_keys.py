"""The keys of payment providers: how they are set, and that a useless one is found before the first delivery."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from api.app import create_app
from lunas.ledger.database import Ledger
from lunas.providers.rsa import BadKey
from lunas.settings import Settings
from tests.api.conftest import _nowhere


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("snap_webhook_keys", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
        ("generic_webhook_secrets", "whsec_not base64 at all"),
    ],
)
def test_keys_that_can_verify_nothing_stop_the_application(name: str, key: str) -> None:
    settings = Settings().model_copy(update={name: (SecretStr(key),)})
    with pytest.raises(BadKey, match="a webhook key of"):
        create_app(settings, Ledger("sqlite:///never-opened.db"), _nowhere)


def test_lists_of_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNAS_STRIPE_WEBHOOK_SECRETS", '["whsec_one_0000000000", "whsec_two_0000000000"]')
    monkeypatch.setenv("LUNAS_GENERIC_WEBHOOK_SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    monkeypatch.setenv("LUNAS_SNAP_WEBHOOK_KEYS", "")
    found = Settings()
    assert found.webhook_keys("stripe") == ("whsec_one_0000000000", "whsec_two_0000000000")
    assert found.webhook_keys("generic") == ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)
    assert found.webhook_keys("snap") == found.webhook_keys("xendit") == found.webhook_keys("nobody") == ()
    assert "whsec" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LUNAS_STRIPE_WEBHOOK_SECRETS", '["short"]', "16 characters"),
        ("LUNAS_STRIPE_WEBHOOK_SECRETS", '["", "whsec_one_0000000000"]', "16 characters"),
        ("LUNAS_STRIPE_WEBHOOK_SECRETS", '["whsec_secret_secret', "stripe_webhook_secrets"),
        ("LUNAS_XENDIT_WEBHOOK_TOKENS", "token-000000000000000", "LUNAS_XENDIT_SECRET_KEY"),
        ("LUNAS_MIDTRANS_WEBHOOK_KEYS", "token-000000000000000", "LUNAS_MIDTRANS_SERVER_KEY"),
    ],
)
def test_keys_that_cannot_be_are_refused_and_not_repeated(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=says) as caught:
        Settings()
    assert "whsec_secret" not in str(caught.value) and "token-0" not in str(caught.value)
