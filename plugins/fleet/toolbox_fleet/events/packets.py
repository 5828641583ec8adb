"""The packets of Engine.IO protocol 4 and Socket.IO protocol 5, which carry events.

Those of Engine.IO are a digit (open, close, ping, pong, message), with those of Socket.IO inside
messages: a digit (connect, disconnect, event, ack, connect error), a namespace unless it is the
default one, the number of an acknowledgment if one is wanted, and JSON.
"""

from __future__ import annotations

import re
from typing import Any
from typing import NamedTuple

import msgspec

from toolbox_fleet.models.events import Event

OPEN, CLOSE, PING, PONG = "0", "1", "2", "3"
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = "40", "41", "42", "43", "44"

NAMES = {
    "created": "sandbox.created",
    "state": "sandbox.state.updated",
    "desired-state": "sandbox.desired-state.updated",
}

_NAMESPACE = re.compile(r"4\d(/[^,\"{\[]{0,100}),?")
_WANTS_ACK = re.compile(r"42(\d{1,10})\[")


class Viewer(NamedTuple):
    """The URLs that are right for one client, as its own request tells."""

    proxied: str
    """The URL of the toolbox proxy."""
    is_local: bool
    """True if it reaches the sandboxes' own ports."""


def packet(kind: str, data: Any) -> str:
    """Return a packet with data."""
    return kind + msgspec.json.encode(data).decode()


def event_packet(event: Event) -> str:
    """Return the packet of an event, in the shape that clients read.

    ``sandbox.created`` is the sandbox itself; the others hold it with the old and the new state.
    """
    data: Any = event.sandbox
    if event.kind != "created":
        state = "State" if event.kind == "state" else "DesiredState"
        data = {"sandbox": event.sandbox, f"old{state}": event.old, f"new{state}": event.new}
    return packet(EVENT, [NAMES[event.kind], data])


def namespace(message: str) -> str:
    """Return the namespace of a packet of Socket.IO, empty for the default one."""
    found = _NAMESPACE.match(message)
    return found[1] if found and found[1] != "/" else ""


def acknowledgment(message: str) -> str | None:
    """Return the acknowledgment that a client's event asks for, None if it asks for none."""
    found = _WANTS_ACK.match(message)
    return f"{ACK}{found[1]}[]" if found else None
