"""A role that becomes another program, and dies with the nursery all the same."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
from typing import Any

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for a SIGKILL when the parent has died. A change of user takes that back: ask after it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(options: dict[str, Any]) -> None:
    """Become `command`, as `user` where one is named."""
    if options["user"] is not None:
        account = pwd.getpwnam(options["user"])
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        die_with_parent()
    os.execv(options["command"][0], options["command"])
