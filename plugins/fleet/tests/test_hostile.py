"""Values that no client should send, to each operation in each place where it takes one.

The places are those of the service's own OpenAPI document: an operation or a field that is added
is tried, too.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import pytest

from toolbox.testing import Service

from .test_operations import OPERATIONS

SETTINGS = """
[fleet]
backend = "local"
[fleet.local]
data = "{data}"
on_stop = "stop"
"""

WRONG: dict[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [[[]]],
    "object": {"a": {"b": {}}},
}
"""A value of each type; the parts of lists and objects are wrong, too."""

NUMBERS = (-(10**30), 10**30, 1e308, -0.5)
TEXTS = ("../../../etc/passwd", "..", "a\nb", "x" * 1_000_000)
"""Values that some fields may have, such as a label or a secret."""

BODIES = (b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 100_000, b'{"a": 1e999}', b"{}x")
IN_PATHS = ("%00", "..%2F..%2Fetc", "%0A", "%FF", "%EF%BF%BD", "x" * 4000)
IN_NUMBERS = ("1e999", "nan", "inf", "9" * 400, "1_000", "0x10", "x")

MISSING = "no-such-thing"
MEANT = {"minutes": "5", "port": "3000", "is_public": "true", "from": "2026-01-01T00:00:00Z"}
MEANT["to"] = MEANT["from"]


class Fleet(NamedTuple):
    """A control plane with a stopped sandbox, and its OpenAPI document."""

    service: Service
    sandbox: str
    document: dict[str, Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    service = Service(directory, settings=SETTINGS.format(data=directory / "fleet"))
    try:
        sandbox = service.http.post("/api/sandbox", json={}).json()["id"]
        path = f"/api/sandbox/{sandbox}"
        service.wait_for(lambda: service.http.get(path).json()["state"] == "started", "a sandbox")
        service.http.post(f"{path}/stop").raise_for_status()
        service.wait_for(lambda: service.http.get(path).json()["state"] == "stopped", "its end")
        yield Fleet(service, sandbox, service.http.get("/openapi.json").json())
    finally:
        service.stop()
        shutil.rmtree(directory, ignore_errors=True)


class Attempt:
    """One operation, called with one bad value at a time."""

    def __init__(self, fleet: Fleet, method: str, path: str) -> None:
        self._fleet = fleet
        self._method = method
        self._path, self._operation = _described(fleet.document, method, path)
        parameters = self._operation.get("parameters", [])
        self.in_path = [one for one in parameters if one["in"] == "path"]
        self.in_query = [one for one in parameters if one["in"] == "query"]
        self.body = self._resolved(self._body_schema())
        # What it needs; a sandbox made of nothing is not made, whatever else is accepted.
        self._queries = {one["name"] for one in self.in_query}
        self._query = {one["name"]: self._good(one) for one in self.in_query if one.get("required")}
        self.good = {
            name: self._value(self._fields()[name]) for name in self.body.get("required", [])
        }
        if path == "/api/sandbox":
            self.good["snapshot"] = MISSING

    def _body_schema(self) -> dict[str, Any]:
        content = self._operation.get("requestBody", {}).get("content", {})
        schema: dict[str, Any] = content.get("application/json", {}).get("schema", {})
        return schema["anyOf"][0] if "anyOf" in schema else schema

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.body.get("properties", {})
        return fields

    def fields(self) -> Iterator[tuple[str, set[str]]]:
        """Yield the name and the types of each field of the body."""
        for name, schema in self._fields().items():
            yield name, self.types(schema)

    def types(self, schema: dict[str, Any]) -> set[str]:
        """Return the names of the JSON types that a schema allows."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return set().union(*(self.types(one) for one in schema["anyOf"]))
        return {"string"} if "enum" in schema else {schema["type"]}

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._fleet.document["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return schema

    def _good(self, parameter: dict[str, Any]) -> str:
        if parameter["name"] == "sandbox_id":
            return self._fleet.sandbox
        return MEANT.get(parameter["name"], MISSING)

    def _value(self, schema: dict[str, Any]) -> Any:
        good = {"string": MISSING, "integer": 1, "array": [], "object": {}, "boolean": True}
        return next(good[one] for one in self.types(schema) if one in good)

    def call(self, name: str = "", text: str = "", body: Any = None) -> int:
        """Call the operation with ``text`` as the parameter ``name``; return the status.

        ``body`` has fields, or is bytes. Errors are in the control plane's envelope.
        """
        url = self._path
        for one in self.in_path:
            given = text if one["name"] == name else self._good(one)
            url = url.replace(f"{{{one['name']}}}", given)
        content = body
        if not isinstance(body, bytes):
            content = json.dumps({**self.good, **(body or {})}).encode() if self.body else b""
        response = self._fleet.service.http.request(
            self._method,
            url,
            params=self._query | ({name: text} if name in self._queries else {}) or None,
            content=content,
            headers={"Content-Type": "application/json"} if content else {},
        )
        tried = f"{name}={text[:100]} {str(body)[:100]}"
        shown = f"{tried}: {response.status_code} {response.text[:500]}"
        # A typed 501 tells what the backend lacks; nothing else may be our fault.
        assert response.status_code < 500 or response.status_code == 501, shown
        if response.status_code >= 400:
            assert response.json()["statusCode"] == response.status_code, shown
        return response.status_code


def _described(document: dict[str, Any], method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return an operation's path with the names of its parameters, and its description."""
    found = [
        (each, operations[method.lower()])
        for each, operations in document["paths"].items()
        if method.lower() in operations and _is_like(each, path)
    ]
    # The one with the fewest names: another operation's word is not a name.
    return min(found, key=lambda one: one[0].count("{"))


def _is_like(template: str, path: str) -> bool:
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(
        mine.startswith("{") or mine == other for mine, other in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_bad_values_are_refused(fleet: Fleet, operation: str) -> None:
    attempt = Attempt(fleet, *operation.partition("?")[0].split(" "))
    for parameter in attempt.in_path:
        number = attempt.types(parameter["schema"]) & {"integer", "number"}
        for text in (*IN_PATHS, *(IN_NUMBERS if number else ())):
            assert 400 <= attempt.call(parameter["name"], text) < 500, text[:100]
        attempt.call(parameter["name"], "-1")
    for parameter in attempt.in_query:
        types = attempt.types(parameter["schema"])
        for text in IN_NUMBERS[:4]:
            status = attempt.call(parameter["name"], text)
            assert status == 400 or "string" in types or "array" in types, text[:100]
        for text in ("\0", "x" * 4000, "-1"):
            attempt.call(parameter["name"], text)
    if attempt.body:
        for body in BODIES:
            assert attempt.call(body=body) == 400, body[:100]
        for name, types in attempt.fields():
            _try_field(attempt, name, types)


def _try_field(attempt: Attempt, name: str, types: set[str]) -> None:
    for kind, value in WRONG.items():
        # A whole number is a number; lists and objects have wrong parts.
        if kind in ("array", "object") or not {kind, "number"} & types:
            assert attempt.call(body={name: value}) == 400, (name, value)
    if "null" not in types:
        assert attempt.call(body={name: None}) == 400, name
    if "string" in types:
        # What is looked up by it is not there.
        assert attempt.call(body={name: "\0"}) in (400, 404), name
        for text in TEXTS:
            attempt.call(body={name: text})
    if types & {"integer", "number"}:
        for number in NUMBERS:
            assert attempt.call(body={name: number}) == 400, (name, number)
        attempt.call(body={name: -1})
    if "object" in types:
        assert attempt.call(body={name: {"a": "\0"}}) == 400, name
        assert attempt.call(body={name: {"\0": "a"}}) == 400, name
        attempt.call(body={name: {f"k{number}": "v" for number in range(20_000)}})
    good = json.dumps({**attempt.good, name: WRONG["string"]})
    twice = f'{good[:-1]}, "{name}": 1}}'.encode()
    assert attempt.call(body=twice) == 400, name
