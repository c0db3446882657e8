"""What no reviewer should have to look for in workflow code: habits that lose messages or break replay silently."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "workflows"


def offences(source: str) -> Iterator[str]:
    """What in `source` has lost signals or broken replay before, each with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AsyncFunctionDef(name=name, decorator_list=decorators):
                if any(_decorator(one) == "signal" for one in decorators):
                    yield f"line {node.lineno}: the signal handler {name} is async def; a plain def sets a field"
                if any(_decorator(one) == "query" for one in decorators):
                    yield f"line {node.lineno}: the query {name} is async def; a query only reads"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr="now" | "today" | "utcnow" as clock)
            ):
                yield f"line {node.lineno}: asks this machine's clock ({clock}); take workflow.now()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="time" | "random" | "uuid" | "secrets" as module))):
                yield f"line {node.lineno}: calls {module}; take workflow.now(), random() or uuid4()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr="wait" | "as_completed" as helper)):
                yield f"line {node.lineno}: asyncio.{helper} takes things in no fixed order; take workflow.{helper}"
            case _:
                pass


def _decorator(node: ast.expr) -> str:
    """`signal` for @workflow.signal, with or without arguments."""
    target = node.func if isinstance(node, ast.Call) else node
    match target:
        case ast.Attribute(value=ast.Name(id="workflow"), attr=kind):
            return kind
        case _:
            return ""


def modules() -> list[Path]:
    # The composition root runs outside workflows: it may do as any program does.
    return sorted(path for path in ROOM.rglob("*.py") if path.name != "worker.py")


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.name)
def test_a_workflow_module_keeps_the_discipline(module: Path) -> None:
    assert list(offences(module.read_text(encoding="utf-8"))) == []


def test_there_is_a_signal_handler_to_look_at() -> None:
    found = [
        node.name
        for module in modules()
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and any(_decorator(one) == "signal" for one in node.decorator_list)
    ]
    assert found


@pytest.mark.parametrize(
    "source",
    [
        "class W:\n    @workflow.signal\n    async def paid(self): ...",
        "class W:\n    @workflow.signal(name='paid', description='…')\n    async def paid(self): ...",
        "class W:\n    @workflow.query\n    async def status(self): ...",
        "now = datetime.now(UTC)",
        "day = date.today()",
        "time.sleep(1)",
        "key = uuid.uuid4()",
        "done = asyncio.wait(tasks)",
    ],
)
def test_the_look_finds_what_it_looks_for(source: str) -> None:
    assert len(list(offences(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "class W:\n    @workflow.signal\n    def paid(self): ...",
        "class W:\n    @workflow.update\n    async def pause(self): ...",
        "now = workflow.now()",
        "key = workflow.uuid4()",
    ],
)
def test_the_look_lets_good_habits_pass(source: str) -> None:
    assert list(offences(source)) == []
