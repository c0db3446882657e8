"""RSA signatures, PKCS #1 v1.5 with SHA-256 (RFC 8017), as the SNAP standard asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

#: Keys shorter than this can be broken; longer ones than that only burn time. In bits.
SHORTEST, LONGEST = 2048, 8192


class BadKey(ValueError):
    """A key that cannot be used; the message says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True, repr=False)
class PublicKey:
    """The key that tells whether a signature is the provider's."""

    key: rsa.RSAPublicKey

    @classmethod
    def read(cls, pem: str) -> Self:
        """From a PEM that begins `BEGIN PUBLIC KEY` or `BEGIN RSA PUBLIC KEY`; raises BadKey."""
        try:
            key = serialization.load_pem_public_key(_unfolded(pem))
        except (ValueError, UnsupportedAlgorithm):
            raise BadKey(f"the key is {_NO_PEM}: it begins with -----BEGIN PUBLIC KEY-----") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise BadKey("the key is not an RSA key: SNAP signs with RSA")
        _check_size(key.key_size)
        return cls(key)

    def made(self, signature: bytes, message: bytes) -> bool:
        """Whether the private half of this key signed the message."""
        try:
            self.key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """The key that we sign with, or a simulator of a provider does. Its repr shows nothing of it."""

    key: rsa.RSAPrivateKey

    @classmethod
    def read(cls, pem: str) -> Self:
        """From a PEM in the clear that begins `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`; raises BadKey."""
        try:
            key = serialization.load_pem_private_key(_unfolded(pem), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadKey(f"the key is {_NO_PEM}: it begins with -----BEGIN PRIVATE KEY-----") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadKey("the key is not an RSA key: SNAP signs with RSA")
        _check_size(key.key_size)
        return cls(key)

    @property
    def public(self) -> PublicKey:
        """Its public half."""
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The signature of the message."""
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())


_NO_PEM = "no PEM in the clear, or is damaged"


def _unfolded(pem: str) -> bytes:
    """The PEM; a line break may be written `\\n`, as it is in an environment."""
    return pem.replace("\\n", "\n").strip().encode()


def _check_size(bits: int) -> None:
    if not SHORTEST <= bits <= LONGEST:
        raise BadKey(f"an RSA key has {SHORTEST} to {LONGEST} bits, this one {bits}: ask the provider for another one")
