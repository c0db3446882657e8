"""Runs a command that must not outlive whoever started it: `python tether.py MODE PARENT_PID COMMAND [ARGUMENT...]`.

Standard library only, and started as a plain file, so that it costs a few milliseconds. Two modes:

- `signal` (Linux): asks the kernel for a SIGKILL at the parent's death, then *becomes* the command.
- `watch` (anywhere else): stays, looks twice a second whether the parent is still there, and ends the command if not.

The kernel's signal belongs to the parent's *thread* that started us: a starter that lives in a short-lived thread takes
the command with it when that thread ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

SIGNAL = "signal"
WATCH = "watch"

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_SECONDS = 0.5


def tethered(command: list[str], *, mode: str | None = None) -> list[str]:
    """The argument list that runs `command` tied to this process; `mode` defaults to the best one of this system."""
    chosen = mode or (SIGNAL if sys.platform == "linux" else WATCH)
    return [sys.executable, "-I", "-S", __file__, chosen, str(os.getpid()), *command]


def _become(command: list[str], parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    # The parent may have died before the request was in place; then no signal will ever come.
    if os.getppid() == parent:
        os.execv(command[0], command)


def _watch(command: list[str], parent: int) -> int:
    child = subprocess.Popen(command)
    # A stop goes to the whole group: the command ends by itself, and we report its exit code.
    signal.signal(signal.SIGTERM, lambda *_: None)
    while os.getppid() == parent:
        try:
            return child.wait(_LOOK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    child.kill()
    return child.wait()


def main() -> int:
    """Exits with the command's code, or with 1 if the parent was gone before the command could start."""
    mode, parent, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    if mode == WATCH:
        return _watch(command, parent)
    _become(command, parent)
    return 1


if __name__ == "__main__":
    sys.exit(main())
