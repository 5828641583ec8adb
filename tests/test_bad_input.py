"""Every operation of every installed group, called badly: a clear 4xx, in the envelope, at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from toolbox.testing import Service

BODIES = {
    "empty": b"",
    "cut": b'{"path": ',
    "no JSON": b"nonsense",
    "no object": b"[]",
    "null": b"null",
    "no fields": b"{}",
    "not UTF-8": b'{"path": "\xff"}',
    "too deep": b"[" * 100_000,
}
MAY_PASS = ("no fields", "null", "not UTF-8")
"""Every field may be optional, and what an unknown field holds is not looked at."""

OF_KIND: dict[str, Any] = {"string": "x", "integer": 1, "boolean": True, "array": [], "object": {}}

DIALECTS = ("/agentsandbox/", "/e2b/", "/mcp", "/swerex/")
"""The beginnings of paths whose errors aren't in the envelope of this service."""


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.http.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "101" not in operation["responses"]:
                yield method.upper(), path, operation


def check(service: Service, method: str, path: str, **options: Any) -> int:
    """The status of an answer, which must be a success or an error as errors are to be."""
    with service.http.stream(method, path, **options) as response:
        status = response.status_code
        if status < 400:
            return status  # Some streams never end; that it began is enough.
        response.read()
    what = f"{method} {path} {options}: {response.text}"
    if path.startswith(DIALECTS):
        # Their errors have the forms of their services, which their own tests look at.
        assert status < 500 or status in (501, 502, 503, 511), what
        return status
    assert status < 500 or status in (501, 502, 503), what
    if method == "HEAD":
        return status  # Its answers have no body.
    answer = response.json()
    assert answer["statusCode"] == status, what
    plane = path.startswith("/api/")
    assert answer["source"] == ("DAYTONA_API" if plane else "DAYTONA_DAEMON"), what
    assert answer["code"], what
    assert answer["message"], what
    return status


def filled(path: str, text: str) -> str:
    """``path`` with ``text`` for each of its parameters."""
    return "".join(f"{text}" if "}" in part else part for part in split(path))


def split(path: str) -> list[str]:
    parts: list[str] = []
    for piece in path.split("{"):
        name, brace, rest = piece.partition("}")
        parts += [f"{{{name}}}", rest] if brace else [piece]
    return parts


def may_be_left_out(operation: dict[str, Any]) -> bool:
    """Whether the body is a schema or null."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return {"type": "null"} in schema.get("anyOf", ())


def test_bodies_that_are_none(service: Service, document: dict[str, Any]) -> None:
    called = 0
    for method, path, operation in operations(document):
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        called += 1
        for name, body in BODIES.items():
            status = check(service, method, filled(path, "1"), content=body)
            if name not in MAY_PASS and not (name == "empty" and may_be_left_out(operation)):
                assert status >= 400, f"{method} {path} took a body that is {name}"
    assert called


def test_fields_of_the_wrong_type(service: Service, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        # A body that may be left out is a schema or null.
        refs = [content["schema"], *content["schema"].get("anyOf", ())]
        ref = next(each["$ref"] for each in refs if "$ref" in each)
        schema = schemas[ref.rpartition("/")[2]]
        for name, field in schema.get("properties", {}).items():
            kinds = {each.get("type") for each in [field, *field.get("anyOf", ())]} - {None}
            if "number" in kinds:
                kinds.add("integer")
            if not kinds:
                continue
            wrong = next(value for kind, value in OF_KIND.items() if kind not in kinds)
            body = json.dumps({name: wrong}).encode()
            status = check(service, method, filled(path, "1"), content=body)
            assert status == 400, f"{method} {path} took {body!r}: {status}"


@pytest.mark.parametrize("text", ["", "%00", "x" * 5000, "%ff%fe", "-1", "..%2f..", "%0d%0aX: y"])
def test_odd_queries_and_paths(service: Service, document: dict[str, Any], text: str) -> None:
    for method, path, operation in operations(document):
        if method == "POST" and "parameters" not in operation:
            continue
        names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        # The client sends no URL beyond 64 KiB.
        part = text[: 60_000 // (len(names) + 1)]
        query = "&".join(f"{name}={part}" for name in names)
        if names or "{" in path:
            check(service, method, f"{filled(path, text or '%20')}?{query}", content=b"{}")


def test_required_queries_left_out(service: Service, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        required = [
            each["name"]
            for each in operation.get("parameters", ())
            if each["in"] == "query" and each["required"]
        ]
        if required:
            assert check(service, method, filled(path, "1"), content=b"{}") == 400, path


def test_the_service_is_as_well_as_before(service: Service) -> None:
    assert service.http.get("/readyz").status_code == 200
    assert "Traceback" not in service.log()
