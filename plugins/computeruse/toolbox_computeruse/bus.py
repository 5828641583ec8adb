"""Calls to the accessibility bus: many at once, none waited for without a limit."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from toolbox_computeruse.errors import A11yActionNotSupported
from toolbox_computeruse.errors import A11yFailed
from toolbox_computeruse.errors import A11yNodeNotFound
from toolbox_computeruse.errors import A11yUnavailable

if TYPE_CHECKING:
    from jeepney import Message  # type: ignore[import-untyped]
    from jeepney.io.blocking import DBusConnection  # type: ignore[import-untyped]

IN_FLIGHT = 32
"""Calls that wait for an answer at once."""
SILENCE = 5.0
"""Seconds without any answer after which those who owe one are given up: a browser that loads a
page on a busy machine takes some.
"""
CONNECT = 5.0
PATIENCE = 20.0
"""Seconds for everything that is done with a connection."""

PROPERTIES = "org.freedesktop.DBus.Properties"
STATUS = "org.a11y.Status"
LAUNCHER = ("org.a11y.Bus", "/org/a11y/bus")
DAEMON = ("org.freedesktop.DBus", "/org/freedesktop/DBus")

_GONE = ("ServiceUnknown", "NameHasNoOwner", "UnknownObject", "NoReply", "Disconnected")
_UNABLE = ("UnknownMethod", "UnknownInterface", "UnknownProperty", "NotSupported", "InvalidArgs")


class Call(msgspec.Struct, frozen=True):
    """A method call: to whom, which method, and with what."""

    name: str
    path: str
    interface: str
    method: str
    signature: str = ""
    body: tuple[Any, ...] = ()


class CallError(msgspec.Struct, frozen=True):
    """An answer that is an error."""

    name: str
    message: str

    @property
    def unable(self) -> bool:
        """Whether the object lacks the method."""
        return self.name.rpartition(".")[2] in _UNABLE


class Bus:
    """A connection to a bus, for one thread and :data:`PATIENCE` seconds."""

    def __init__(self, connection: DBusConnection) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + PATIENCE
        self._silent: set[str] = set()
        """Who has not answered once; they aren't asked again."""

    @property
    def late(self) -> bool:
        """Whether the time is over: calls are not made any more but taken for unanswered."""
        return time.monotonic() > self._deadline

    def ask(self, call: Call) -> tuple[Any, ...]:
        """The answer to one call. Raises as :func:`check`."""
        return check(self.ask_all([call])[0])

    def ask_all(self, calls: Sequence[Call]) -> list[tuple[Any, ...] | CallError]:
        """The answers to many calls, in their order."""
        silent = CallError("org.freedesktop.DBus.Error.NoReply", "the program doesn't answer")
        answers: list[tuple[Any, ...] | CallError] = [silent] * len(calls)
        waiting = [n for n, call in enumerate(calls) if call.name not in self._silent]
        waiting.reverse()
        open_calls: dict[int, int] = {}
        last = time.monotonic()
        while (waiting or open_calls) and not self.late:
            while waiting and len(open_calls) < IN_FLIGHT:
                number = waiting.pop()
                open_calls[self._send(calls[number])] = number
            reply = self._receive(last + SILENCE - time.monotonic())
            if reply is None:
                self._silent |= {calls[number].name for number in open_calls.values()}
                waiting = [n for n in waiting if calls[n].name not in self._silent]
                open_calls.clear()
                last = time.monotonic()
                continue
            serial, answer = reply
            if serial in open_calls:
                answers[open_calls.pop(serial)] = answer
                last = time.monotonic()
        return answers

    def _send(self, call: Call) -> int:
        from jeepney import DBusAddress
        from jeepney import new_method_call

        address = DBusAddress(call.path, call.name, call.interface)
        message = new_method_call(address, call.method, call.signature or None, call.body)
        serial: int = next(self._connection.outgoing_serial)
        try:
            self._connection.send(message, serial=serial)
        except OSError as error:
            raise A11yUnavailable(f"the accessibility bus is gone: {error}") from None
        return serial

    def _receive(self, seconds: float) -> tuple[int, tuple[Any, ...] | CallError] | None:
        """The next answer and the call it is to (0: none of ours), or None after ``seconds``."""
        try:
            message = self._connection.receive(timeout=max(0.0, seconds))
        except TimeoutError:
            return None
        except (OSError, EOFError) as error:
            raise A11yUnavailable(f"the accessibility bus is gone: {error}") from None
        return _read(message)


def _read(message: Message) -> tuple[int, tuple[Any, ...] | CallError]:
    from jeepney import HeaderFields
    from jeepney import MessageType

    fields = message.header.fields
    serial = fields.get(HeaderFields.reply_serial, 0)
    if message.header.message_type is MessageType.error:
        text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
        return serial, CallError(fields.get(HeaderFields.error_name, ""), text)
    return serial, message.body


def check(answer: tuple[Any, ...] | CallError) -> tuple[Any, ...]:
    """The answer, unless it is an error.

    Raises A11yNodeNotFound, A11yActionNotSupported or A11yFailed, by the error's name alone: its
    text may hold anything.
    """
    if not isinstance(answer, CallError):
        return answer
    last = answer.name.rpartition(".")[2]
    if last in _GONE:
        raise A11yNodeNotFound(f"the node is gone, or silent: {answer.message}")
    if answer.unable:
        raise A11yActionNotSupported(f"the node can't do that: {answer.message}")
    raise A11yFailed(f"{answer.name}: {answer.message}")


@contextlib.contextmanager
def accessibility_bus(session: str) -> Iterator[Bus]:
    """The accessibility bus that the session bus at ``session`` tells. Raises A11yUnavailable."""
    with _connected(session, "session bus") as bus:
        answer = bus.ask_all([Call(*LAUNCHER, "org.a11y.Bus", "GetAddress")])[0]
    if isinstance(answer, CallError):
        raise A11yUnavailable(f"the accessibility bus can't be found: {answer.message}")
    with _connected(answer[0], "accessibility bus") as bus:
        yield bus


def enable(session: str) -> None:
    """Tell programs that somebody wants accessibility: some stay silent unless told.

    Raises A11yUnavailable.
    """
    with _connected(session, "session bus") as bus:
        bus.ask_all(
            [
                Call(*LAUNCHER, PROPERTIES, "Set", "ssv", (STATUS, name, ("b", True)))
                for name in ("IsEnabled", "ScreenReaderEnabled")
            ]
        )


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
        # The library waits for the bus's first answer without a limit.
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
        # The library's own errors and a wrong address's have no base class in common.
        raise A11yUnavailable(
            f"the {what} can't be reached; start the desktop first, by POST /computeruse/start"
        ) from error
    try:
        yield Bus(connection)
    finally:
        connection.close()
