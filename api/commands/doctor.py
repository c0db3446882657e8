"""`lunas doctor`: looks at everything an installation needs, and says in one line each what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.shared import CommandError, DataOption, console, run
from api.commands.stack_files import adopt_environment

if TYPE_CHECKING:
    from lunas.settings import Settings

TemplateCheck = Callable[["Settings"], None]


def command(templates: TemplateCheck) -> Callable[..., None]:
    """The command; `templates` raises ValueError for templates that cannot be used."""

    def doctor(
        data: DataOption,
        quiet: Annotated[bool, typer.Option("--quiet", help="Show only what needs attention.")] = False,
    ) -> None:
        """Check settings, ledger, Temporal, search attributes, worker, mail relay, policies and templates.

        One line each, with what to do. The exit code is 1 where something is wrong.

        Example: `lunas doctor`
        """
        from api.commands.examination import State, examine

        adopt_environment(data)
        findings = run(examine(templates))
        for finding in findings:
            if not quiet or finding.state is not State.WELL:
                console.print(finding.line(), soft_wrap=True)
        wrong = sum(finding.state is State.WRONG for finding in findings)
        if wrong:
            raise CommandError(f"{wrong} of {len(findings)} checks found something wrong")

    return doctor
