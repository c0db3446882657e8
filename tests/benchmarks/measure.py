"""How a figure is taken and shown: ours against a floor in the same run, in turns, so that noise hits both alike."""

from __future__ import annotations

import os
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

#: One side of a comparison: does its work once, and says how much of it a second.
Side = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result. `met` None: reported only."""

    what: str
    ours: str
    floor: str
    ratio: str
    target: str
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Units a second of both sides, a pair for each turn."""

    pairs: Sequence[tuple[float, float]]

    @property
    def ours(self) -> float:
        return statistics.median(ours for ours, _ in self.pairs)

    @property
    def floor(self) -> float:
        return statistics.median(floor for _, floor in self.pairs)

    @property
    def ratio(self) -> float:
        """The median of the turns' own ratios: neighbours in time share their noise."""
        return statistics.median(ours / floor for ours, floor in self.pairs)

    def figure(self, what: str, unit: str, at_least: float) -> Figure:
        """The line for rates of which ours should be a good part of the floor's."""
        return Figure(
            what,
            f"{self.ours:.3g} {unit}",
            f"{self.floor:.3g} {unit}",
            f"{self.ratio:.2f}",
            f"≥ {at_least:g}",
            self.ratio >= at_least,
        )


async def in_turns(ours: Side, floor: Side, turns: int) -> Rates:
    """Both sides so many times, floor first in every other turn: ours floor, floor ours, …"""
    pairs = []
    for turn in range(turns):
        if turn % 2:
            below = await floor()
            above = await ours()
        else:
            above = await ours()
            below = await floor()
        pairs.append((above, below))
    return Rates(pairs)


def cpu_seconds(*pids: int) -> float:
    """What these processes have used of the processors so far, in user and system time (Linux)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """How much memory the process holds (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def table(figures: Sequence[Figure]) -> Table:
    """All figures, with their targets and whether they were met."""
    shown = Table(title="Lunas against the bare engine, in one run on one machine", title_justify="left")
    for heading in ("figure", "Lunas", "floor", "ratio", "target", "met"):
        shown.add_column(heading, justify="left" if heading == "figure" else "right")
    words = {True: "[green]met[/]", False: "[red]missed[/]", None: "–"}
    for one in figures:
        shown.add_row(one.what, one.ours, one.floor, one.ratio, one.target, words[one.met])
    return shown
