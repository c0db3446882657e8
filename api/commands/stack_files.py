"""What `lunas up` leaves in its data folder, so that the other commands find what it runs without being told."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from api.commands.shared import CommandError

_ENVIRONMENT = "environment.json"
_SECRET = "link-secret"  # noqa: S105 - the name of a file


def adopt_environment(data: Path) -> None:
    """Take what the stack in that folder set for its parts as this process's environment; what is set already wins."""
    for name, value in stack_environment(data).items():
        os.environ.setdefault(name, value)


def stack_environment(data: Path) -> Mapping[str, str]:
    """The environment that the stack last wrote down; empty where there is none."""
    path = data / _ENVIRONMENT
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read ({error}): delete it, and `lunas up` writes it anew") from None
    return {str(name): str(value) for name, value in stored.items()}


def keep_environment(data: Path, environment: Mapping[str, str]) -> None:
    """Write the stack's environment down; it holds a key, so only its owner may read it."""
    write_private(data / _ENVIRONMENT, json.dumps(environment, indent=2, sort_keys=True) + "\n")


def link_secret(data: Path) -> str:
    """The secret that signs customers' links: made once for a data folder, because links outlive a restart."""
    path = data / _SECRET
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48) + "\n")
    return path.read_text("utf-8").strip()


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
