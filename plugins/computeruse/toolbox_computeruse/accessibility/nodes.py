"""Nodes of the accessibility tree (AT-SPI): their ids, and reading many of them at once."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from toolbox_computeruse.accessibility.bus import PROPERTIES
from toolbox_computeruse.accessibility.bus import Bus
from toolbox_computeruse.accessibility.bus import Call
from toolbox_computeruse.accessibility.bus import CallError
from toolbox_computeruse.accessibility.bus import Reply
from toolbox_computeruse.accessibility.models import AccessibilityNode
from toolbox_computeruse.accessibility.models import Bounds
from toolbox_computeruse.errors import A11yInvalidRequest
from toolbox_computeruse.errors import A11yNodeNotFound

ACCESSIBLE = "org.a11y.atspi.Accessible"
COMPONENT = "org.a11y.atspi.Component"
ACTION = "org.a11y.atspi.Action"
NO_OBJECT = "/org/a11y/atspi/null"
"""The path that programs return for a child that doesn't exist."""

MAX_NODES = 20_000
MAX_DEPTH = 200
"""Levels to read: a program that lists an ancestor as a child has an infinite number."""
MAX_ACTIONS = 50
FARTHEST = 1 << 30
"""Maximum distance from the origin: toolkits return the least integer for an invisible node."""

_STATE_NAMES = (
    "invalid active armed busy checked collapsed defunct editable enabled expandable expanded "
    "focusable focused has_tooltip horizontal iconified modal multi_line multiselectable opaque "
    "pressed resizable selectable selected sensitive showing single_line stale transient vertical "
    "visible manages_descendants indeterminate required truncated animated invalid_entry "
    "supports_autocompletion selectable_text is_default visited checkable has_popup read_only"
)
STATES = tuple(_STATE_NAMES.split())
"""AT-SPI's StateType, by number."""

_PATH = re.compile(r"/|(/[A-Za-z0-9_]+)+")


class NodeId(msgspec.Struct, frozen=True):
    """The bus name of a program, and the path of one of its objects."""

    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.name}:{self.path}"

    def call(self, interface: str, method: str, signature: str = "", *body: Any) -> Call:
        """Return a call to this object."""
        return Call(self.name, self.path, interface, method, signature, body)


