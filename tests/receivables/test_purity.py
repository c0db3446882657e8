"""The rules see no clock, no chance and no world: the same facts give the same answer, today, in a replay, anywhere."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "lunas" / "receivables"

BANNED_MODULES = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "signal", "threading"),
        *("http", "io", "os", "pathlib", "shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "urllib"),
        *("getpass", "locale", "logging", "platform", "sys"),
        *("random", "secrets", "time", "uuid"),
    }
)
BANNED_CALLS = frozenset(
    {
        *("open", "input", "print", "eval", "exec", "compile", "__import__", "breakpoint"),
        # They differ from process to process, so a replay would see another value.
        *("hash", "id"),
    }
)
CLOCKS = frozenset({"now", "today", "utcnow", "fromtimestamp", "utcfromtimestamp"})
ONE_USER_OF_ZONES = "calendar.py"


def offences(source: str, name: str = "module.py") -> Iterator[str]:
    """What in `source` would let the world in, each with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _import(alias.name, node.lineno, name)
            case ast.ImportFrom(level=0, module=str(module)):
                yield from _import(module, node.lineno, name)
            case ast.Call(func=ast.Name(id=called)) if called in BANNED_CALLS:
                yield f"line {node.lineno}: calls {called}()"
            case ast.Attribute(
                value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"), attr=attribute
            ) if attribute in CLOCKS:
                yield f"line {node.lineno}: asks the clock (.{attribute})"
            case ast.Call(func=ast.Attribute(attr="astimezone"), args=[], keywords=[]):
                yield f"line {node.lineno}: .astimezone() without a zone takes this machine's"
            case ast.AsyncFunctionDef() | ast.Await():
                yield f"line {node.lineno}: waits for something"
            case ast.Global(names=names):
                yield f"line {node.lineno}: changes the module's own state ({', '.join(names)})"
            case _:
                pass


def _import(module: str, line: int, name: str) -> Iterator[str]:
    room, top = module.startswith("lunas.receivables"), module.partition(".")[0]
    if not room and top not in sys.stdlib_module_names:
        yield f"line {line}: imports {module}, which is neither the standard library nor lunas.receivables"
    if top in BANNED_MODULES:
        yield f"line {line}: imports {module}"
    if top == "zoneinfo" and name != ONE_USER_OF_ZONES:
        yield f"line {line}: imports zoneinfo; {ONE_USER_OF_ZONES} alone knows zones"


@pytest.mark.parametrize("module", sorted(CORE.rglob("*.py")), ids=lambda path: path.name)
def test_a_module_of_the_core_is_pure(module: Path) -> None:
    assert list(offences(module.read_text(encoding="utf-8"), module.name)) == []


def test_there_is_a_core_to_look_at() -> None:
    assert (CORE / "lifecycle.py").is_file()


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path",
        "from random import random",
        "from zoneinfo import ZoneInfo",
        "import sqlalchemy",
        "from lunas.ledger import facts",
        "from lunas.settings import settings",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import date\ntoday = date.today",
        "import datetime\nnow = datetime.datetime.now(datetime.UTC)",
        "from datetime import datetime\nfirst = datetime.fromtimestamp(0)",
        "def local(moment): return moment.astimezone()",
        "def read(): return open('x').read()",
        "def jitter(number): return hash(number) % 60",
        "async def wait(): pass",
        "def count():\n    global n\n    n = 1",
    ],
)
def test_the_look_finds_what_it_looks_for(source: str) -> None:
    assert len(list(offences(source))) >= 1


def test_the_look_lets_the_calendar_have_its_zones() -> None:
    source = "from zoneinfo import ZoneInfo\nfrom lunas.receivables.money import Money\nimport hashlib\n"
    assert list(offences(source, "calendar.py")) == []
