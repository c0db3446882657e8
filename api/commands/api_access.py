"""Where the API is, and with which key: from the environment, or from what `lunas up` left in its data folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from api.commands.shared import CommandError, run
from api.commands.stack_files import adopt_environment

if TYPE_CHECKING:
    from api.client import LunasClient

_T = TypeVar("_T")


@asynccontextmanager
async def open_client(data: Path) -> AsyncIterator[LunasClient]:
    """A client of the API; its errors become a CommandError with the API's own sentence."""
    from api.client import ApiError, LunasClient

    adopt_environment(data)
    url = os.environ.get("LUNAS_API_URL", "http://127.0.0.1:8080")
    key = os.environ.get("LUNAS_API_KEY", "")
    if not key:
        raise CommandError(
            "no API key: run `lunas up`, which makes one, or set LUNAS_API_URL and LUNAS_API_KEY (`lunas keys create`)"
        )
    if not key.isascii() or not key.isprintable():
        raise CommandError("LUNAS_API_KEY is no key: expected one such as lunas_1f2e3d4c5b6a_…")
    try:
        async with LunasClient(url, key) as lunas:
            yield lunas
    except ApiError as error:
        raise CommandError(str(error)) from error


def ask(data: Path, question: Callable[[LunasClient], Awaitable[_T]]) -> _T:
    """Ask the API one thing; raises CommandError."""

    async def asking() -> _T:
        async with open_client(data) as lunas:
            return await question(lunas)

    return run(asking())
