"""The inbox as a process of its own: `python -m deploy.embedded.inbox_server --data DIR --smtp-port N --port N`.

It takes mail by SMTP and SMS by HTTP, and shows both in a browser. A mailbox whose name begins with `bounce` does not
exist, and one that begins with `full` is full: so a demo can show what becomes of mail that cannot be delivered.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn

from deploy.embedded.inbox import InboxStore, MailSink, inbox_app

_REFUSALS = {
    "bounce": "550 5.1.1 no such mailbox here",
    "full": "452 4.2.2 this mailbox is full; try again later",
}


def refusal(address: str) -> str | None:
    """How the demo's mailboxes answer: None takes the mail."""
    return next((reply for name, reply in _REFUSALS.items() if address.lower().startswith(name)), None)


async def serve(data: Path, *, smtp_port: int, port: int, zone: str = "UTC", host: str = "127.0.0.1") -> None:
    """Take and show messages until SIGINT or SIGTERM. `zone` is that of the page's clock."""
    store = InboxStore(data)
    app = inbox_app(store, zone=ZoneInfo(zone))
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False))
    try:
        async with MailSink(store, host=host, port=smtp_port, refusal=refusal):
            await server.serve()
    finally:
        store.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the inbox with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="inbox_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--zone", default="UTC")
    given = parser.parse_args(arguments)
    asyncio.run(serve(given.data, smtp_port=given.smtp_port, port=given.port, zone=given.zone))


if __name__ == "__main__":
    main()
