"""A whole new group."""

from __future__ import annotations

from typing import Annotated
from typing import Protocol

import msgspec

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.lifecycle import Context
from toolbox.plugins import BackendSpec


class GreeterBackend(Protocol):
    """Knows how to greet."""

    def greet(self, name: str, times: int) -> str:
        """The greeting for ``name``."""


class Name(msgspec.Struct):
    """Whom to greet."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    times: int = 1


class Greeting(msgspec.Struct):
    """What is said."""

    text: str


class PoliteSettings(msgspec.Struct, frozen=True):
    """Options of the polite greeter."""

    word: Annotated[str, msgspec.Meta(description="What it begins with.")] = "Good day"


class Polite:
    """The default backend."""

    def __init__(self, settings: PoliteSettings, context: Context) -> None:
        self.word = settings.word

    def greet(self, name: str, times: int) -> str:
        """See GreeterBackend."""
        return ", ".join([f"{self.word} {name}"] * times)


group = Group(
    "greeter", backend=GreeterBackend, default_backend="polite", summary="Greets whoever asks"
)


@group.get("/greet/{name}")
def greet(backend: GreeterBackend, name: str) -> Greeting:
    """Greet somebody by name."""
    return Greeting(backend.greet(name, 1))


@group.post("/greet", status=201)
def greet_with_body(backend: GreeterBackend, body: Name) -> Greeting:
    """Greet somebody named in the body."""
    return Greeting(backend.greet(body.name, body.times))


@group.get("/greet-query", trailing_slash=True)
def greet_with_query(backend: GreeterBackend, query: Name) -> Greeting:
    """Greet somebody named in the query."""
    return Greeting(backend.greet(query.name, query.times))


@hookimpl
def toolbox_group() -> Group:
    """Add the group."""
    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    """Offer its backend."""
    return [
        BackendSpec(
            group="greeter", name="polite", target="greeter:Polite", settings=PoliteSettings
        )
    ]
