"""Matching of nodes against search criteria."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from toolbox_computeruse.accessibility.models import AccessibilityNode
from toolbox_computeruse.accessibility.models import FindRequest
from toolbox_computeruse.errors import A11yInvalidRequest

SECONDS = 2.0
"""Maximum seconds for a regular expression and all names: some would take years for one."""
MAX_PATTERN = 1000
"""Maximum characters of a regular expression."""

_ROLES = {"push button": "button"}
"""Roles that newer versions of AT-SPI have renamed."""


def matcher(request: FindRequest) -> Callable[[AccessibilityNode], bool]:
    """Return a function that reports whether a node matches. Raises A11yInvalidRequest."""
    role = _role(request.role or "")
    states = set(request.states or ())
    name_matches = _name_matcher(request.name or "", request.name_match or "substring")

    def matches(node: AccessibilityNode) -> bool:
        return (
            (not role or _role(node.role) == role)
            and states.issubset(node.states)
            and name_matches(node.name)
        )

    return matches


def _role(text: str) -> str:
    name = text.strip().casefold()
    return _ROLES.get(name, name)


def _name_matcher(name: str, mode: str) -> Callable[[str], bool]:
    if mode not in ("substring", "exact", "regex"):
        raise A11yInvalidRequest(f"unknown nameMatch {mode!r}; expected substring, exact or regex")
    if not name:
        return lambda text: True
    if mode == "regex":
        return _regex(name)
    return name.__eq__ if mode == "exact" else lambda text: name in text


def _regex(pattern: str) -> Callable[[str], bool]:
    # The standard module re has no timeout. Loaded late: few services search by pattern.
    import regex  # type: ignore[import-untyped]

    if len(pattern) > MAX_PATTERN:
        raise A11yInvalidRequest(
            f"the regular expression is too long (limit {MAX_PATTERN} characters)"
        )
    try:
        compiled: Any = regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise A11yInvalidRequest(f"invalid regular expression: {error}") from None

    left = SECONDS

    def search(text: str) -> bool:
        nonlocal left
        # "concurrent" lets other threads run during a search.
        began = time.monotonic()
        try:
            return compiled.search(text, timeout=max(left, 1e-3), concurrent=True) is not None
        except TimeoutError:
            raise A11yInvalidRequest("the regular expression takes too long") from None
        finally:
            left -= time.monotonic() - began

    return search
