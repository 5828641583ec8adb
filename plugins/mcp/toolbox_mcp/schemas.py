"""JSON schemas of structs, without references: not every client follows those."""

from __future__ import annotations

from typing import Any

import msgspec

MAX_DEPTH = 8
"""Structs in structs; a tree that holds itself ends there."""


def schema_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON schema of a struct (2020-12)."""
    (top,), components = msgspec.json.schema_components([kind])
    found: dict[str, Any] = _inline(top, components, 0)
    # The docstring is for people who read the source; the tool has a description of its own.
    found.pop("description", None)
    found.pop("title", None)
    return found


def _inline(value: Any, components: dict[str, Any], depth: int) -> Any:
    if isinstance(value, list):
        return [_inline(item, components, depth) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        if depth == MAX_DEPTH:
            return {"type": "object"}
        name = value["$ref"].rpartition("/")[2]
        found: dict[str, Any] = _inline(components[name], components, depth + 1)
        found.pop("title", None)
        return found
    return {key: _inline(item, components, depth) for key, item in value.items()}
