"""The API of the storm: the real application under uvicorn, with less patience."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

from api import app as composition
from api.nudges import Nudges
from api.temporal import connect_from_environment
from lunas.ledger import idempotency
from lunas.ledger.database import Ledger
from tests.storm.worker import first, put, settings_for

#: After so long a request that took an Idempotency-Key and died is worked out anew; minutes, in production.
_ABANDONED_AFTER = timedelta(seconds=20)


def die_before_nudge(marker: Path) -> None:
    """Let the process die once, when a fact is committed and acknowledged and nobody has been told."""

    class DyingNudges(Nudges):
        async def deliver(self, *numbers: str) -> None:
            if first(marker):
                os.kill(os.getpid(), signal.SIGKILL)
            await super().deliver(*numbers)

    put(composition, Nudges=DyingNudges)


def main(options: dict[str, Any]) -> None:
    """Serve until killed."""
    os.environ["TEMPORAL_ADDRESS"] = options["temporal"]
    put(idempotency, ABANDONED_AFTER=_ABANDONED_AFTER)
    if marker := options.get("dies_before_nudge"):
        die_before_nudge(Path(marker))
    settings = settings_for(options["database_url"], options["smtp_port"])
    ledger = Ledger(options["database_url"])
    application = composition.create_app(settings, ledger, connect_from_environment, closes_ledger=True)
    config = uvicorn.Config(application, port=options["port"], log_level="warning", access_log=False)
    asyncio.run(uvicorn.Server(config).serve())
