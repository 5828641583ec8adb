"""The accessibility tree of the programs on the desktop: reading, finding, acting."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox_computeruse import bus as buses
from toolbox_computeruse.accessibility_models import AccessibilityNode
from toolbox_computeruse.accessibility_models import FindRequest
from toolbox_computeruse.bus import DAEMON
from toolbox_computeruse.bus import PROPERTIES
from toolbox_computeruse.bus import Bus
from toolbox_computeruse.bus import Call
from toolbox_computeruse.bus import CallError
from toolbox_computeruse.bus import check
from toolbox_computeruse.chords import check_text
from toolbox_computeruse.errors import A11yActionNotSupported
from toolbox_computeruse.errors import A11yInvalidRequest
from toolbox_computeruse.errors import A11yInvalidScope
from toolbox_computeruse.errors import A11yNodeNotFound
from toolbox_computeruse.errors import A11yNoRoot
from toolbox_computeruse.errors import A11yUnavailable
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.nodes import ACCESSIBLE
from toolbox_computeruse.nodes import ACTION
from toolbox_computeruse.nodes import COMPONENT
from toolbox_computeruse.nodes import MAX_ACTIONS
from toolbox_computeruse.nodes import ROOT
from toolbox_computeruse.nodes import NodeId
from toolbox_computeruse.nodes import Tree
from toolbox_computeruse.nodes import children_of
from toolbox_computeruse.nodes import read_tree
from toolbox_computeruse.nodes import states_of
from toolbox_computeruse.searching import matcher

EDITABLE_TEXT = "org.a11y.atspi.EditableText"
VALUE = "org.a11y.atspi.Value"
USUAL_MATCHES = 500
MAX_MATCHES = 5000
FOCUS = 5.0
"""Seconds a node may take to get the focus."""
POLL = 0.02


class AtspiAccessibility:
    """See :class:`toolbox_computeruse.backend.Accessibility`.

    ``session`` is the address of the session bus; ``retype`` replaces, by the keyboard, the text
    of what has the focus; ``is_up`` tells whether there is a desktop whose programs are meant.
    """

    def __init__(
        self, session: str, retype: Callable[[str], None], is_up: Callable[[], bool]
    ) -> None:
        self._session = session
        self._retype = retype
        self._is_up = is_up

    @contextlib.contextmanager
    def _bus(self) -> Iterator[Bus]:
        """The accessibility bus: not that of somebody else's desktop. Raises A11yUnavailable."""
        if not self._is_up():
            raise A11yUnavailable("there is no desktop; start it first")
        with buses.accessibility_bus(self._session) as bus:
            yield bus

    def available(self) -> bool:
        """Whether the bus answers. Tells programs, too, that accessibility is wanted."""
        if not self._is_up():
            return False
        try:
            buses.enable(self._session)
            with self._bus() as bus:
                children_of(bus, ROOT)
        except ToolboxError:
            return False
        return True

    def tree(self, scope: str, pid: int, max_depth: int) -> Tree:
        with self._bus() as bus:
            return read_tree(bus, _root(bus, scope, pid), max_depth)

    def find(self, request: FindRequest, scope: str) -> tuple[list[AccessibilityNode], bool]:
        matches = matcher(request)
        limit = min(max(request.limit or 0, 0) or USUAL_MATCHES, MAX_MATCHES)
        with self._bus() as bus:
            tree = read_tree(bus, _root(bus, scope, request.pid or 0), -1)
        found: list[AccessibilityNode] = []
        for node in _walk(tree.root):
            if matches(node):
                if len(found) == limit:
                    return found, True
                found.append(_alone(node))
        return found, tree.truncated

    def focus(self, node: NodeId) -> None:
        with self._bus() as bus:
            _focus(bus, node)
            with contextlib.suppress(A11yNodeNotFound):  # What was focused may be gone by that.
                _wait_for_focus(bus, node)

    def invoke(self, node: NodeId, action: str) -> None:
        with self._bus() as bus:
            number = _action_number(bus, node, action) if action else 0
            if not bus.ask(node.call(ACTION, "DoAction", "i", number))[0]:
                raise A11yActionNotSupported("the node refused the action")

    def set_value(self, node: NodeId, value: str) -> None:
        with self._bus() as bus:
            interfaces = bus.ask(node.call(ACCESSIBLE, "GetInterfaces"))[0]
            # A field for numbers has both, and a text put into it isn't its number yet.
            if VALUE in interfaces and (_is_number(value) or EDITABLE_TEXT not in interfaces):
                number = ("d", _number(value))
                bus.ask(node.call(PROPERTIES, "Set", "ssv", VALUE, "CurrentValue", number))
                return
            if EDITABLE_TEXT in interfaces:
                bus.ask(node.call(EDITABLE_TEXT, "SetTextContents", "s", value))
                return
            if "editable" not in _states(bus, node):
                raise A11yActionNotSupported("the node has no value that can be set")
            # Browsers show their inputs as editable but take no text over the bus.
            text = _typeable(value)
            _focus(bus, node)
            if not _wait_for_focus(bus, node):
                raise A11yActionNotSupported(
                    "the node did not get the focus; is its window active?"
                )
        self._retype(text)


