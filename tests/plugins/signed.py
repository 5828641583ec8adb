"""A group whose operations can be called by signed URLs."""

from __future__ import annotations

from typing import Any

import msgspec

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec

group = Group("vault", backend=object, default_backend="open")


class OpenVault:
    """Keeps nothing."""

    def __init__(self, settings: Any, context: Any) -> None:
        pass


class PathQuery(msgspec.Struct):
    """What is meant."""

    path: str


@group.operation("/vault", "GET", "POST", signed=True)
def use_vault(backend: object, query: PathQuery) -> PathQuery:
    """Tell what was asked for."""
    return query


@group.get("/vault/closed")
def use_closed_vault(backend: object, query: PathQuery) -> PathQuery:
    """Tell what was asked for, to who has the token."""
    return query


@hookimpl
def toolbox_group() -> Group:
    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [BackendSpec(group="vault", name="open", target="signed:OpenVault")]
