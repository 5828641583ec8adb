"""Nodes of the accessibility tree: their ids, and reading many of them at once (AT-SPI)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from toolbox_computeruse.accessibility_models import AccessibilityNode
from toolbox_computeruse.accessibility_models import Bounds
from toolbox_computeruse.bus import PROPERTIES
from toolbox_computeruse.bus import Bus
from toolbox_computeruse.bus import Call
from toolbox_computeruse.bus import CallError
from toolbox_computeruse.errors import A11yInvalidRequest
from toolbox_computeruse.errors import A11yNodeNotFound

ACCESSIBLE = "org.a11y.atspi.Accessible"
COMPONENT = "org.a11y.atspi.Component"
ACTION = "org.a11y.atspi.Action"
NO_OBJECT = "/org/a11y/atspi/null"
"""What programs answer where there is no child after all."""

MAX_NODES = 20_000
MAX_DEPTH = 200
"""Levels: a program that names an ancestor among the children has no end of them."""
MAX_ACTIONS = 50
FARTHEST = 1 << 30
"""Toolkits tell the least integer for what isn't on the screen."""

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
    """Which program on the bus, and which of its objects."""

    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.name}:{self.path}"

    def call(self, interface: str, method: str, signature: str = "", *body: Any) -> Call:
        """A call to this object."""
        return Call(self.name, self.path, interface, method, signature, body)


ROOT = NodeId("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
"""The parent of all programs."""


def parse_id(text: str) -> NodeId:
    """The node a client means. Raises A11yInvalidRequest."""
    name, slash, rest = text.partition("/")
    path = slash + rest
    if not name.endswith(":") or not re.fullmatch(r":?[A-Za-z0-9_.-]+:", name) or len(name) > 255:
        raise A11yInvalidRequest("the id has no bus name before its path")
    if not _PATH.fullmatch(path):
        raise A11yInvalidRequest("the id has no valid object path")
    return NodeId(name[:-1], path)


class Tree(msgspec.Struct, frozen=True):
    """A node with everything below it that was read."""

    root: AccessibilityNode
    truncated: bool


class _Draft(msgspec.Struct):
    """A node that is being read."""

    id: NodeId
    children: list[_Draft] = []
    node: AccessibilityNode | None = None


def children_of(bus: Bus, node: NodeId) -> list[NodeId]:
    """The children of a node that are there. Raises as :func:`toolbox_computeruse.bus.check`."""
    return _references(bus.ask(node.call(ACCESSIBLE, "GetChildren")))


def states_of(answer: tuple[Any, ...] | CallError) -> list[str]:
    """The names of the states that ``GetState`` answered."""
    if isinstance(answer, CallError) or not answer:
        return []
    bits = sum(word << 32 * number for number, word in enumerate(answer[0]))
    return [name for number, name in enumerate(STATES) if bits >> number & 1]


def read_tree(bus: Bus, root: NodeId, max_depth: int) -> Tree:
    """Everything below ``root``, ``max_depth`` levels of it (negative: all).

    Level by level, each with all its calls at once. What vanishes or doesn't answer meanwhile is
    left out; only the root must be there. Raises A11yNodeNotFound.
    """
    bus.ask(root.call(ACCESSIBLE, "GetRoleName"))
    top = _Draft(root)
    level, count, depth, truncated = [top], 1, 0, False
    while level:
        deeper = max_depth < 0 or depth < max_depth
        found = _read_level(bus, level, deeper)
        level = []
        for draft, below in found:
            room = MAX_NODES - count if depth < MAX_DEPTH and not bus.late else 0
            truncated |= len(below) > room
            draft.children = [_Draft(each) for each in below[:room]]
            level += draft.children
            count += len(draft.children)
        depth += 1
    if top.node is None:
        raise A11yNodeNotFound("the program has gone or doesn't answer")
    return Tree(_finish(top), truncated or bus.late)


def _read_level(
    bus: Bus, level: list[_Draft], with_children: bool
) -> list[tuple[_Draft, list[NodeId]]]:
    """Read the nodes of a level; those that are there, and the ids of their children."""
    methods = ["GetRoleName", "GetState", "GetInterfaces"] + ["GetChildren"] * with_children
    calls = [draft.id.call(ACCESSIBLE, method) for draft in level for method in methods]
    texts = [
        draft.id.call(PROPERTIES, "Get", "ss", ACCESSIBLE, name)
        for draft in level
        for name in ("Name", "Description")
    ]
    answers = bus.ask_all([*calls, *texts])
    count = len(methods)
    interfaces = [_first(answers[at * count + 2], []) for at in range(len(level))]
    bounds = _read_bounds(bus, level, interfaces)
    actions = _read_actions(bus, level, interfaces)
    found = []
    for at, draft in enumerate(level):
        role, state, _, *below = answers[at * count : (at + 1) * count]
        if isinstance(role, CallError) and isinstance(state, CallError):
            continue
        name, description = answers[len(calls) + 2 * at : len(calls) + 2 * at + 2]
        draft.node = AccessibilityNode(
            id=str(draft.id),
            role=_first(role, ""),
            name=_text(name),
            description=_text(description),
            bounds=bounds.get(at, Bounds(0, 0, 0, 0)),
            states=states_of(state),
            actions=actions.get(at, []),
        )
        found.append((draft, _references(below[0]) if below else []))
    return found


def _read_bounds(bus: Bus, level: list[_Draft], interfaces: list[list[str]]) -> dict[int, Bounds]:
    able = [at for at, names in enumerate(interfaces) if COMPONENT in names]
    calls = [level[at].id.call(COMPONENT, "GetExtents", "u", 0) for at in able]
    found = {}
    for at, answer in zip(able, bus.ask_all(calls), strict=True):
        x, y, width, height = _first(answer, (0, 0, 0, 0))
        if min(x, y) > -FARTHEST:
            found[at] = Bounds(x, y, width, height)
    return found


def _read_actions(
    bus: Bus, level: list[_Draft], interfaces: list[list[str]]
) -> dict[int, list[str]]:
    able = [at for at, names in enumerate(interfaces) if ACTION in names]
    counts = bus.ask_all(
        [level[at].id.call(PROPERTIES, "Get", "ss", ACTION, "NActions") for at in able]
    )
    places = [
        (at, number)
        for at, answer in zip(able, counts, strict=True)
        for number in range(min(_first(answer, ("i", 0))[1], MAX_ACTIONS))
    ]
    names = bus.ask_all([level[at].id.call(ACTION, "GetName", "i", n) for at, n in places])
    found: dict[int, list[str]] = {}
    for (at, _), answer in zip(places, names, strict=True):
        found.setdefault(at, []).append(_first(answer, ""))
    return found


def _finish(draft: _Draft) -> AccessibilityNode:
    """The node with its children; without recursion, as trees may be deeper than Python is."""
    order = [draft]
    for each in order:
        order += each.children
    for each in reversed(order):
        if each.node is not None:
            below = [child.node for child in each.children if child.node is not None]
            each.node = msgspec.structs.replace(each.node, children=below)
    assert draft.node is not None
    return draft.node


def _references(answer: tuple[Any, ...] | CallError) -> list[NodeId]:
    return [NodeId(*each) for each in _first(answer, []) if each[1] != NO_OBJECT and each[0]]


def _first(answer: tuple[Any, ...] | CallError, otherwise: Any) -> Any:
    return otherwise if isinstance(answer, CallError) or not answer else answer[0]


def _text(answer: tuple[Any, ...] | CallError) -> str:
    kind, value = _first(answer, ("s", ""))
    return value if kind == "s" else ""
