"""`lunas webhooks`: where API clients are told of events, and how deliveries stand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.commands.api_access import ask
from api.commands.shared import DATE_HELP, CommandError, DataOption, console, day, moment_words
from lunas.ledger.kinds import DeliveryState
from lunas.webhooks import EventType

webhooks_app = typer.Typer(no_args_is_help=True, help="Webhooks to API clients: endpoints, secrets and deliveries.")

Endpoint = Annotated[int, typer.Argument(min=1, help="Its id, as `lunas webhooks list` shows it.")]
Events = Annotated[
    list[EventType] | None,
    typer.Option("--event", help="A type of event; several times for several.", show_default=False),
]


@webhooks_app.command("list")
def list_command(data: DataOption) -> None:
    """List the endpoints, without their secrets.

    Example: `lunas webhooks list`
    """
    found = ask(data, lambda lunas: lunas.webhooks.endpoints())
    if not found:
        console.print("No API client is told of events. `lunas webhooks add` subscribes one.")
        return
    table = Table(box=None, header_style="bold")
    for column in ("Id", "URL", "Events", "Stands", "Last success"):
        table.add_column(column, overflow="fold")
    for one in found:
        stands = "active" if one.active else f"not active: {one.disabled_why}"
        events = "all" if len(one.events) == len(EventType) else ", ".join(one.events)
        table.add_row(str(one.id), escape(one.url), events, escape(stands), moment_words(one.succeeded_at))
    console.print(table)


@webhooks_app.command("add")
def add_command(
    url: Annotated[str, typer.Argument(help="Where events are posted: https, on the public web.")],
    data: DataOption,
    event: Events = None,
) -> None:
    """Subscribe a URL to events from now on, all types unless some are given, and show its secret once.

    Example: `lunas webhooks add https://erp.example.com/lunas --event invoice.paid --event payment.reversed`
    """
    from api.schemas.webhooks import EndpointBody

    body = EndpointBody(url=url, events=event or list(EventType))
    made = ask(data, lambda lunas: lunas.webhooks.add(body))
    print(made.secret)  # noqa: T201 - the secret alone in a line, for scripts
    console.print(
        f"Endpoint {made.endpoint.id} is told of {', '.join(made.endpoint.events)}. Keep the secret now: nobody can "
        f"show it again. `lunas webhooks test {made.endpoint.id}` sends a test.",
        soft_wrap=True,
    )


@webhooks_app.command("change")
def change_command(
    endpoint: Endpoint,
    data: DataOption,
    url: Annotated[str | None, typer.Option(help="Where events are posted from now on.")] = None,
    event: Events = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Deliver, or keep for later what arises.")
    ] = None,
) -> None:
    """Change an endpoint. Activated again, it gets at once what has arisen for it meanwhile.

    Example: `lunas webhooks change 3 --active`
    """
    from api.schemas.webhooks import EndpointChange

    if url is None and not event and active is None:
        raise CommandError("say what is to change: --url, --event, --active or --inactive")
    given = {"url": url, "events": event or None, "active": active}
    change = EndpointChange.model_validate({name: value for name, value in given.items() if value is not None})
    changed = ask(data, lambda lunas: lunas.webhooks.change(endpoint, change))
    state = "active" if changed.active else "not active"
    console.print(escape(f"Endpoint {changed.id} is {state}: {changed.url}, {', '.join(changed.events)}."))


@webhooks_app.command("remove")
def remove_command(endpoint: Endpoint, data: DataOption) -> None:
    """Tell an endpoint nothing any more, and forget its secrets.

    Example: `lunas webhooks remove 3`
    """
    ask(data, lambda lunas: lunas.webhooks.remove(endpoint))
    console.print(f"Endpoint {endpoint} is removed.")


@webhooks_app.command("rotate")
def rotate_command(
    endpoint: Endpoint,
    data: DataOption,
    hours: Annotated[
        int, typer.Option(min=0, max=168, help="How long the one before is valid too; 0: not at all.")
    ] = 24,
) -> None:
    """Make a new secret, and show it once. For some hours deliveries are signed with both.

    Example: `lunas webhooks rotate 3 --hours 48`
    """
    from api.schemas.webhooks import RotationBody

    made = ask(data, lambda lunas: lunas.webhooks.rotate(endpoint, RotationBody(hours=hours)))
    print(made.secret)  # noqa: T201 - the secret alone in a line, for scripts
    until = f"until {moment_words(made.before_valid_until)}" if hours else "no more"
    console.print(f"Keep it now: nobody can show it again. The one before is valid {until}.")


@webhooks_app.command("test")
def test_command(endpoint: Endpoint, data: DataOption) -> None:
    """Send a test event to an endpoint.

    Example: `lunas webhooks test 3`
    """
    sent = ask(data, lambda lunas: lunas.webhooks.test(endpoint))
    console.print(f"{sent.event} is on its way; `lunas webhooks deliveries {endpoint}` shows how it went.")


@webhooks_app.command("deliveries")
def deliveries_command(
    endpoint: Endpoint,
    data: DataOption,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those that stand so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
) -> None:
    """Show how an endpoint's deliveries stand, newest first.

    Example: `lunas webhooks deliveries 3 --state given_up`
    """
    page = ask(data, lambda lunas: lunas.webhooks.deliveries(endpoint, state=state, limit=limit))
    if not page.deliveries:
        console.print("There are none.")
        return
    table = Table(box=None, header_style="bold")
    for column in ("Event", "Type", "Invoice", "At", "Stands", "Attempts", "Last answer", "Next"):
        table.add_column(column, no_wrap=column == "Event", overflow="fold")
    for one in page.deliveries:
        answer = one.last_error or (str(one.last_status) if one.last_status else "")
        table.add_row(
            one.event, one.type, escape(one.invoice or ""), moment_words(one.at), one.state.replace("_", " "),
            str(one.attempts), escape(answer), moment_words(one.next_at),
        )  # fmt: skip
    console.print(table)


@webhooks_app.command("replay")
def replay_command(
    endpoint: Endpoint,
    data: DataOption,
    event: Annotated[str | None, typer.Option(help="One event, whatever came of it, such as evt_….")] = None,
    since: Annotated[
        date | None,
        typer.Option(parser=day, metavar="DAY", help=f"All that did not arrive since that day (UTC), {DATE_HELP}."),
    ] = None,
) -> None:
    """Deliver one event again, or all since a day that did not arrive. Receivers know them by their ids.

    Example: `lunas webhooks replay 3 --since 2026-11-30`
    """
    from api.schemas.webhooks import ReplayBody

    if (event is None) is (since is None):
        raise CommandError("say which: --event with an event's id, or --since with a day")
    if event is not None:
        body = ReplayBody(event=event)
    else:
        assert since is not None
        body = ReplayBody(since=datetime.combine(since, time.min, UTC))
    count = ask(data, lambda lunas: lunas.webhooks.replay(endpoint, body))
    console.print(f"{count} on the way again.")
