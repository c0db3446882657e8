"""What the simulator is told: where webhooks go, and the keys that both sides have."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys of the accounts that it pretends to keep. None of them opens anything anywhere else."""

    xendit_secret: str
    xendit_token: str
    midtrans_server: str
    stripe_secret: str
    stripe_webhook: str
    snap_client: str
    snap_secret: str

    @classmethod
    def of(cls, seed: str) -> Keys:
        """Keys made from a text, so that both sides come to the same ones."""
        return cls(
            xendit_secret=f"xnd_development_{seed}",
            xendit_token=f"callback-token-{seed}",
            midtrans_server=f"SB-Mid-server-{seed}",
            stripe_secret=f"sk_test_{seed}",
            stripe_webhook=f"whsec_{seed}",
            snap_client=f"client-{seed}",
            snap_secret=f"snap-secret-{seed}",
        )


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """`url` is where it is reached itself, `webhooks` where a provider's name is put behind: `http://…/webhooks`.

    `late` is after how many seconds a webhook that is to be late leaves.
    """

    url: str
    webhooks: str
    keys: Keys
    late: float = 20.0

    def webhook_url(self, provider: str) -> str:
        """Where the webhooks of a provider go."""
        return f"{self.webhooks.rstrip('/')}/{provider}"

    def webhook_path(self, provider: str) -> str:
        """The path of that address, which SNAP signs."""
        return urlsplit(self.webhook_url(provider)).path

    def page(self, id_: str) -> str:
        """Where an instrument is paid."""
        return f"{self.url.rstrip('/')}/pay/{id_}"
