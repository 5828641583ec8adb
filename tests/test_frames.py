"""Frames on their way out and messages on their way in, without a service."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage
from wsproto.events import Ping
from wsproto.events import TextMessage

from toolbox.sockets.frames import MAX_CONTROL
from toolbox.sockets.frames import MAX_REASON
from toolbox.sockets.frames import STRANGER_FRAMES
from toolbox.sockets.frames import STRANGER_MESSAGE
from toolbox.sockets.frames import TOGETHER
from toolbox.sockets.frames import Incoming
from toolbox.sockets.frames import OutputQueue
from toolbox.sockets.frames import TooMuch
from toolbox.sockets.frames import cut_reason
from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import TOO_BIG
from toolbox.sockets.whole_frames import is_between_messages
from toolbox.sockets.whole_frames import short_message
from toolbox.sockets.whole_frames import whole_frame


def sent(queue: OutputQueue) -> bytes:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        while queue.pending:
            queue.send_to(ours)
        return theirs.recv(1 << 20)


def text(data: str, finished: bool = True) -> TextMessage:
    return TextMessage(data, message_finished=finished)


def test_control_frames_overtake_data_but_not_the_frame_that_is_begun() -> None:
    queue = OutputQueue(b"101")
    queue.add(b"data")
    queue.add_control(b"pong")
    assert queue.pending == 11
    assert queue.control_waits
    assert not queue.only_data_waits
    assert sent(queue) == b"101pongdata"
    assert queue.pending == 0


def test_a_frame_that_is_begun_ends_before_any_other() -> None:
    queue = OutputQueue(b"")
    queue.add(b"x" * (8 << 20))
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        count = queue.send_to(ours)
        assert 0 < count < 8 << 20
        queue.add_control(b"pong")
        with pytest.raises(BlockingIOError):
            while True:
                queue.send_to(ours)
        assert queue.control_waits  # It hasn't been begun.
        assert not queue.only_data_waits


def test_frames_that_are_sent_together_stay_in_order_and_whole() -> None:
    queue = OutputQueue(b"101")
    frames = [bytes([65 + number % 26]) * (number * 1000 % 70_000) for number in range(300)]
    for frame in frames:
        queue.add(frame)
    received = bytearray()
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        while queue.pending:
            try:
                queue.send_to(ours)
            except BlockingIOError:
                received += theirs.recv(1 << 20)
        ours.close()
        while data := theirs.recv(1 << 20):
            received += data
    assert received == b"101" + b"".join(frames)
    assert queue.pending == 0


def test_small_frames_take_one_call() -> None:
    queue = OutputQueue(b"101")
    for number in range(TOGETHER):
        queue.add(b"%03d" % number)
    theirs, ours = socket.socketpair()
    with theirs, ours:
        assert queue.send_to(ours) == 3 + 3 * TOGETHER
    assert queue.pending == 0


def test_the_oldest_control_frames_are_dropped() -> None:
    queue = OutputQueue(b"")
    for number in range(MAX_CONTROL + 2):
        queue.add_control(b"%03d" % number)
    assert queue.pending == 3 * MAX_CONTROL
    assert sent(queue)[:3] == b"002"


def test_dropped_data_is_not_sent() -> None:
    queue = OutputQueue(b"")
    queue.add(b"data")
    queue.add_control(b"close")
    queue.drop_data()
    assert queue.pending == 5
    assert sent(queue) == b"close"
    queue.add(b"data")
    queue.clear()
    assert queue.pending == 0


def test_fragments_become_a_message() -> None:
    incoming = Incoming(10, stranger=False)
    assert incoming.add(text("a", False)) is None
    assert incoming.add(text("", False)) is None
    assert incoming.add(text("b")) == "ab"
    assert incoming.add(BytesMessage(bytearray(b"c"), message_finished=False)) is None
    assert incoming.add(BytesMessage(bytearray(b""))) == b"c"
    assert incoming.add(text("")) == ""


def test_a_message_over_the_limit() -> None:
    incoming = Incoming(10, stranger=False)
    assert incoming.add(text("x" * 10)) == "x" * 10
    assert incoming.add(text("x" * 6, False)) is None
    with pytest.raises(TooMuch, match="the limit of a message is 10 bytes") as raised:
        incoming.add(text("x" * 5, False))
    assert raised.value.code == TOO_BIG


def test_what_a_stranger_may_send() -> None:
    incoming = Incoming(1 << 30, stranger=True)
    assert incoming.add(text("x" * STRANGER_MESSAGE)) is not None
    with pytest.raises(TooMuch, match="limit"):
        incoming.add(text("x" * (STRANGER_MESSAGE + 1)))
    for _ in range(STRANGER_FRAMES):
        incoming.count()
    with pytest.raises(TooMuch, match="before the token") as raised:
        incoming.count()
    assert raised.value.code == POLICY
    incoming.stranger = False
    incoming.count()


@pytest.mark.parametrize("reason", ["", "x" * MAX_REASON, "é" * MAX_REASON, "x" * 1000])
def test_close_reasons_are_cut_between_characters(reason: str) -> None:
    cut = cut_reason(reason)
    assert reason.startswith(cut)
    assert len(cut.encode()) <= MAX_REASON
    assert len(cut.encode()) >= min(len(reason.encode()), MAX_REASON - 1)


@st.composite
def client_frames(draw: st.DrawFn) -> bytes:
    payload = draw(st.binary(max_size=125))
    first = draw(st.sampled_from((0x81, 0x82)))
    return bytes((first, 0x80 | len(payload))) + draw(st.binary(min_size=4, max_size=4)) + payload


def protocol() -> Connection:
    return Connection(ConnectionType.SERVER)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("kind", [str, bytes])
def test_a_whole_frame_is_what_the_protocol_would_send(kind: type, size: int) -> None:
    message = "ü" * (size // 2) + "x" * (size % 2)
    if kind is str:
        assert whole_frame(message) == protocol().send(TextMessage(message))
    else:
        data = message.encode()
        assert whole_frame(data) == protocol().send(BytesMessage(data))


@pytest.mark.parametrize("message", ["", "x", "ü\0", "y" * 125, b"", b"\xff", bytes(range(125))])
def test_a_short_message_is_read_without_the_protocol(message: str | bytes) -> None:
    event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
    assert short_message(Connection(ConnectionType.CLIENT).send(event)) == message


@given(data=st.binary(max_size=140) | client_frames())
def test_what_is_read_without_the_protocol_is_what_it_would_read(data: bytes) -> None:
    message = short_message(data)
    if message is not None:
        server = protocol()
        server.receive_data(data)
        (event,) = server.events()
        assert isinstance(event, TextMessage | BytesMessage)
        assert (event.data, event.message_finished) == (message, True)
        assert is_between_messages(server)


def test_a_short_message_is_left_to_the_protocol_within_another() -> None:
    client, server = Connection(ConnectionType.CLIENT), protocol()
    incoming = Incoming(max_message=1000, stranger=False)
    whole = client.send(text("whole"))
    incoming.between = is_between_messages(server)
    assert incoming.take_short(whole) == "whole"
    for data in (client.send(text("begun", finished=False)), whole[:1], client.send(Ping())[:3]):
        server = protocol()
        assert incoming.take_short(data) is None
        server.receive_data(data)
        list(server.events())
        incoming.between = is_between_messages(server)
        assert incoming.take_short(whole) is None
    for incoming in (Incoming(max_message=4, stranger=False), Incoming(1000, stranger=True)):
        incoming.between = True
        assert incoming.take_short(whole) is None
