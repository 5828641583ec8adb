"""The lobby: idle connections are closed at their end, if no request has come by then."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from toolbox.http.connection import ClientSocket
from toolbox.serving.heads import HeadLimits
from toolbox.serving.lanes import Lanes
from toolbox.serving.lobby import Connection
from toolbox.serving.lobby import Lobby
from toolbox.serving.lobby import LobbyLimits
from toolbox.threads import Crew

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMITS = LobbyLimits(
    strangers=10, callers=10, keep_alive=60, header_timeout=60, head=HeadLimits(8190, 65536)
)


class Room:
    """A lobby with one connection, idle since too long; ``client`` is its other end."""

    def __init__(self, client: socket.socket, sock: socket.socket) -> None:
        self.client = client
        self.ready: list[Connection] = []
        self.closed: list[Connection] = []
        self.poller = selectors.DefaultSelector()
        self.lobby = Lobby(self.poller, LIMITS, self.ready.append, self.closed.append)
        lanes = Lanes(Crew(4), 4, 60, 60)
        self.conn = Connection(Config(), ClientSocket(sock, lanes), "", "")
        self.lobby.enter(self.conn)
        self.conn.deadline = 0.0


@pytest.fixture
def room() -> Iterator[Room]:
    client, sock = socket.socketpair()
    with client, sock:
        made = Room(client, sock)
        yield made
        made.lobby.close_all()
        made.poller.close()


def test_an_idle_connection_is_closed_at_its_end(room: Room) -> None:
    room.lobby.tidy()
    assert (room.ready, room.closed) == ([], [room.conn])
    assert room.client.recv(1) == b""


def test_one_whose_client_has_left_is_closed(room: Room) -> None:
    room.client.close()
    room.lobby.tidy()
    assert (room.ready, room.closed) == ([], [room.conn])


def test_a_request_that_lies_there_is_served(room: Room) -> None:
    """The loop was late, or the service was stopped: a reset would lose what was sent in time."""
    room.client.sendall(HEAD)
    room.lobby.tidy()
    assert (room.ready, room.closed) == ([room.conn], [])
    assert room.conn.head == HEAD
    room.conn.sock.close()


def test_a_part_of_a_request_gets_the_time_for_a_head_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox.serving.lobby.TIDY", 0)
    room.client.sendall(HEAD[:9])
    room.lobby.tidy()
    assert (room.ready, room.closed) == ([], [])
    room.client.sendall(HEAD[9:12])
    room.conn.deadline = 0.0
    room.lobby.tidy()
    assert (room.ready, room.closed) == ([], [room.conn])
