"""Private names of other libraries: each is still there, and still does what is relied on."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import Response
from gunicorn.http.wsgi import create
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.workertmp import WorkerTmp
from werkzeug.routing import Map

from toolbox.application.routing import MatchingRule
from toolbox.http import gunicorn_
from toolbox.serving.worker import Worker as OurWorker
from toolbox.threads import Pool

HEAD = b"%s / HTTP/1.1\r\nHost: a\r\n%s\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, ours


def parse(pair: tuple[socket.socket, socket.socket], data: bytes) -> tuple[Any, Any]:
    pair[0].sendall(data)
    parser = RequestParser(Config(), pair[1], ("127.0.0.1", 1))
    return parser, next(parser)


@pytest.mark.parametrize("name", gunicorn_.OVERRIDDEN)
def test_the_worker_has_what_is_overridden(name: str) -> None:
    assert callable(getattr(ThreadWorker, name))


def test_no_other_method_of_the_worker_is_overridden() -> None:
    ours = {name for name in vars(OurWorker) if hasattr(ThreadWorker, name)}
    assert {name for name in ours if not name.startswith("__")} <= set(gunicorn_.OVERRIDDEN)


@pytest.mark.parametrize("name", gunicorn_.ARBITER)
def test_the_master_has_what_is_overridden(name: str) -> None:
    assert callable(getattr(Arbiter, name))


def test_the_master_knows_its_workers_and_when_they_reported() -> None:
    assert Arbiter.WORKERS == {}
    assert Arbiter.APP_LOAD_ERROR
    worker = Worker(1, 2, [], None, 30, Config(), None)
    try:
        assert worker.aborted is False
        assert isinstance(worker.tmp, WorkerTmp)
        assert worker.tmp.last_update() >= 0
    finally:
        worker.tmp.close()


def test_the_head_that_was_read_before_is_parsed(pair: Any) -> None:
    conn = TConn(Config(), pair[1], ("127.0.0.1", 1), ("127.0.0.1", 2))
    gunicorn_.give_head(conn, HEAD % (b"GET", b"") + b"GET ")
    assert next(conn.parser).path == "/"
    assert gunicorn_.take_buffered(conn.parser) == b"GET "
    assert gunicorn_.take_buffered(conn.parser) == b""


def test_expectations_are_taken_from_gunicorn(pair: Any) -> None:
    _, request = parse(pair, HEAD % (b"PUT", b"Expect: 100-continue\r\nContent-Length: 1\r\n"))
    assert gunicorn_.take_expectation(request)
    assert not gunicorn_.take_expectation(request)
    create(request, pair[1], ("127.0.0.1", 1), ("127.0.0.1", 2), Config())
    pair[0].setblocking(False)
    with pytest.raises(BlockingIOError):  # Or else the response 100.
        pair[0].recv(100)


@pytest.mark.parametrize(
    ("headers", "body", "announced", "left"),
    [
        (b"", b"", False, False),
        (b"Content-Length: 0\r\n", b"", False, False),
        (b"Content-Length: 3\r\n", b"abc", True, False),
        (b"Content-Length: 65536\r\n", b"", True, False),
        (b"Content-Length: 65537\r\n", b"", True, True),
        (b"Transfer-Encoding: chunked\r\n", b"1\r\na\r\n0\r\n\r\n", True, True),
    ],
)
def test_bodies(pair: Any, headers: bytes, body: bytes, announced: bool, left: bool) -> None:
    _, request = parse(pair, HEAD % (b"PUT", headers) + body)
    assert gunicorn_.announces_body(request) is announced
    assert gunicorn_.leaves_body(request) is left


def test_a_chunked_body_is_read_as_it_comes(pair: Any) -> None:
    _, request = parse(pair, HEAD % (b"PUT", b"Transfer-Encoding: chunked\r\n") + b"3\r\nabc\r\n")
    environ = {"wsgi.input": request.body}
    assert gunicorn_.is_chunked(request.body)
    assert gunicorn_.body_reader(environ) is request.body.reader
    assert gunicorn_.read_chunked(request.body, 2) == b"ab"
    assert gunicorn_.read_chunked(request.body, 100) == b"c"
    pair[0].sendall(b"0\r\n\r\n")
    assert gunicorn_.read_chunked(request.body, 100) == b""
    assert not gunicorn_.leaves_body(request)


def test_a_broken_chunked_body_is_noted(pair: Any) -> None:
    _, request = parse(pair, HEAD % (b"PUT", b"Transfer-Encoding: chunked\r\n") + b"x\r\n")
    with pytest.raises(Exception, match="chunk"):
        gunicorn_.read_chunked(request.body, 2)
    assert gunicorn_.leaves_body(request)


@pytest.mark.parametrize("size", [b"10000000001", b"ffffffffffffffff", b"1" * 5000])
def test_nobody_waits_for_a_chunk_that_cannot_come(pair: Any, size: bytes) -> None:
    """The size is refused as soon as it is there; a line without end, at its bound."""
    _, request = parse(pair, HEAD % (b"PUT", b"Transfer-Encoding: chunked\r\n") + size)
    pair[0].sendall(b"\r\n" if len(size) < 4096 else b"1")
    with pytest.raises(Exception, match=r"line over|^[1f]"):
        gunicorn_.read_chunked(request.body, 2)
    assert gunicorn_.leaves_body(request)


def test_another_server_has_no_reader() -> None:
    assert gunicorn_.body_reader({}) is None
    assert not gunicorn_.is_chunked(None)


@pytest.mark.parametrize(("method", "counted"), [(b"GET", 5), (b"HEAD", 0)])
def test_the_bytes_of_a_response(pair: Any, method: bytes, counted: int) -> None:
    _, request = parse(pair, HEAD % (method, b""))
    response, _ = create(request, pair[1], ("127.0.0.1", 1), ("127.0.0.1", 2), Config())
    assert isinstance(response, Response)
    assert gunicorn_.sent_bytes(response) == 0
    response.start_response("200 OK", [("Content-Length", "5")])
    assert gunicorn_.sent_bytes(response) == counted  # As after sendfile.
    response.write(b"abcde" if counted else b"")
    assert gunicorn_.sent_bytes(response) == counted


def test_a_pool_asks_for_threads_by_the_method_that_is_overridden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    adjust = ThreadPoolExecutor._adjust_thread_count

    def note(pool: ThreadPoolExecutor) -> None:
        asked.append(pool)
        adjust(pool)

    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", note)
    with Pool(1) as pool:
        assert pool.submit(int).result(60) == 0
        assert asked == [pool]
        assert len(pool._threads) == 1


def test_rules_compile_no_builder() -> None:
    rule = MatchingRule("/a/<b>", endpoint="a")
    urls = Map([rule])
    assert urls.bind("a").match("/a/b") == ("a", {"b": "b"})
    with pytest.raises(NotImplementedError):
        rule._build()
    with pytest.raises(NotImplementedError):
        rule._build_unknown()


def test_the_worker_knows_whether_it_accepts() -> None:
    worker = ThreadWorker.__new__(ThreadWorker)
    worker._accepting = True
    assert gunicorn_.is_accepting(worker)
    assert "_accepting" in inspect.getsource(ThreadWorker.set_accept_enabled)
