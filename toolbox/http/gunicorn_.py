"""Every name of gunicorn's that is private or undocumented, in one place.

A release that changes one makes ``tests/test_private_names.py`` fail. What the worker and the
master override is listed in :data:`OVERRIDDEN` and :data:`ARBITER`.
"""

from __future__ import annotations

import os
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.body import EOFReader
from gunicorn.http.parser import _DRAIN_MAX_BYTES as MAX_DRAINED
from gunicorn.http.wsgi import _make_early_hints_callback

MAX_CHUNK = 1 << 40
"""Bytes that a chunk may announce: no client has so much at once."""

MAX_CHUNK_LINE = 4096
"""Bytes of the line with a chunk's size and its extensions, which nobody uses."""

OVERRIDDEN = (
    "_cap_keepalive",
    "accept",
    "check_config",
    "enqueue_req",
    "get_thread_pool",
    "handle_error",
    "handle_exit",
    "handle_quit",
    "handle_request",
    "init_process",
    "is_parent_alive",
    "murder_keepalived",
    "murder_pending",
    "notify",
    "run",
    "set_accept_enabled",
)
"""Methods of ThreadWorker that :class:`toolbox.serving.worker.Worker` replaces or calls."""

ARBITER = (
    "handle_hup",
    "handle_ttin",
    "handle_ttou",
    "handle_usr2",
    "kill_worker",
    "murder_workers",
    "reap_workers",
    "spawn_worker",
)
"""Methods of Arbiter that the master replaces or calls."""


def keep_socket_files(arbiter: Any) -> None:
    """Keep gunicorn's master from removing the files of Unix sockets: where one is gone already, it
    would end without stopping its worker.
    """
    arbiter.systemd = True  # They are systemd's to remove then.


def replace_heartbeat(worker: Any, fd: int) -> None:
    """Let a worker's object take the file of its heartbeat, which an earlier master has left."""
    worker.tmp.close()
    worker.tmp._tmp = os.fdopen(fd, "w+b", 0)


def is_accepting(worker: Any) -> bool:
    """Report whether a ThreadWorker has its listeners registered for events."""
    accepting: bool = worker._accepting
    return accepting


def body_reader(environ: dict[str, Any]) -> Any:
    """Return gunicorn's reader below ``wsgi.input``, None under another server."""
    return getattr(environ.get("wsgi.input"), "reader", None)


def take_buffered(source: Any) -> bytes:
    """Remove and return the bytes that a parser or a body reader has read ahead."""
    data: bytes = source.unreader.take_buffered()
    return data


def read_buffered(source: Any, size: int) -> bytes:
    """Remove and return up to ``size`` of the bytes that :func:`take_buffered` would: what follows
    them belongs to the next request.
    """
    data = take_buffered(source)
    if len(data) > size:
        source.unreader.unread(data[size:])
    return data[:size]


def give_head(conn: Any, head: bytes) -> None:
    """Let the parser of a connection (gthread's ``TConn``) read ``head`` before the socket."""
    conn.init()
    conn.parser.unreader.unread(head)


def take_expectation(request: Any) -> bool:
    """Report whether the client expects 100 (Continue), and keep gunicorn from sending it: it would
    do so before the token is checked.
    """
    expects: bool = request._expected_100_continue
    request._expected_100_continue = False
    return expects


def announces_body(request: Any) -> bool:
    """Report whether the request has a body."""
    reader = request.body.reader
    if isinstance(reader, EOFReader):
        return False  # Neither a length nor chunks.
    return bool(getattr(reader, "length", True))


def leaves_body(request: Any) -> bool:
    """Report whether gunicorn can't get to the end of the body before the next request: more is
    left than it drops, or the end is unknown.
    """
    body = request.body
    if isinstance(body.reader, ChunkedReader):
        return body.failed or body.reader.parser is not None
    return bool(getattr(body.reader, "length", 0) > MAX_DRAINED)


def is_chunked(body: Any) -> bool:
    """Report whether ``wsgi.input`` is gunicorn's, over a chunked body."""
    return hasattr(getattr(body, "reader", None), "parser")


class ChunkTooLarge(ValueError):
    """A chunk announces more bytes than a body can have."""


class BoundedChunks(ChunkedReader):
    """A chunked body whose sizes are bounded: gunicorn would wait for a chunk of 2**64 bytes until
    the client loses patience, and for a line as long as a request's whole head may be.
    """

    def __init__(self, request: Any, unreader: Any) -> None:
        init: Any = super().__init__
        init(request, unreader)
        self.limit_chunk_size_line = MAX_CHUNK_LINE

    def parse_chunk_size(self, unreader: Any, data: bytes | None = None) -> tuple[int, bytes]:
        parse: Any = super().parse_chunk_size
        size, rest = parse(unreader, data)
        if size > MAX_CHUNK:
            raise ChunkTooLarge(f"{size:x}")
        return size, rest


def read_chunked(body: Any, size: int) -> bytes:
    """Return from 1 to ``size`` bytes of a chunked body, b"" at its end. Raises what the parser
    does.

    gunicorn waits until all that is asked for has come, while a client may wait for us: wait for
    one byte, then take what has come with it.
    """
    if type(body.reader) is ChunkedReader:  # It has read nothing yet.
        body.reader = BoundedChunks(body.reader.req, body.reader.req.unreader)
    reader = body.reader
    try:
        data: bytes = reader.read(1)
        data += reader.read(min(size - 1, reader.buf.tell()))
    except Exception:
        body.failed = True  # gunicorn notes that only when it reads the body itself.
        raise
    return data


def early_hints(request: Any, sock: Any, response: Any) -> Any:
    """Return the value of ``wsgi.early_hints``, which sends 103 (RFC 8297)."""
    make: Any = _make_early_hints_callback
    return make(request, sock, response)


def sent_bytes(response: Any) -> int:
    """Return the bytes of the body of a response that was sent to its end."""
    if response.sent or not response.response_length or response._omits_body:
        sent: int = response.sent
        return sent
    length: int = response.response_length
    return length  # The kernel has sent a file, which gunicorn doesn't count.
