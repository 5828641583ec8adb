from __future__ import annotations

import functools
import typing
from typing import Annotated
from typing import Any
from typing import Literal

import pytest

from toolbox.annotations import hints_of
from toolbox.application.core_routes import group as core_group
from toolbox.group import Operations
from toolbox.serving.bootstrap import load


class Later:
    """A class that annotations name."""


def plain(backend: Any, count: int, body: Annotated[list[Later], "some"] | None) -> None: ...


def with_text_inside(kind: Literal["a"], *, later: list["Later"]) -> Later | None: ...  # noqa: UP037


@functools.wraps(plain)
def wrapped(*arguments: Any, **options: Any) -> None: ...


def unfinished(body: Nothing) -> None: ...  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize("function", [plain, with_text_inside, wrapped])
def test_hints_are_those_of_the_standard_library(function: Any) -> None:
    assert hints_of(function) == typing.get_type_hints(function, include_extras=True)


def test_hints_of_every_operation_of_ours() -> None:
    _, _, registry = load()
    operations = [*core_group.operations, *registry.operations()]
    assert len(operations) > 200
    for operation in operations:
        function = operation.function
        assert hints_of(function) == typing.get_type_hints(function, include_extras=True)


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(NameError, match="Nothing"):
        hints_of(unfinished)


def test_an_operation_is_that_of_the_wrapped_function() -> None:
    operations = Operations()

    def inner(backend: object, port: int, body: Later) -> None: ...

    @operations.post("/x/{port}")
    @functools.wraps(inner)
    def outer(*arguments: Any, **options: Any) -> None: ...

    (operation,) = operations.operations
    assert [(a.name, a.source, a.type) for a in operation.arguments] == [
        ("port", "path", int),
        ("body", "body", Later),
    ]
