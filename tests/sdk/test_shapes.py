"""Our document has every operation of the official client's generated code, field by field."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from dataclasses import dataclass
from typing import Any

import daytona_toolbox_api_client as client
import pydantic
import pytest

from toolbox.testing import Service

BEYOND = {
    # Sent only to those who have asked for them, by a header.
    "CodeRunResponse": {"stderr", "stdout"},
    "ExecuteResponse": {"stderr", "stdout"},
    "ScreenshotResponse": {"format", "height", "width"},
    "WindowInfo": {"className", "desktop", "minimized", "pid"},
}
"""Fields that we send and no client knows: every client that gets them lets them be."""


@dataclass(frozen=True)
class Call:
    """One operation as the generated client calls it."""

    name: str
    method: str
    path: str
    query: frozenset[str]
    body: Any
    """The type of the body, None for none."""
    answer: str
    """The type of the answer in the client's notation, like ``List[FileInfo]``."""


def calls() -> list[Call]:
    """Every operation of the client."""
    found = []
    package = importlib.import_module(f"{client.__name__}.api")
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        api = next(each for name, each in vars(loaded).items() if name.endswith("Api"))
        for name, function in vars(api).items():
            serialize = getattr(api, f"_{name}_serialize", None)
            if serialize is not None:
                found.append(_call(name, function, inspect.getsource(serialize)))
    return found


def _call(name: str, function: Any, serialize: str) -> Call:
    where = re.search(r"method='(\w+)',\s+resource_path='([^']+)'", serialize)
    assert where is not None
    body = re.search(r"_body_params = (\w+)", serialize)
    parameters = inspect.signature(function).parameters
    kind = parameters[body[1]].annotation if body else None
    answer = re.search(r"'20\d': (?:\"([^\"]+)\"|None)", inspect.getsource(function))
    query = re.findall(r"_query_params\.append\(\('([^']+)'", serialize)
    return Call(
        name,
        where[1],
        re.sub(r"\{\w+\}", "{}", where[2]),
        frozenset(query),
        kind,
        (answer and answer[1]) or "object",
    )


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    answer: dict[str, Any] = service.http.get("/openapi.json").json()
    return answer


def operation(document: dict[str, Any], call: Call) -> dict[str, Any]:
    """Ours."""
    for path, item in document["paths"].items():
        if re.sub(r"\{\w+\}", "{}", path) == call.path and call.method.lower() in item:
            found: dict[str, Any] = item[call.method.lower()]
            return found
    raise AssertionError(f"{call.method} {call.path} is not there")


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its reference followed, and without the null that it allows."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
        else:
            return schema


def models(annotation: Any) -> typing.Iterator[type[pydantic.BaseModel]]:
    """The client's model in an annotation, however wrapped."""
    if inspect.isclass(annotation) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models(inner)


def differences(
    document: dict[str, Any], schema: dict[str, Any], model: type[pydantic.BaseModel], answer: bool
) -> typing.Iterator[str]:
    """What one side has and the other doesn't know, or needs and doesn't get."""
    ours = resolve(document, schema)
    if ours.get("type") == "array":
        ours = resolve(document, ours["items"])
    names = {
        field.serialization_alias or name: field
        for name, field in model.model_fields.items()
        if name != "additional_properties"
    }
    properties = ours.get("properties", {})
    if answer:
        for name in properties.keys() - names.keys() - BEYOND.get(model.__name__, set()):
            yield f"{model.__name__}.{name} is sent, and unknown to the client"
        needed = {name for name, field in names.items() if field.is_required()}
        sent = set(ours.get("required", ()))
        sent |= {name for name, each in properties.items() if "default" in each}
        for name in needed - sent:
            yield f"{model.__name__}.{name} is needed by the client, and not always sent"
    else:
        for name in names.keys() - properties.keys():
            yield f"{model.__name__}.{name} is sent by the client, and unknown to us"
    for name in names.keys() & properties.keys():
        for inner in models(names[name].annotation):
            if inner is not model:
                yield from differences(document, properties[name], inner, answer)


def test_the_client_was_read() -> None:
    assert len(calls()) > 100


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_answers_have_the_fields_of_the_client(document: dict[str, Any], call: Call) -> None:
    # AC-90, AC-96
    name = re.sub(r"^List\[(.*)\]$", r"\1", call.answer)
    model = getattr(client, name, None)
    answers = operation(document, call)["responses"]
    if model is None or not (inspect.isclass(model) and issubclass(model, pydantic.BaseModel)):
        return  # Text, bytes or any object: there are no fields to compare.
    successes = [value for status, value in answers.items() if status.startswith("2")]
    assert successes
    for success in successes:
        schema = success["content"]["application/json"]["schema"]
        assert call.answer.startswith("List[") == (resolve(document, schema).get("type") == "array")
        assert sorted(differences(document, schema, model, answer=True)) == []


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_what_the_client_sends_is_known(document: dict[str, Any], call: Call) -> None:
    ours = operation(document, call)
    query = {each["name"] for each in ours.get("parameters", ()) if each["in"] == "query"}
    assert call.query - query == set()
    for model in models(call.body):
        content = ours["requestBody"]["content"]
        if "application/json" not in content:
            continue  # It takes any body, and says in its description what it makes of it.
        schema = content["application/json"]["schema"]
        assert sorted(differences(document, schema, model, answer=False)) == []
