"""`make bench`, or `python -m tests.benchmarks --only lives,post`: what Lunas costs beside the bare engine."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console

from tests.benchmarks.measure import Figure, table

_Bench = Callable[[Path], Awaitable[list[Figure]]]


def main() -> int:
    """Run what was asked for, and print one table; 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAMES", help=f"some of {', '.join(_NAMES)}, with commas between")
    asked = parser.parse_args().only
    names = asked.split(",") if asked else _NAMES
    if unknown := [name for name in names if name not in _NAMES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}: there are {', '.join(_NAMES)}")
    # Sandboxes read the bare workflow anew for each run: let them find bytecode, as where things are installed.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    console = Console()
    figures = asyncio.run(_run(names, console))
    console.print(table(figures))
    return 1 if any(figure.met is False for figure in figures) else 0


async def _run(names: list[str], console: Console) -> list[Figure]:
    figures = []
    for name in names:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="lunas-bench-") as folder:
            figures += await _benchmarks()[name](Path(folder))
        console.print(f"{name}: {time.perf_counter() - began:.0f} s", style="dim")
    return figures


def _benchmarks() -> dict[str, _Bench]:
    from tests.benchmarks.lives import whole_lives
    from tests.benchmarks.mornings import mornings
    from tests.benchmarks.parking import parking
    from tests.benchmarks.posting import posting
    from tests.benchmarks.rehearsing import rehearsing
    from tests.benchmarks.replaying import replaying

    return {
        "post": posting,
        "lives": whole_lives,
        "rehearse": rehearsing,
        "park": parking,
        "replay": replaying,
        "morning": mornings,
    }


_NAMES = ["post", "lives", "rehearse", "park", "replay", "morning"]

if __name__ == "__main__":
    sys.exit(main())
