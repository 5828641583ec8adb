"""The accessibility tree of the programs on the desktop: reading, search and actions."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox.linux.clock import awake
from toolbox_computeruse.accessibility import bus as buses
from toolbox_computeruse.accessibility.bus import PROPERTIES
from toolbox_computeruse.accessibility.bus import Bus
from toolbox_computeruse.accessibility.bus import CallError
from toolbox_computeruse.accessibility.bus import check
from toolbox_computeruse.accessibility.bus import pid_request
from toolbox_computeruse.accessibility.models import AccessibilityNode
from toolbox_computeruse.accessibility.models import FindRequest
from toolbox_computeruse.accessibility.models import Found
from toolbox_computeruse.accessibility.nodes import ACCESSIBLE
from toolbox_computeruse.accessibility.nodes import ACTION
from toolbox_computeruse.accessibility.nodes import COMPONENT
from toolbox_computeruse.accessibility.nodes import MAX_ACTIONS
from toolbox_computeruse.accessibility.nodes import ROOT
from toolbox_computeruse.accessibility.nodes import NodeId
from toolbox_computeruse.accessibility.nodes import Tree
from toolbox_computeruse.accessibility.nodes import children_of
from toolbox_computeruse.accessibility.nodes import read_tree
from toolbox_computeruse.accessibility.nodes import states_of
from toolbox_computeruse.accessibility.searching import matcher
from toolbox_computeruse.errors import A11yActionNotSupported
from toolbox_computeruse.errors import A11yInvalidRequest
from toolbox_computeruse.errors import A11yInvalidScope
from toolbox_computeruse.errors import A11yNodeNotFound
from toolbox_computeruse.errors import A11yNoRoot
from toolbox_computeruse.errors import A11yUnavailable
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.input.chords import check_text

EDITABLE_TEXT = "org.a11y.atspi.EditableText"
VALUE = "org.a11y.atspi.Value"
DEFAULT_MATCHES = 500
"""Matches returned without a limit in the request."""
MAX_MATCHES = 5000
FOCUS = 5.0
"""Maximum seconds for a node to get the focus."""
POLL = 0.02
"""Seconds between checks of the focus."""


class AtspiAccessibility:
    """An implementation of :class:`toolbox_computeruse.backend.Accessibility` for AT-SPI.

    ``session`` is the address of the session bus; ``retype`` replaces the focused node's text with
    the keyboard; ``is_up`` reports whether this service's desktop is running.
    """

    def __init__(
        self, session: str, retype: Callable[[str], None], is_up: Callable[[], bool]
    ) -> None:
        self._session = session
        self._retype = retype
        self._is_up = is_up

    @contextlib.contextmanager
    def _bus(self) -> Iterator[Bus]:
        """Connect to the accessibility bus of this desktop. Raises A11yUnavailable."""
        # Without the check the bus could be that of another desktop of the user.
        if not self._is_up():
            raise A11yUnavailable("the desktop is not running; start it first")
        with buses.accessibility_bus(self._session) as bus:
            yield bus

    def available(self) -> bool:
        """Report whether the bus responds, and enable accessibility in programs."""
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

    def find(self, request: FindRequest, scope: str) -> Found:
        matches = matcher(request)
        limit = min(max(request.limit or 0, 0) or DEFAULT_MATCHES, MAX_MATCHES)
        with self._bus() as bus:
            tree = read_tree(bus, _root(bus, scope, request.pid or 0), -1)
        found: list[AccessibilityNode] = []
        for node in _walk(tree.root):
            if matches(node):
                if len(found) == limit:
                    return Found(found, truncated=True)
                found.append(_without_children(node))
        return Found(found, tree.truncated)

    def focus(self, node: NodeId) -> None:
        with self._bus() as bus:
            _focus(bus, node)
            with contextlib.suppress(A11yNodeNotFound):  # The focus may have closed the node.
                _wait_for_focus(bus, node)

    def invoke(self, node: NodeId, action: str) -> None:
        with self._bus() as bus:
            number = _action_number(bus, node, action) if action else 0
            if not bus.ask(node.call(ACTION, "DoAction", "i", number))[0]:
                raise A11yActionNotSupported("the node refused the action")

    def set_value(self, node: NodeId, value: str) -> None:
        with self._bus() as bus:
            if _set_directly(bus, node, value):
                return
            if "editable" not in _states(bus, node):
                raise A11yActionNotSupported("the node has no value to set")
            # Browsers mark their inputs as editable but accept no text over the bus.
            text = _typeable(value)
            _focus(bus, node)
            if not _wait_for_focus(bus, node):
                raise A11yActionNotSupported(
                    "the node did not receive the focus; is its window active?"
                )
        # After the bus was left: typing takes a while and needs none of its time.
        self._retype(text)


def _set_directly(bus: Bus, node: NodeId, value: str) -> bool:
    """Set the value over the bus; report whether the node has an interface for that."""
    interfaces = bus.ask(node.call(ACCESSIBLE, "GetInterfaces"))[0]
    # A number field has both, and setting its text doesn't change its number.
    if VALUE in interfaces and (_is_number(value) or EDITABLE_TEXT not in interfaces):
        number = ("d", _number(value))
        bus.ask(node.call(PROPERTIES, "Set", "ssv", VALUE, "CurrentValue", number))
        return True
    if EDITABLE_TEXT in interfaces:
        bus.ask(node.call(EDITABLE_TEXT, "SetTextContents", "s", value))
        return True
    return False


def _root(bus: Bus, scope: str, pid: int) -> NodeId:
    if scope == "all":
        return ROOT
    if scope == "pid" and pid <= 0:
        raise A11yInvalidRequest("scope 'pid' requires a pid greater than 0")
    programs = children_of(bus, ROOT)
    if scope == "pid":
        calls = [pid_request(program.name) for program in programs]
        for program, reply in zip(programs, bus.call_all(calls), strict=True):
            if not isinstance(reply, CallError) and reply[0] == pid:
                return program
        raise A11yNoRoot(f"no program with pid {pid} is on the accessibility bus")
    if not programs:
        raise A11yNoRoot("no program is on the accessibility bus")
    # No window is active where there is no window manager.
    return _active(bus, programs) or programs[0]


def _active(bus: Bus, programs: list[NodeId]) -> NodeId | None:
    """Return the program that has the active window; None if no window is active."""
    replies = bus.call_all([program.call(ACCESSIBLE, "GetChildren") for program in programs])
    windows = [
        (program, NodeId(name, path))
        for program, reply in zip(programs, replies, strict=True)
        if not isinstance(reply, CallError)
        for name, path in reply[0]
    ]
    states = bus.call_all([window.call(ACCESSIBLE, "GetState") for _, window in windows])
    for (program, _), reply in zip(windows, states, strict=True):
        if "active" in states_of(reply):
            return program
    return None


def _walk(root: AccessibilityNode) -> Iterator[AccessibilityNode]:
    """Yield a node and its descendants, each before its children."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children)


