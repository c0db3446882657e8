"""The documentation: what FastAPI makes of the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import ProblemDocument
from api.routes import HEADER

DESCRIPTION = """
Lunas collects invoices: each one runs as a durable workflow from the day it is issued until it is paid in full.

* **Amounts** are whole minor units of an ISO currency: `150000` is IDR 1,500.00. **Dates** are `2026-11-30`, moments
  are RFC 3339 in UTC.
* **Names in paths** are one segment each: the slashes of `INV/2026/11/0042` are written `INV%2F2026%2F11%2F0042`.
* **Facts** (payments, credit notes, answers) are answered with 202 once they are in the ledger, and book once under
  their own reference. **Requests** (promise, dispute, pause …) may be refused: 409, with the reason in a sentence.
* **Errors** are problem+json (RFC 9457): branch on `type`, show `detail`.
* Every POST takes an **Idempotency-Key**: a repetition with the same key and body gets the first answer again.
* **Keys**: `Authorization: Bearer lunas_…`; each operation names the scope that it needs.
"""

TAGS = [
    {"name": "invoices", "description": "Issue invoices, find them, and see why anything was or was not said."},
    {"name": "payments", "description": "Money in and money back."},
    {"name": "late payment", "description": "Late interest and fees: shown, claimed, waived."},
    {"name": "credit notes", "description": "Less is owed."},
    {"name": "requests", "description": "What people ask of a running invoice; the workflow decides."},
    {"name": "replies", "description": "What customers and agencies say."},
    {"name": "customers", "description": "Customers, their contacts, and what research found about them."},
    {"name": "policies", "description": "Policies, the lifecycle's table, and rehearsals of both."},
    {"name": "sending", "description": "The switch that stops all sending; notices whose outcome nobody knows."},
    {"name": "webhooks", "description": "Where API clients are told of events, and how deliveries stand."},
    {"name": "keys", "description": "API keys."},
    {"name": "health", "description": "For load balancers and monitoring."},
]

_IDEMPOTENCY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Any text of visible ASCII characters, such as a UUID: repetitions get the first answer again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[\\x21-\\x7e]{1,200}$"},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema["components"]["schemas"]
        schemas.update(problem.pop("$defs"))
        schemas["ProblemDocument"] = problem
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if method == "post" and not path.startswith(("/v1/keys", "/v1/webhooks")):
                    operation.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{HEADER}"})
        schema["components"]["parameters"] = {HEADER: _IDEMPOTENCY}
        app.openapi_schema = schema
    return app.openapi_schema
