"""Errors as every client gets them: problem+json (RFC 9457), with what was wrong, what was expected and what to do.

`type` is for programs and never changes; `detail` is for people. Nothing that the client sent is repeated, except names
(an invoice's number, a customer's code, a field's name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class Kind(Enum):
    """Every problem there is: its name in `type`, its status, its title, and its line in the documentation."""

    MALFORMED = ("malformed", 400, "The request cannot be read", "The body or the path cannot be read.")
    UNAUTHENTICATED = ("unauthenticated", 401, "A valid API key is needed", "No API key, or one that is not valid.")
    FORGED = ("forged", 401, "The signature is not valid", "No key of ours made the signature, or too long ago.")
    FORBIDDEN = ("forbidden", 403, "The API key does not allow this", "The API key lacks the scope.")
    NOT_FOUND = ("not-found", 404, "There is no such thing", "Nothing has that name.")
    METHOD = ("method-not-allowed", 405, "This method is not possible here", "The path knows other methods.")
    CONFLICT = ("conflict", 409, "The name stands for something else", "The name stands for something else already.")
    REFUSED = ("refused", 409, "Not possible as things stand", "It is not possible as things stand.")
    TOO_LARGE = ("too-large", 413, "The body is too large", "The body is too large.")
    MEDIA = ("unsupported-media-type", 415, "Send JSON", "The body is not application/json.")
    INVALID = ("invalid", 422, "The request is not valid", "Fields are missing, unknown or out of range.")
    FAULT = ("fault", 500, "Something broke here", "A fault of ours; the instance names it in our log.")
    UNAVAILABLE = ("unavailable", 503, "Not available now", "The ledger or Temporal does not answer: try again.")
    UNKNOWN = ("outcome-unknown", 504, "The outcome is unknown", "No answer in time: it may or may not have happened.")

    def __init__(self, slug: str, status: int, title: str, described: str) -> None:
        self.slug, self.status, self.title, self.described = slug, status, title, described

    @property
    def uri(self) -> str:
        """The problem's `type`."""
        return f"urn:lunas:problem:{self.slug}"


class FieldError(BaseModel):
    """One thing that is wrong with the request."""

    model_config = ConfigDict(populate_by_name=True)

    where: Literal["body", "query", "path", "header", "cookie"] = Field(alias="in")
    pointer: str = Field(
        description="JSON pointer into the body, or `/` and the parameter's name", examples=["/lines/0"]
    )
    detail: str


class ProblemDocument(BaseModel):
    """A problem (RFC 9457): branch on `type`, show `detail`."""

    type: str = Field(description="Names the kind of problem; never changes", examples=[Kind.INVALID.uri])
    title: str
    status: int
    detail: str = Field(description="What was wrong, what was expected, and what to do")
    instance: str | None = Field(default=None, description="Names this occurrence in our log")
    errors: list[FieldError] | None = Field(default=None, description="What is wrong, field by field")


class Problem(HTTPException):
    """Raised anywhere in the API; becomes the response. `detail` says what was wrong, what was expected, what to do."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        instance: str | None = None,
    ) -> None:
        super().__init__(kind.status, detail, headers)
        self.kind = kind
        self.errors = tuple(errors)
        self.instance = instance

    def response(self) -> JSONResponse:
        """The problem as it is sent."""
        document = ProblemDocument(
            type=self.kind.uri,
            title=self.kind.title,
            status=self.kind.status,
            detail=self.detail,
            instance=self.instance,
            errors=list(self.errors) or None,
        )
        return as_response(document, self.headers)


def as_response(document: ProblemDocument, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem document with its own status and media type."""
    content = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    return JSONResponse(content, document.status, headers, MEDIA_TYPE)


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """What an operation's documentation says of these problems, one entry a status."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        before = found.get(kind.status)
        words = f"{before['description']} {kind.described}" if before else kind.described
        found[kind.status] = {
            "description": words,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
    return found


#: What any operation below /v1 may answer, what one with a name in its path may, and what one with a body may.
EVERYWHERE = (Kind.MALFORMED, Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.INVALID, Kind.FAULT, Kind.UNAVAILABLE)
NAMED = (*EVERYWHERE, Kind.NOT_FOUND)
SENT = (Kind.CONFLICT, Kind.REFUSED, Kind.TOO_LARGE, Kind.MEDIA)
ASKED = (*SENT, Kind.UNKNOWN)


def of_status(status: int, detail: str, headers: Mapping[str, str] | None) -> JSONResponse:
    """The problem for an HTTP error of the framework's own, which has no kind of ours."""
    title = HTTPStatus(status).phrase
    document = ProblemDocument(type="about:blank", title=title, status=status, detail=detail)
    return as_response(document, headers)
