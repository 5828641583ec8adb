"""Calls over the accessibility bus (D-Bus): many in parallel, each with a time limit."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from toolbox.linux.clock import awake
from toolbox_computeruse.errors import A11yActionNotSupported
from toolbox_computeruse.errors import A11yFailed
from toolbox_computeruse.errors import A11yNodeNotFound
from toolbox_computeruse.errors import A11yUnavailable

if TYPE_CHECKING:
    from jeepney import Message  # type: ignore[import-untyped]
    from jeepney.io.blocking import DBusConnection  # type: ignore[import-untyped]

IN_FLIGHT = 32
"""Maximum number of calls that wait for replies."""
SILENCE = 5.0
"""Seconds without any reply after which the called programs are ignored: a browser that loads a
page on a busy machine takes some.
"""
CONNECT = 5.0
"""Maximum seconds to connect to a bus."""
PATIENCE = 20.0
"""Maximum seconds to use a connection."""

PROPERTIES = "org.freedesktop.DBus.Properties"
STATUS = "org.a11y.Status"
LAUNCHER_NAME = "org.a11y.Bus"
LAUNCHER_PATH = "/org/a11y/bus"
DAEMON_NAME = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"

Reply = tuple[Any, ...]
"""The values that a method returned."""

_GONE = ("ServiceUnknown", "NameHasNoOwner", "UnknownObject", "NoReply", "Disconnected")
_UNABLE = ("UnknownMethod", "UnknownInterface", "UnknownProperty", "NotSupported", "InvalidArgs")


class Call(msgspec.Struct, frozen=True):
    """A method call: the object, the method and its arguments."""

    name: str
    path: str
    interface: str
    method: str
    signature: str = ""
    body: tuple[Any, ...] = ()


def pid_request(name: str) -> Call:
    """Return a call for the pid of the program with the bus name ``name``."""
    method = "GetConnectionUnixProcessID"
    return Call(DAEMON_NAME, DAEMON_PATH, DAEMON_NAME, method, "s", (name,))


class CallError(msgspec.Struct, frozen=True):
    """A reply that is an error."""

    name: str
    message: str

    @property
    def unable(self) -> bool:
        """True if the object doesn't support the method."""
        return self.name.rpartition(".")[2] in _UNABLE


class Bus:
    """A connection to a bus, for one thread and :data:`PATIENCE` seconds."""

    def __init__(self, connection: DBusConnection) -> None:
        self._connection = connection
        self._deadline = awake() + PATIENCE
        self._silent: set[str] = set()
        """Programs that failed to reply once; no more calls are sent to them."""

    @property
    def late(self) -> bool:
        """True when the time is over: further calls fail without being sent."""
        return awake() > self._deadline

    def ask(self, call: Call) -> Reply:
        """Send one call and return its reply. Raises as :func:`check`."""
        return check(self.call_all([call])[0])

    def call_all(self, calls: Sequence[Call]) -> list[Reply | CallError]:
        """Send many calls in parallel and return the replies, in the order of the calls."""
        silent = CallError("org.freedesktop.DBus.Error.NoReply", "the program doesn't respond")
        replies: list[Reply | CallError] = [silent] * len(calls)
        waiting = [n for n, call in enumerate(calls) if call.name not in self._silent]
        waiting.reverse()
        open_calls: dict[int, int] = {}
        last = awake()
        while (waiting or open_calls) and not self.late:
            while waiting and len(open_calls) < IN_FLIGHT:
                number = waiting.pop()
                open_calls[self._send(calls[number])] = number
            received = self._receive(last + SILENCE - awake())
            if received is None:
                # One hung program must not cost its time again for each of its nodes.
                self._silent |= {calls[number].name for number in open_calls.values()}
                waiting = [n for n in waiting if calls[n].name not in self._silent]
                open_calls.clear()
                last = awake()
                continue
            serial, reply = received
            if serial in open_calls:
                replies[open_calls.pop(serial)] = reply
                last = awake()
        return replies

    def _send(self, call: Call) -> int:
        from jeepney import DBusAddress
        from jeepney import new_method_call

        address = DBusAddress(call.path, call.name, call.interface)
        message = new_method_call(address, call.method, call.signature or None, call.body)
        serial: int = next(self._connection.outgoing_serial)
        try:
            self._connection.send(message, serial=serial)
        except OSError as error:
            raise A11yUnavailable(f"the accessibility bus disconnected: {error}") from None
        return serial

    def _receive(self, seconds: float) -> tuple[int, Reply | CallError] | None:
        """Return the next reply and its call's serial (0: not a reply); None after ``seconds``."""
        try:
            message = self._connection.receive(timeout=max(0.0, seconds))
        except TimeoutError:
            return None
        except (OSError, EOFError) as error:
            raise A11yUnavailable(f"the accessibility bus disconnected: {error}") from None
        return _read(message)