ROOT = NodeId("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
"""The parent of all programs."""


def parse_id(text: str) -> NodeId:
    """Return the node with a client's id. Raises A11yInvalidRequest."""
    # A bus name has no slash and at most 255 characters (D-Bus Specification, "Bus names").
    name, slash, rest = text.partition("/")
    path = slash + rest
    if not name.endswith(":") or not re.fullmatch(r":?[A-Za-z0-9_.-]+:", name) or len(name) > 255:
        raise A11yInvalidRequest("the id has no bus name before its path")
    if not _PATH.fullmatch(path):
        raise A11yInvalidRequest("the id has no valid object path")
    return NodeId(name[:-1], path)


class Tree(msgspec.Struct, frozen=True):
    """A node with those of its descendants that were read."""

    root: AccessibilityNode
    truncated: bool


class _Draft(msgspec.Struct):
    """A node in the process of being read."""

    id: NodeId
    children: list[_Draft] = []
    node: AccessibilityNode | None = None


def children_of(bus: Bus, node: NodeId) -> list[NodeId]:
    """Return the children of a node that exist. Raises as :func:`.bus.check`."""
    return _references(bus.ask(node.call(ACCESSIBLE, "GetChildren")))


def states_of(reply: Reply | CallError) -> list[str]:
    """Return the names of the states in a reply to ``GetState``."""
    if isinstance(reply, CallError) or not reply:
        return []
    # A bit set of two 32-bit words, the lower one first (AT-SPI, StateSet).
    bits = sum(word << 32 * number for number, word in enumerate(reply[0]))
    return [name for number, name in enumerate(STATES) if bits >> number & 1]


def read_tree(bus: Bus, root: NodeId, max_depth: int) -> Tree:
    """Read ``root`` and ``max_depth`` levels below it (negative: all).

    Each level is read with parallel calls. Nodes that disappear or don't respond are left out.
    Raises A11yNodeNotFound if the root does.
    """
    # Checked first: below, a node that doesn't respond is left out without an error.
    bus.ask(root.call(ACCESSIBLE, "GetRoleName"))
    top = _Draft(root)
    # Level by level: a round trip per level, not per node.
    level, count, depth, truncated = [top], 1, 0, False
    while level:
        deeper = max_depth < 0 or depth < max_depth
        found = _read_level(bus, level, deeper)
        level = []
        for draft, below in found:
            room = MAX_NODES - count if depth < MAX_DEPTH and not bus.late else 0
            truncated |= len(below) > room
            draft.children = [_Draft(child) for child in below[:room]]
            level += draft.children
            count += len(draft.children)
        depth += 1
    if top.node is None:
        raise A11yNodeNotFound("the program has exited or doesn't respond")
    return Tree(_finish(top), truncated or bus.late)


def _read_level(
    bus: Bus, level: list[_Draft], with_children: bool
) -> list[tuple[_Draft, list[NodeId]]]:
    """Read the nodes of a level; return those that exist, with the ids of their children."""
    methods = ["GetRoleName", "GetState", "GetInterfaces"] + ["GetChildren"] * with_children
    calls = [draft.id.call(ACCESSIBLE, method) for draft in level for method in methods]
    texts = [
        draft.id.call(PROPERTIES, "Get", "ss", ACCESSIBLE, name)
        for draft in level
        for name in ("Name", "Description")
    ]
    # One batch of calls for the level: first ``methods`` of each node, then its two texts.
    replies = bus.call_all([*calls, *texts])
    count = len(methods)
    interfaces = [_first(replies[index * count + 2], []) for index in range(len(level))]
    bounds = _read_bounds(bus, level, interfaces)
    actions = _read_actions(bus, level, interfaces)
    found = []
    for index, draft in enumerate(level):
        role, state, _, *below = replies[index * count : (index + 1) * count]
        if isinstance(role, CallError) and isinstance(state, CallError):
            continue
        name, description = replies[len(calls) + 2 * index : len(calls) + 2 * index + 2]
        draft.node = AccessibilityNode(
            id=str(draft.id),
            role=_first(role, ""),
            name=_text(name),
            description=_text(description),
            bounds=bounds.get(index, Bounds(0, 0, 0, 0)),
            states=states_of(state),
            actions=actions.get(index, []),
        )
        found.append((draft, _references(below[0]) if below else []))
    return found


def _read_bounds(bus: Bus, level: list[_Draft], interfaces: list[list[str]]) -> dict[int, Bounds]:
    """Return the bounds of those nodes of a level that have some, by index."""
    able = [index for index, names in enumerate(interfaces) if COMPONENT in names]
    calls = [level[index].id.call(COMPONENT, "GetExtents", "u", 0) for index in able]
    found = {}
    for index, reply in zip(able, bus.call_all(calls), strict=True):
        x, y, width, height = _first(reply, (0, 0, 0, 0))
        if min(x, y) > -FARTHEST:
            found[index] = Bounds(x, y, width, height)
    return found


def _read_actions(
    bus: Bus, level: list[_Draft], interfaces: list[list[str]]
) -> dict[int, list[str]]:
    """Return the actions' names of those nodes of a level that have some, by index."""
    able = [index for index, names in enumerate(interfaces) if ACTION in names]
    counts = bus.call_all(
        [level[index].id.call(PROPERTIES, "Get", "ss", ACTION, "NActions") for index in able]
    )
    actions = [
        (index, number)
        for index, reply in zip(able, counts, strict=True)
        for number in range(min(_first(reply, ("i", 0))[1], MAX_ACTIONS))
    ]
    calls = [level[index].id.call(ACTION, "GetName", "i", number) for index, number in actions]
    found: dict[int, list[str]] = {}
    for (index, _), reply in zip(actions, bus.call_all(calls), strict=True):
        found.setdefault(index, []).append(_first(reply, ""))
    return found


def _finish(top: _Draft) -> AccessibilityNode:
    """Return the node with its descendants."""
    # Without recursion: a tree may be deeper than Python's stack.
    order = [top]
    for draft in order:
        order += draft.children
    for draft in reversed(order):
        if draft.node is not None:
            below = [child.node for child in draft.children if child.node is not None]
            draft.node = msgspec.structs.replace(draft.node, children=below)
    assert top.node is not None
    return top.node


def _references(reply: Reply | CallError) -> list[NodeId]:
    return [NodeId(name, path) for name, path in _first(reply, []) if path != NO_OBJECT and name]


def _first(reply: Reply | CallError, default: Any) -> Any:
    return default if isinstance(reply, CallError) or not reply else reply[0]


def _text(reply: Reply | CallError) -> str:
    kind, value = _first(reply, ("s", ""))
    return value if kind == "s" else ""
