"""What the operations on the accessibility tree take and answer.

Fields that clients may send as ``null`` take it for absent.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Bounds(msgspec.Struct, frozen=True):
    """A rectangle in pixels of the screen; all 0 if it isn't on it."""

    x: int
    y: int
    width: int
    height: int


class AccessibilityNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What assistive technology is told of one part of a program."""

    id: str
    role: str
    name: str
    bounds: Bounds
    states: list[str]
    description: str = ""
    actions: list[str] = []
    children: list[AccessibilityNode] = []


class AccessibilityTree(msgspec.Struct, frozen=True):
    """A node and everything below it, or not everything if it is ``truncated``."""

    root: AccessibilityNode
    truncated: bool


class Found(msgspec.Struct, frozen=True):
    """Nodes without their children; there may be more if it is ``truncated``."""

    matches: list[AccessibilityNode]
    truncated: bool


class TreeQuery(msgspec.Struct, frozen=True, rename="camel"):
    """``scope`` is ``focused``, ``pid`` or ``all``; ``maxDepth`` levels, all if negative."""

    scope: str = ""
    pid: int = 0
    max_depth: int | Literal[""] = -1


class FindRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What to find where; what is empty doesn't matter."""

    scope: str | None = None
    pid: int | None = None
    role: str | None = None
    name: str | None = None
    name_match: str | None = None
    states: list[str] | None = None
    limit: int | None = None


class NodeRequest(msgspec.Struct, frozen=True):
    """A node, by its id."""

    id: str = ""


class InvokeRequest(msgspec.Struct, frozen=True):
    """A node, and the name of one of its actions."""

    id: str = ""
    action: str | None = None


class ValueRequest(msgspec.Struct, frozen=True):
    """A node, and its new text or number."""

    id: str = ""
    value: str | None = None