def _root(bus: Bus, scope: str, pid: int) -> NodeId:
    if scope == "all":
        return ROOT
    if scope == "pid" and pid <= 0:
        raise A11yInvalidRequest("the scope 'pid' needs a pid above 0")
    programs = children_of(bus, ROOT)
    if scope == "pid":
        method = "GetConnectionUnixProcessID"
        calls = [Call(*DAEMON, DAEMON[0], method, "s", (each.name,)) for each in programs]
        for program, answer in zip(programs, bus.ask_all(calls), strict=True):
            if not isinstance(answer, CallError) and answer[0] == pid:
                return program
        raise A11yNoRoot(f"no program of pid {pid} is on the accessibility bus")
    if not programs:
        raise A11yNoRoot("no program is on the accessibility bus")
    return _active(bus, programs) or programs[0]


def _active(bus: Bus, programs: list[NodeId]) -> NodeId | None:
    """The program one of whose windows is active."""
    answers = bus.ask_all([each.call(ACCESSIBLE, "GetChildren") for each in programs])
    windows = [
        (program, NodeId(*window))
        for program, answer in zip(programs, answers, strict=True)
        if not isinstance(answer, CallError)
        for window in answer[0]
    ]
    states = bus.ask_all([window.call(ACCESSIBLE, "GetState") for _, window in windows])
    for (program, _), answer in zip(windows, states, strict=True):
        if "active" in states_of(answer):
            return program
    return None


def _walk(node: AccessibilityNode) -> Iterator[AccessibilityNode]:
    """A node and what is below it, each before its children."""
    stack = [node]
    while stack:
        each = stack.pop()
        yield each
        stack += reversed(each.children)


def _alone(node: AccessibilityNode) -> AccessibilityNode:
    return msgspec.structs.replace(node, children=[])


def _focus(bus: Bus, node: NodeId) -> None:
    if not bus.ask(node.call(COMPONENT, "GrabFocus"))[0]:
        raise A11yActionNotSupported("the node takes no focus")


def _states(bus: Bus, node: NodeId) -> list[str]:
    return states_of(bus.ask(node.call(ACCESSIBLE, "GetState")))


def _wait_for_focus(bus: Bus, node: NodeId) -> bool:
    """Whether it comes: programs do what they have promised a while later, and keys sent before go
    elsewhere, as do all if the node's window is not the active one.
    """
    deadline = time.monotonic() + FOCUS
    while "focused" not in _states(bus, node):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def _typeable(value: str) -> str:
    """``value``, which has to be typed. Raises A11yActionNotSupported."""
    try:
        text = check_text(value)
    except InvalidInput as error:
        raise A11yActionNotSupported(error.message) from None
    if "\n" in text:
        raise A11yActionNotSupported("the node takes text from the keyboard: no line ends")
    return text


def _action_number(bus: Bus, node: NodeId, action: str) -> int:
    """Which of a node's actions has this name, whatever its case."""
    count: Any = bus.ask(node.call(PROPERTIES, "Get", "ss", ACTION, "NActions"))[0][1]
    calls = [node.call(ACTION, "GetName", "i", n) for n in range(min(count, MAX_ACTIONS))]
    names = [check(answer)[0] for answer in bus.ask_all(calls)]
    for number, name in enumerate(names):
        if name.casefold() == action.casefold():
            return number
    raise A11yActionNotSupported(f"the node's actions are: {', '.join(names) or 'none'}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(text: str) -> float:
    if not _is_number(text):
        raise A11yActionNotSupported("the node's value is a number")
    return float(text)


def check_scope(scope: str | None) -> str:
    """The scope by the name it goes by. Raises A11yInvalidScope."""
    name = (scope or "").strip().lower() or "focused"
    if name not in ("focused", "pid", "all"):
        raise A11yInvalidScope(f"unknown scope {scope!r}; it is focused, pid or all")
    return name
