"""The documentation: good enough to generate a client from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI


@pytest.fixture(scope="session")
def document(routes: FastAPI) -> dict[str, Any]:
    return routes.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_has_a_name_of_its_own_and_words(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_0-9]+", name) for name in names)
    silent = [operation["operationId"] for _, _, operation in operations(document) if not operation.get("description")]
    assert silent == []
    tags = {tag["name"] for tag in document["tags"]}
    assert all(set(operation["tags"]) <= tags for _, _, operation in operations(document))


def test_every_failure_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        answers = operation["responses"]
        needed = {"500"} if path.startswith("/v1") else set()
        needed |= {"400", "401", "403", "422", "503"} if path.startswith("/v1") else set()
        needed |= {"404"} if "{" in path and method != "post" else set()
        needed |= {"409", "413", "415"} if "requestBody" in operation else set()
        assert needed <= set(answers), f"{method} {path}"
        for status, answer in answers.items():
            if int(status) >= 400 and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"], f"{method} {path} {status}"


def test_nothing_of_the_framework_s_own_errors_is_left(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> Iterator[str]:
        match node:
            case dict():
                if isinstance(node.get("$ref"), str):
                    yield node["$ref"]
                for inner in node.values():
                    yield from references(inner)
            case list():
                for inner in node:
                    yield from references(inner)

    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


def test_every_body_forbids_what_it_does_not_know(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        for _, _, operation in operations(document)
        if "requestBody" in operation
    ]
    assert len(bodies) > 20
    assert [name for name in bodies if schemas[name].get("additionalProperties") is not False] == []


def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    key = {"$ref": "#/components/parameters/Idempotency-Key"}
    for path, method, operation in operations(document):
        takes = key in operation.get("parameters", [])
        assert takes == (method == "post" and not path.startswith(("/v1/keys", "/v1/webhooks"))), path


def test_amounts_are_whole_numbers(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, kind in schema.get("properties", {}).items():
            if field.endswith("_minor"):
                kinds = {one.get("type") for one in kind.get("anyOf", [kind])}
                assert kinds <= {"integer", "null"}, f"{name}.{field}"
