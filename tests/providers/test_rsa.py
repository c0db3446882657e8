"""RSA against openssl's own signatures, and keys that are none."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lunas.providers.rsa import BadKey, PrivateKey, PublicKey
from tests.providers.samples import OLD_PRIVATE_KEY, OLD_PUBLIC_KEY, PRIVATE_KEY, PUBLIC_KEY, SIGNATURE, SIGNED


@pytest.mark.parametrize("pem", [PRIVATE_KEY, OLD_PRIVATE_KEY, PRIVATE_KEY.replace("\n", "\\n")])
def test_we_sign_as_openssl_does(pem: str) -> None:
    assert base64.b64encode(PrivateKey.read(pem).sign(SIGNED)).decode() == SIGNATURE


@pytest.mark.parametrize("pem", [PUBLIC_KEY, OLD_PUBLIC_KEY, PUBLIC_KEY.replace("\n", "\\n")])
def test_we_believe_what_openssl_signed(pem: str) -> None:
    key = PublicKey.read(pem)
    signature = base64.b64decode(SIGNATURE)
    assert key.made(signature, SIGNED)
    assert not key.made(signature, SIGNED + b" ")
    assert not key.made(signature[:-1], SIGNED)
    assert not key.made(b"\0" + signature, SIGNED)
    assert not key.made(b"", SIGNED)
    for at in range(0, len(signature), 17):
        changed = bytearray(signature)
        changed[at] ^= 4
        assert not key.made(bytes(changed), SIGNED)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "secret",
        PRIVATE_KEY,
        PUBLIC_KEY.replace("MIIB", "AAAA"),
        PUBLIC_KEY.replace("PUBLIC KEY", "EC PUBLIC KEY"),
        PUBLIC_KEY[:120] + "\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAJ\n-----END PUBLIC KEY-----",
    ],
)
def test_what_is_no_public_key_is_refused(pem: str) -> None:
    with pytest.raises(BadKey):
        PublicKey.read(pem)


def test_short_keys_and_other_kinds_are_refused() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 – that is the point
    curve = ec.generate_private_key(ec.SECP256R1())
    for key in (short, curve):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        with pytest.raises(BadKey, match="2048" if key is short else "not an RSA key"):
            PrivateKey.read(pem)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(BadKey, match="2048" if key is short else "not an RSA key"):
            PublicKey.read(public)


def test_a_locked_private_key_is_refused_and_none_shows_itself() -> None:
    key = PrivateKey.read(PRIVATE_KEY)
    assert "key" not in repr(key).lower().replace("privatekey", "")
    locked = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()
    for pem in (locked, PUBLIC_KEY):
        with pytest.raises(BadKey, match="in the clear"):
            PrivateKey.read(pem)
