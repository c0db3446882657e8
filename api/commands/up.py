"""`lunas up`: everything on one machine, in one command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from api.commands.shared import DataOption, run


def up_command(
    data: DataOption,
    demo: Annotated[bool, typer.Option("--demo", help="Bring 36 invoices, and live through months of them.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Stop again as soon as all is up, and the demo is played.")
    ] = False,
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The API; usually 8080. 0: any free one.")
    ] = None,
    ui_port: Annotated[int | None, typer.Option(min=0, max=65535, help="The Temporal UI; usually 8233.")] = None,
    temporal_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Temporal itself; usually 7233.")] = None,
    inbox_port: Annotated[int | None, typer.Option(min=0, max=65535, help="The inbox's page; usually 8025.")] = None,
    smtp_port: Annotated[int | None, typer.Option(min=0, max=65535, help="The inbox's SMTP; usually 2525.")] = None,
    simulator_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The demo's payment gateway; usually 8026.")
    ] = None,
) -> None:
    """Run everything on this machine, until Ctrl-C.

    Temporal's dev server, the ledger (SQLite), an inbox for mail and SMS, a worker and the API. What the environment
    names is used instead: `TEMPORAL_ADDRESS`, `LUNAS_DATABASE_URL`, `LUNAS_SMTP_HOST`. All state is in the data folder,
    and a second start goes on from there. With `--demo` comes a payment gateway that moves no money, unless
    `LUNAS_PAYMENT_METHODS` names real ones.

    Example: `lunas up --demo`
    """
    # Here, so that every other command starts quickly.
    from api.commands.stack import Plan, Ports, port, up, usual_api_port

    ports = Ports(
        api=port("--api-port", api_port, usual_api_port(os.environ)),
        ui=port("--ui-port", ui_port, 8233),
        temporal=port("--temporal-port", temporal_port, 7233),
        inbox=port("--inbox-port", inbox_port, 8025),
        smtp=port("--smtp-port", smtp_port, 2525),
        simulator=port("--simulator-port", simulator_port, 8026),
    )
    run(up(Plan(data.expanduser().resolve(), ports, os.environ, demo), demo=demo, once=once))
