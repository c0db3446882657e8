"""From what the code raises to what the client is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api.errors import FieldError, Kind, Problem, of_status
from api.temporal import NotAnswered, NotFinished, NotPossible, NotRunning, TemporalDown
from lunas.ledger.errors import Conflict, LedgerError, NotFound, Refused
from lunas.receivables.policy import PolicyError

#: Errors of the validator whose own words could repeat what the client sent.
_NOT_QUOTED = re.compile(r"tag|uuid|url|assertion|callable|json")
_FIELD_NAME = re.compile(r"[a-z][a-z_]{0,39}")
_NO_ROUTE = (
    "nothing is at this path: see /docs for those there are. A slash inside a name is written %2F, as in "
    "/v1/invoices/INV%2F2026%2F11%2F0042"
)

#: PostgreSQL's codes, and SQLite's names, for a name that is taken; and PostgreSQL's class for values that do not fit.
_UNIQUE, _BAD_DATA = "23505", "22"
_UNIQUE_ON_SQLITE = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")


def register(app: FastAPI) -> None:
    """Make every error a problem."""
    app.add_exception_handler(Problem, _as_it_is)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LedgerError, _ledger)
    app.add_exception_handler(PolicyError, _policy)
    for kind in (TemporalDown, NotAnswered, NotRunning, NotPossible, NotFinished):
        app.add_exception_handler(kind, _temporal)
    for broken in (DBAPIError, NoConnectionFree, ConnectionError):
        app.add_exception_handler(broken, _database)


async def _as_it_is(request: Request, error: Exception) -> Response:
    return cast(Problem, error).response()


async def _http(request: Request, error: Exception) -> Response:
    failed = cast(HTTPException, error)
    match failed.status_code:
        case 404:
            return Problem(Kind.NOT_FOUND, _NO_ROUTE).response()
        case 405:
            allowed = ", ".join(_allowed(request))
            detail = f"{request.method} is not possible on this path: it takes {allowed}"
            return Problem(Kind.METHOD, detail, headers={"Allow": allowed}).response()
        case status:
            return of_status(status, failed.detail, failed.headers)


def _allowed(request: Request) -> list[str]:
    """Every method of this path: the framework names those of the first route that fits only."""
    routes = request.app.routes
    asked = {name: request.scope[name] for name in ("type", "path", "root_path", "headers", "query_string", "app")}
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _invalid(request: Request, error: Exception) -> Response:
    errors = field_errors(cast(RequestValidationError, error).errors())
    first = errors[0]
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    detail = f"{first.where} {first.pointer}: {first.detail}{more}; correct what `errors` names and send it again"
    return Problem(Kind.INVALID, detail, errors=errors).response()


def field_errors(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """The validator's complaints in our form; none of them repeats what was sent."""
    return [_field_error(one) for one in found]


def _field_error(found: Mapping[str, Any]) -> FieldError:
    where, *path = found["loc"]
    kind, said = str(found["type"]), str(found["msg"])
    if kind == "extra_forbidden":
        detail = "there is no such field"
        if not _FIELD_NAME.fullmatch(str(path[-1])):
            path, detail = path[:-1], "it has a field that is not known"
    elif kind == "missing":
        detail = "it is missing" if path else "a body is missing: send a JSON object"
    elif kind == "string_pattern_mismatch":
        detail = (
            f"it has a character that is not possible here, or a blank at an end: expected {found['ctx']['pattern']}"
        )
    elif _NOT_QUOTED.search(kind):
        detail = "it is not valid"
    else:
        detail = said.removeprefix("Value error, ")
        detail = detail[:1].lower() + detail[1:]
    return FieldError(where=where, pointer=_pointer(path), detail=detail)


def _pointer(path: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path) or "/"


async def _ledger(request: Request, error: Exception) -> Response:
    match error:
        case NotFound():
            kind = Kind.NOT_FOUND
        case Conflict():
            kind = Kind.CONFLICT
        case Refused():
            kind = Kind.REFUSED
        case _:
            kind = Kind.INVALID
    return Problem(kind, str(error)).response()


async def _policy(request: Request, error: Exception) -> Response:
    return Problem(Kind.FAULT, "the policy cannot be read: `lunas doctor` says what is wrong with its file").response()


async def _temporal(request: Request, error: Exception) -> Response:
    match error:
        case NotPossible() | NotRunning():
            return Problem(Kind.REFUSED, str(error)).response()
        case NotFinished():
            return Problem(Kind.UNKNOWN, str(error)).response()
        case _:
            return Problem(Kind.UNAVAILABLE, str(error), headers={"Retry-After": "10"}).response()


async def _database(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and _is_our_fault(error):
        raise error
    if isinstance(error, IntegrityError):
        detail = (
            "another request wrote the same name at this moment: read it, and send yours again if it is still wanted"
        )
        return Problem(Kind.CONFLICT, detail).response()
    detail = "the ledger does not answer: send the same request again in a few seconds; nothing is done twice"
    return Problem(Kind.UNAVAILABLE, detail, headers={"Retry-After": "5"}).response()


def _is_our_fault(error: DBAPIError) -> bool:
    """Whether the statement was wrong, and would be again: not an outage, and not a race for a name."""
    state = str(getattr(error.orig, "sqlstate", "") or "")
    if isinstance(error, IntegrityError):
        return state != _UNIQUE and getattr(error.orig, "sqlite_errorname", "") not in _UNIQUE_ON_SQLITE
    return isinstance(error, (DataError, ProgrammingError)) or state.startswith(_BAD_DATA)
