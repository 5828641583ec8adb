"""The conformance kit: what it finds in our service, and in servers that misbehave."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.conformance import streams
from toolbox.conformance.__main__ import main
from toolbox.conformance.cases import Call
from toolbox.conformance.cases import filled
from toolbox.conformance.dialects import DIALECTS
from toolbox.conformance.matching import All
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks
from toolbox.conformance.matching import mismatch
from toolbox.testing import TOKEN
from toolbox.testing import Service

PAGE = Path(__file__).parent.parent / "docs" / "conformance.rst"
ROOTS = {
    "daytona": "",
    "agentsandbox": "/agentsandbox",
    "e2b": "/e2b",
    "mcp": "/mcp",
    "swerex": "/swerex",
}


@pytest.mark.parametrize("dialect", ROOTS)
def test_our_service_has_the_scorecard_of_the_page(
    service: Service, dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([service.url + ROOTS[dialect], "--token", TOKEN, "--dialect", dialect])
    card = capsys.readouterr().out
    assert status == 0, card
    assert "FAILED" not in card
    # A page that differs shows old numbers: copy these.
    assert textwrap.indent(card, "   ") in PAGE.read_text(), card
    assert not list(Path("/tmp").glob("conformance-conformance-*"))


def test_every_group_has_a_dozen_cases() -> None:
    for table in DIALECTS["daytona"]:
        assert len(table.cases) >= 12
    names = [
        (table.name, case.name)
        for tables in DIALECTS.values()
        for table in tables
        for case in table.cases
    ]
    assert len(names) > 100


@contextlib.contextmanager
def misbehaving(kind: str) -> Iterator[str]:
    """Run a server that is broken in one way; return its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.rfile.read(length)
            if kind == "hangs up":
                return
            body = {"agrees": b'{"exitCode": 0, "result": ""}', "no json": b"<html>"}.get(kind, b"")
            self.send_response(500 if kind == "fails" else 200)
            self.send_header("Content-Length", str(len(body) + (9 if kind == "cut" else 0)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        do_GET = do_DELETE = do_PUT = do_HEAD = do_POST

        def log_message(self, *arguments: Any) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", ["agrees", "no json", "fails", "cut", "hangs up"])
def test_a_broken_server_fails_and_is_told_why(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--token", "x", "--group", "process", "--group", "pty", "--timeout", "2"]
    with misbehaving(kind) as url:
        assert main([url, *arguments]) == 1
    card = capsys.readouterr().out
    failed = [line for line in card.splitlines() if line.startswith("  FAILED")]
    assert len(failed) > 30
    assert all(": step " in line for line in failed)
    # Whoever takes every request without a token is caught by name.
    assert any("no token" in line for line in failed)


@pytest.mark.parametrize("dialect", ["e2b", "mcp"])
def test_no_case_passes_whatever_the_server_does(
    dialect: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with misbehaving("fails") as url:
        assert main([url, "--token", "x", "--dialect", dialect, "--timeout", "2"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 of ")


def test_a_server_that_is_silent_takes_no_longer_than_its_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main([url, "--token", "x", "--group", "process", "--timeout", "0.05"]) == 1
    assert "TimeoutError" in capsys.readouterr().out


def test_what_can_not_be_tested_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    assert main([url]) == 2
    assert "refused" in capsys.readouterr().err
    assert main(["ftp://x"]) == 2
    assert main([url, "--group", "none"]) == 2
    with pytest.raises(SystemExit):
        main([url, "--dialect", "none"])


def test_without_a_token_no_case_is_about_it(
    make_service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    service = make_service(
        settings='[auth]\nmode = "none"\n[plugins]\nenable = ["agentsandbox", "process"]\n',
        token=None,
    )
    url = f"{service.url}/agentsandbox"
    assert main([url, "--dialect", "agentsandbox", "--group", "commands"]) == 0
    assert "skipped  no token: no token was given" in capsys.readouterr().out


def test_matching() -> None:
    body = json.loads('{"a": 1, "b": [{"c": "text"}], "d": true}')
    for right in ({"a": 1}, {"a": int}, {"b": Holds({"c": Has("ex")})}, {"b": Lacks({"c": "x"})}):
        assert mismatch(right, body) == ""
    for wrong in ({"a": 2}, {"e": 1}, {"d": int}, {"b": Holds({"c": "x"})}, {"a": {"b": 1}}):
        assert mismatch(wrong, body)
    assert mismatch(Holds(1), 5)
    assert mismatch({"a": 1}, None)


def test_matching_of_several_things() -> None:
    both = All((Holds(1), Holds({"a": int})))
    assert mismatch(both, [{"a": 2}, 1]) == ""
    assert mismatch(both, [1]) == "the response lacks {'a': <class 'int'>}: [1]"
    assert mismatch(both, [{"a": 2}])


def frame(flags: int, message: str) -> bytes:
    return bytes([flags]) + len(message).to_bytes(4, "big") + message.encode()


def test_streams_are_read() -> None:
    end = frame(2, '{"error": {"code": "not_found"}}')
    assert streams.frame(b"{}") == frame(0, "{}")
    assert streams.messages(frame(0, '{"a": 1}') + frame(2, "{}")) == [{"a": 1}, {"end": "ok"}]
    assert streams.messages(end) == [{"end": "not_found"}]
    for broken in (b"\0\0", end[:-1], frame(0, "x")):
        with pytest.raises(ValueError, match=r"incomplete|Expecting"):
            streams.messages(broken)
    assert streams.events(b'event: message\ndata: {"a": 1}\n\ndata:2\n\n: no\n') == [{"a": 1}, 2]


def test_names_are_filled_in_at_any_depth() -> None:
    call = Call("GET", "/{dir}", json={"{id}": [Holds({"a": "{id}{other}"})]}, body=b"{id}")
    names = {"id": "1", "dir": "d"}
    assert filled(call.path, names) == "/d"
    assert filled(call.json, names) == {"1": [Holds({"a": "1{other}"})]}
    assert filled(call.body, names) == b"1"
