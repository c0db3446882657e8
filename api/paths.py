"""Names in paths: an invoice number such as INV/2026/11/0042 is one segment, with its slashes written %2F.

Servers hand the path over decoded, and then a slash inside a name cannot be told from one between names. So the path is
read again from its raw bytes: what was encoded stays one segment, and the `name` convertor gives it back.
"""

from __future__ import annotations

from urllib.parse import unquote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import Kind, Problem


class NameConvertor(Convertor[str]):
    """One whole segment of a path, whatever characters the name has."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return _kept(value)


def register() -> None:
    """Let routes be written with `{number:name}`."""
    register_url_convertor("name", NameConvertor())


class WholeSegments:
    """Middleware: routes by the segments of the raw path. Answers 400 to one that is not UTF-8."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes | None = scope.get("raw_path") if scope["type"] == "http" else None
        if raw is None:
            await self._app(scope, receive, send)
            return
        try:
            path = "/".join(_kept(unquote_to_bytes(segment).decode()) for segment in raw.split(b"/"))
        except UnicodeDecodeError:
            problem = Problem(Kind.MALFORMED, "the path is not UTF-8: encode names in UTF-8, then with %")
            await problem.response()(scope, receive, send)
            return
        await self._app({**scope, "path": path}, receive, send)


def _kept(name: str) -> str:
    """The name as a segment: nothing but the slash, and the sign that encodes it, is encoded."""
    return name.replace("%", "%25").replace("/", "%2F")
