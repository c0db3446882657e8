"""`python -m tests.storm`: payments against reminders while everything is being killed. Nothing twice, nothing late."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.storm.nursery import Nursery
from tests.storm.plan import Scale
from tests.storm.report import Outcome, strength_of
from tests.storm.storm import storm

_FULL = 120.0
_CONTROL = 30.0


async def main() -> int:
    """0 where the protocol held, the storm was strong enough, and the control broke."""
    asked = _arguments()
    seed = asked.seed if asked.seed is not None else int(time.time())
    logs = Path(tempfile.mkdtemp(prefix="lunas-storm-logs-"))
    async with Nursery(logs) as nursery:
        good = await _storms(asked, seed, nursery)
    if good and not asked.keep:
        shutil.rmtree(logs, ignore_errors=True)
    print(f"\n{'it held' if good else 'IT DID NOT HOLD'}; again with: python -m tests.storm --seed {seed}")
    return 0 if good else 1


async def _storms(asked: argparse.Namespace, seed: int, nursery: Nursery) -> bool:
    good = True
    databases = ("sqlite", "postgresql") if asked.database == "both" else (asked.database,)
    if not asked.control:
        scale = Scale(invoices=80, rungs=5, seconds=asked.seconds, fault_every=asked.fault_every)
        for database in databases:
            result = await storm(seed, scale, nursery, postgresql=database == "postgresql", keep=asked.keep)
            good &= _held(result, scale)
    if not asked.no_control:
        scale = Scale(invoices=40, rungs=3, seconds=_CONTROL, fault_every=asked.fault_every, sluggish=1.5)
        result = await storm(seed, scale, nursery, postgresql=databases[0] == "postgresql", naive=True)
        good &= _broke(result)
    return good


def _held(result: Outcome, scale: Scale) -> bool:
    result.print()
    weak = result.weakness(strength_of(scale))
    for each in weak:
        print(f"  too weak to mean anything: {each}")
    return not weak and not result.violations


def _broke(control: Outcome) -> bool:
    control.print()
    if control.twice and control.after:
        return True
    print("  the naive design came off unharmed: this storm proves nothing")
    return False


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seed", type=int, help="which storm; another one each time by default")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=_FULL, help="how long one lasts on a machine that is at rest")
    parser.add_argument("--fault-every", type=float, default=2.4, help="seconds between two faults, on average")
    parser.add_argument("--control", action="store_true", help="only the naive design, which must break")
    parser.add_argument("--no-control", action="store_true", help="without it")
    parser.add_argument("--keep", action="store_true", help="keep the files")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
