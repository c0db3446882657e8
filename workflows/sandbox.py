"""The sandbox that workflow code runs in, and what it may share with the rest of the process.

Our own modules are passed through, the invoice's workflow among them: read anew for every run they cost a parked
invoice 660 kB, or 150 kB where only the core was shared, against 80 kB now, and twice the time of a replay. What runs
is still guarded at its calls of builtins, but not in what it imports: so lint and a test of the source
(`tests/workflows/test_discipline.py`) ban clocks, randomness and I/O there.
"""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

SHARED_MODULES = (
    "lunas",
    "workflows.invoice",
    "workflows.messages",
    "workflows.options",
    "workflows.requests",
    "workflows.visibility",
    "pydantic",
    "annotated_types",
)


def workflow_runner() -> SandboxedWorkflowRunner:
    """The runner of every worker and of every test."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*SHARED_MODULES))