def _without_children(node: AccessibilityNode) -> AccessibilityNode:
    return msgspec.structs.replace(node, children=[])


def _focus(bus: Bus, node: NodeId) -> None:
    if not bus.ask(node.call(COMPONENT, "GrabFocus"))[0]:
        raise A11yActionNotSupported("the node does not accept the focus")


def _states(bus: Bus, node: NodeId) -> list[str]:
    return states_of(bus.ask(node.call(ACCESSIBLE, "GetState")))


def _wait_for_focus(bus: Bus, node: NodeId) -> bool:
    """Wait until the node has the focus; report whether it does.

    Programs move the focus some time after they agree to; keys sent before go elsewhere, as do all
    keys while the node's window isn't active.
    """
    deadline = awake() + FOCUS
    while "focused" not in _states(bus, node):
        if awake() > deadline:
            return False
        time.sleep(POLL)
    return True


def _typeable(value: str) -> str:
    """Return ``value`` as text to type. Raises A11yActionNotSupported."""
    try:
        text = check_text(value)
    except InvalidInput as error:
        raise A11yActionNotSupported(error.message) from None
    if "\n" in text:
        raise A11yActionNotSupported("the value would be typed and can't contain line ends")
    return text


def _action_number(bus: Bus, node: NodeId, action: str) -> int:
    """Return the number of a node's action of this name, ignoring case."""
    count: Any = bus.ask(node.call(PROPERTIES, "Get", "ss", ACTION, "NActions"))[0][1]
    calls = [node.call(ACTION, "GetName", "i", n) for n in range(min(count, MAX_ACTIONS))]
    names = [check(reply)[0] for reply in bus.call_all(calls)]
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
        raise A11yActionNotSupported("the node's value must be a number")
    return float(text)


def check_scope(scope: str | None) -> str:
    """Return the canonical name of a scope. Raises A11yInvalidScope."""
    name = (scope or "").strip().lower() or "focused"
    if name not in ("focused", "pid", "all"):
        raise A11yInvalidScope(f"unknown scope {scope!r}; expected focused, pid or all")
    return name
