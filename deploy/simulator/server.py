"""The simulator as a process: `python -m deploy.simulator.server --data DIR --port N --webhooks URL --seed TEXT`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx2
import uvicorn

from deploy.simulator.app import simulator_app
from deploy.simulator.settings import Keys, SimulatorSettings
from deploy.simulator.store import Store
from deploy.simulator.telling import Webhook


async def serve(data: Path, settings: SimulatorSettings, *, port: int, host: str = "127.0.0.1") -> None:
    """Make instruments and take payments on them until SIGINT or SIGTERM; `data` is a folder that is there."""
    async with httpx2.AsyncClient(timeout=15) as http:

        async def post(webhook: Webhook) -> int:
            url = settings.webhook_url(webhook.provider)
            try:
                return (await http.post(url, content=webhook.body, headers=dict(webhook.headers()))).status_code
            except httpx2.TransportError:
                return 0  # nobody is there: the page's button sends it again, as a provider's own retries would

        app = simulator_app(settings, Store(data / "simulator.json"), post)
        config = uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulator with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhooks", required=True, help="where webhooks go; a provider's name is put behind it")
    parser.add_argument("--seed", required=True, help="what the keys of both sides are made from")
    parser.add_argument("--late", type=float, default=20.0, help="seconds after which a late webhook leaves")
    given = parser.parse_args(arguments)
    url = f"http://127.0.0.1:{given.port}"
    settings = SimulatorSettings(url, given.webhooks, Keys.of(given.seed), given.late)
    given.data.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(given.data, settings, port=given.port))


if __name__ == "__main__":
    main()