def _read(message: Message) -> tuple[int, Reply | CallError]:
    from jeepney import HeaderFields
    from jeepney import MessageType

    fields = message.header.fields
    serial = fields.get(HeaderFields.reply_serial, 0)
    if message.header.message_type is MessageType.error:
        text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
        return serial, CallError(fields.get(HeaderFields.error_name, ""), text)
    return serial, message.body


def check(reply: Reply | CallError) -> Reply:
    """Return the reply, unless it is an error.

    Raises A11yNodeNotFound, A11yActionNotSupported or A11yFailed, by the error's name only: its
    text may contain anything.
    """
    if not isinstance(reply, CallError):
        return reply
    last = reply.name.rpartition(".")[2]
    if last in _GONE:
        raise A11yNodeNotFound(f"the node doesn't exist or doesn't respond: {reply.message}")
    if reply.unable:
        raise A11yActionNotSupported(f"the node doesn't support that: {reply.message}")
    raise A11yFailed(f"{reply.name}: {reply.message}")


@contextlib.contextmanager
def accessibility_bus(session: str) -> Iterator[Bus]:
    """Connect to the accessibility bus of the session bus ``session``. Raises A11yUnavailable."""
    # A new connection for each use: the buses are restarted with the desktop.
    request = Call(LAUNCHER_NAME, LAUNCHER_PATH, "org.a11y.Bus", "GetAddress")
    with _connected(session, "session bus") as bus:
        reply = bus.call_all([request])[0]
    if isinstance(reply, CallError):
        raise A11yUnavailable(f"the accessibility bus can't be found: {reply.message}")
    with _connected(reply[0], "accessibility bus") as bus:
        yield bus


def enable(session: str) -> None:
    """Enable accessibility in all programs: some offer nothing unless asked to.

    Raises A11yUnavailable.
    """
    with _connected(session, "session bus") as bus:
        bus.call_all([_switch_on(name) for name in ("IsEnabled", "ScreenReaderEnabled")])


def _switch_on(name: str) -> Call:
    """Return a call that sets a property of the accessibility launcher to true."""
    value = (STATUS, name, ("b", True))
    return Call(LAUNCHER_NAME, LAUNCHER_PATH, PROPERTIES, "Set", "ssv", value)


@contextlib.contextmanager
def _connected(address: str, what: str) -> Iterator[Bus]:
    try:
        from jeepney.bus import get_bus  # type: ignore[import-untyped]
        from jeepney.io.blocking import DBusConnection
        from jeepney.io.blocking import prep_socket
    except ImportError as missing:
        raise A11yUnavailable(f"jeepney is not installed: {missing}") from None
    try:
        sock = prep_socket(get_bus(address), timeout=CONNECT)
        # The library waits for the bus's first reply without a limit.
        limit = threading.Timer(CONNECT, sock.shutdown, (socket.SHUT_RDWR,))
        limit.start()
        try:
            connection = DBusConnection(sock)
        except BaseException:
            sock.close()
            raise
        finally:
            limit.cancel()
    except Exception as error:
        # The errors of the library and those of a wrong address have no common base class.
        raise A11yUnavailable(
            f"the {what} is unreachable; start the desktop first, with POST /computeruse/start"
        ) from error
    try:
        yield Bus(connection)
    finally:
        connection.close()
