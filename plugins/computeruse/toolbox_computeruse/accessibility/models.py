"""Requests and responses of the operations on the accessibility tree.

In a request ``null`` is the same as an absent field, where a field allows it.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Bounds(msgspec.Struct, frozen=True):
    """A rectangle in pixels of the screen; all 0 for a node that isn't on it."""

    x: int
    y: int
    width: int
    height: int


class AccessibilityNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a program, as assistive technology sees it."""

    id: str
    role: str
    name: str
    bounds: Bounds
    states: list[str]
    description: str = ""
    actions: list[str] = []
    children: list[AccessibilityNode] = []


class AccessibilityTree(msgspec.Struct, frozen=True):
    """A node and its descendants, some of which are missing if it is ``truncated``."""

    root: AccessibilityNode
    truncated: bool


class Found(msgspec.Struct, frozen=True):
    """Nodes without their children; ``truncated`` if there may be more."""

    matches: list[AccessibilityNode]
    truncated: bool


class TreeQuery(msgspec.Struct, frozen=True, rename="camel"):
    """A scope (``focused``, ``pid`` or ``all``), and the levels to return: all if negative."""

    scope: str = ""
    pid: int = 0
    max_depth: int | Literal[""] = -1


class FindRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A scope and search criteria; an empty one matches every node."""

    scope: str | None = None
    pid: int | None = None
    role: str | None = None
    name: str | None = None
    name_match: str | None = None
    states: list[str] | None = None
    limit: int | None = None


class NodeRequest(msgspec.Struct, frozen=True):
    """A node, given by its id."""

    id: str = ""


class InvokeRequest(msgspec.Struct, frozen=True):
    """A node, and the name of one of its actions."""

    id: str = ""
    action: str | None = None


class ValueRequest(msgspec.Struct, frozen=True):
    """A node, and its new text or number."""

    id: str = ""
    value: str | None = None
