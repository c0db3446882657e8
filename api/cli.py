"""The command line `lunas`: the API for people, and the processes of an installation.

Exit codes: 0 done; 1 not done, with a sentence that says why; 2 used wrongly; 3 done in part; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer
from pydantic import ValidationError
from rich.markup import escape

from api.commands import (
    clock,
    customers,
    doctor,
    importing,
    invoices,
    links,
    money,
    operations,
    plans,
    processes,
    requests,
    up,
    webhooks,
)
from api.commands.shared import CommandError, NotAllDone, errors, first_complaint

if TYPE_CHECKING:
    from lunas.settings import Settings

app = typer.Typer(
    name="lunas",
    help="Collects invoices, each one a durable workflow, from the day it is issued until it is paid in full.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def check_templates(settings: Settings) -> None:
    """Raise ValueError where a template cannot be used. Here, because only a composition root may know activities."""
    from activities.agency_letters import AgencyLetters
    from activities.texts import Texts

    Texts(settings.company, settings.template_folder).check()
    AgencyLetters(settings.company, settings.template_folder).check()


INVOICES = "Invoices"
REQUESTS = "Requests and decisions"
PLANS = "Policies and rules"
OPERATIONS = "Operations"
PROCESSES = "Processes"
app.command("import", rich_help_panel=INVOICES)(importing.import_command)
app.command("issue", rich_help_panel=INVOICES)(invoices.issue_command)
app.command("pay", rich_help_panel=INVOICES)(money.pay_command)
app.command("refund", rich_help_panel=INVOICES)(money.refund_command)
app.command("interest", rich_help_panel=INVOICES)(money.interest_command)
app.command("charge", rich_help_panel=INVOICES)(money.charge_command)
app.command("waive", rich_help_panel=INVOICES)(money.waive_command)
app.command("status", rich_help_panel=INVOICES)(invoices.status_command)
app.command("journal", rich_help_panel=INVOICES)(invoices.journal_command)
app.command("why", rich_help_panel=INVOICES)(invoices.why_command)
app.command("fast-forward", rich_help_panel=INVOICES)(clock.fast_forward_command)
app.command("promise", rich_help_panel=REQUESTS)(requests.promise_command)
app.command("instalments", rich_help_panel=REQUESTS)(requests.instalments_command)
app.command("dispute", rich_help_panel=REQUESTS)(requests.dispute_command)
app.command("resolve", rich_help_panel=REQUESTS)(requests.resolve_command)
app.command("pause", rich_help_panel=REQUESTS)(requests.pause_command)
app.command("resume", rich_help_panel=REQUESTS)(requests.resume_command)
app.command("approve", rich_help_panel=REQUESTS)(requests.approve_command)
app.command("recall", rich_help_panel=REQUESTS)(requests.recall_command)
app.command("write-off", rich_help_panel=REQUESTS)(requests.write_off_command)
app.command("cancel", rich_help_panel=REQUESTS)(requests.cancel_command)
app.command("rehearse", rich_help_panel=PLANS)(plans.rehearse_command)
app.command("lifecycle", rich_help_panel=PLANS)(plans.lifecycle_command)
app.command("nudge", rich_help_panel=OPERATIONS)(operations.nudge_command)
app.command("revoke-links", rich_help_panel=OPERATIONS)(links.revoke_links_command)
app.add_typer(operations.sending_app, name="sending", rich_help_panel=OPERATIONS)
app.add_typer(operations.notices_app, name="notices", rich_help_panel=OPERATIONS)
app.add_typer(customers.customers_app, name="customers", rich_help_panel=OPERATIONS)
app.add_typer(webhooks.webhooks_app, name="webhooks", rich_help_panel=OPERATIONS)
app.command("up", rich_help_panel=PROCESSES)(up.up_command)
app.command("api", rich_help_panel=PROCESSES)(processes.api_command)
app.command("worker", rich_help_panel=PROCESSES)(processes.worker_command)
app.command("migrate", rich_help_panel=PROCESSES)(processes.migrate_command)
app.add_typer(processes.keys_app, name="keys", rich_help_panel=PROCESSES)
app.command("doctor", rich_help_panel=PROCESSES)(doctor.command(check_templates))


def run(arguments: Sequence[str]) -> int:
    """Run one command; the answer is the exit code. Whatever went wrong was said, in a sentence, on standard error."""
    try:
        app(list(arguments), prog_name="lunas")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        errors.print("interrupted")
        return 130
    except NotAllDone as error:
        return _say(str(error), 3)
    except BrokenPipeError:
        # The reader of our output has gone (`lunas journal … | head`): nothing is left to say.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 1
    except Exception as error:  # noqa: BLE001 - the last place that can turn an error into a sentence
        if isinstance(error, expected_errors()):
            return _say(str(error), 1)
        if isinstance(error, ValidationError):
            return _say(first_complaint(error), 1)
        traceback.print_exc()
        errors.print("[red]lunas:[/] this is a fault in Lunas; the lines above say where")
        return 70
    return 0


def expected_errors() -> tuple[type[Exception], ...]:
    """Errors whose message is a sentence for people; anything else is a fault of ours."""
    from api.importing.errors import CannotImport
    from deploy.embedded.machine import EmbeddedServerError
    from deploy.embedded.time_skipping import TimeSkippingError
    from lunas.ledger.errors import LedgerError
    from lunas.links import LinkError
    from lunas.receivables.calendar import CalendarError
    from lunas.receivables.money import MoneyError
    from lunas.receivables.policy import PolicyError
    from lunas.receivables.terms import TermsError

    ours = (CommandError, CannotImport, EmbeddedServerError, TimeSkippingError)
    return (*ours, LedgerError, LinkError, CalendarError, MoneyError, PolicyError, TermsError)


def _say(sentence: str, code: int) -> int:
    errors.print(f"[red]lunas:[/] {escape(sentence)}", soft_wrap=True)
    return code


def main() -> NoReturn:
    """The entry point. Ends the process itself: a Temporal client's threads may abort a closing interpreter."""
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
