"""What observers are told, and the two of the core: the access log and the audit log."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket

from toolbox.testing import TOKEN
from toolbox.testing import Service

ToyService = Callable[..., Service]

SETTINGS = '[log]\naccess = true\nformat = "json"\naudit = "audit.log"\n'


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, toy_site: Any) -> Iterator[Service]:
    """A service that is observed in every way there is."""
    site = toy_site("greeter", "faulty", "sockets", "watcher")
    running = Service(tmp_path_factory.mktemp("watched"), settings=SETTINGS, env=site.env)
    try:
        yield running
    finally:
        running.stop()


def whole_lines(text: str) -> list[str]:
    """The lines of a file that is being written: the last may not be whole yet."""
    return text[: text.rfind("\n") + 1].splitlines()


def ended(service: Service, path: str) -> dict[str, Any]:
    """What the plugin was told of the request for ``path``, waiting for it."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        with contextlib.suppress(FileNotFoundError):
            told = map(json.loads, whole_lines(Path(service.work_dir, "ended").read_text()))
            found[:] = [each for each in told if each["path"] == path]
        return bool(found)

    service.wait_for(look, f"the end of {path}")
    assert len(found) == 1, "it is told once"
    return found[0]


def lines(service: Service) -> list[dict[str, Any]]:
    """The log, which is JSON but for what is printed at the start."""
    return [json.loads(line) for line in whole_lines(service.log()) if line.startswith("{")]


def access(service: Service, path: str) -> dict[str, Any]:
    ended(service, path)
    (line,) = [each for each in lines(service) if each.get("path") == path]
    return line


def audit(service: Service, **wanted: Any) -> list[dict[str, Any]]:
    found = map(json.loads, whole_lines(Path(service.work_dir, "audit.log").read_text()))
    return [each for each in found if wanted.items() <= each.items()]


def test_a_request(watched: Service) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {
        "X-Request-Id": "one", "X-Forwarded-For": "192.0.2.1", "User-Agent": "me",
        "traceparent": trace,
    }  # fmt: skip
    answer = watched.http.get("/greet/one?secret=1", headers=headers)
    told = ended(watched, "/greet/one")
    assert (told["operation"], told["method"], told["status"]) == ("greeter.greet", "GET", 200)
    assert (told["received"], told["sent"]) == (0, len(answer.content))
    assert (told["complete"], told["error"], told["close_code"]) == (True, "", None)
    assert (told["client"], told["forwarded_for"], told["agent"]) == (
        "127.0.0.1", "192.0.2.1", "me",
    )  # fmt: skip
    assert (told["auth"], told["request_id"], told["traceparent"]) == ("token", "one", trace)
    assert 0 < told["seconds"] < 60
    line = access(watched, "/greet/one")
    assert (line["logger"], line["operation"], line["status"]) == (
        "toolbox.access", "greeter.greet", 200,
    )  # fmt: skip
    assert (line["requestId"], line["sent"]) == ("one", len(answer.content))
    (entry,) = audit(watched, requestId="one")
    assert (entry["operation"], entry["outcome"]) == ("greeter.greet", "ok")
    assert (entry["client"], entry["forwardedFor"], entry["agent"], entry["auth"]) == (
        "127.0.0.1", "192.0.2.1", "me", "token",
    )  # fmt: skip
    assert entry["seconds"] > 0


def test_an_error_a_refusal_and_a_stranger(watched: Service) -> None:
    watched.http.get("/faulty/errno/2")
    told = ended(watched, "/faulty/errno/2")
    assert (told["operation"], told["status"], told["error"]) == ("faulty.fail", 404, "NOT_FOUND")
    (entry,) = audit(watched, requestId=told["request_id"])
    assert (entry["outcome"], entry["error"]) == ("failed", "NOT_FOUND")
    with watched.client(None) as stranger:
        stranger.get("/greet/stranger")
        stranger.get("/healthz")
        stranger.get("/readyz")
    told = ended(watched, "/greet/stranger")
    assert (told["operation"], told["status"], told["auth"]) == ("greeter.greet", 401, "")
    (entry,) = audit(watched, requestId=told["request_id"])
    assert (entry["outcome"], entry["error"]) == ("refused", "UNAUTHORIZED")
    watched.http.get("/nowhere")
    assert ended(watched, "/nowhere")["operation"] == ""
    # What needs no token is told too, but anonymous questions are no matter for an audit.
    assert ended(watched, "/healthz")["operation"] == "core.get_health"
    assert ended(watched, "/readyz")["operation"] == "core.get_readiness"
    assert not audit(watched, operation="core.get_health")
    assert not audit(watched, operation="core.get_readiness")


def test_what_the_parser_refuses(watched: Service) -> None:
    with socket.create_connection(("127.0.0.1", watched.port), 60) as sock:
        sock.sendall(b"GET /bad HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400")
    watched.wait_for(
        lambda: any(
            each.get("status") == 400 and "operation" not in each for each in lines(watched)
        ),
        "its line",
    )


def test_bytes_of_bodies_are_counted_as_they_pass(watched: Service) -> None:
    watched.http.post("/faulty/count", content=b"x" * 100_000)
    assert ended(watched, "/faulty/count")["received"] == 100_000
    watched.http.post("/faulty/echo", content=iter([b"x" * 70_000, b"y"]))
    told = ended(watched, "/faulty/echo")
    assert (told["received"], told["sent"]) == (70_001, 70_001)
    (watched.work_dir / "file").write_bytes(b"z" * 300_000)
    watched.http.get("/faulty/file?path=file")
    assert ended(watched, "/faulty/file")["sent"] == 300_000, "the kernel sends it"
    with pytest.raises(httpx.RemoteProtocolError):
        watched.http.get("/faulty/stream")
    told = ended(watched, "/faulty/stream")
    assert (told["status"], told["sent"], told["complete"]) == (200, 4, False)
    (entry,) = audit(watched, requestId=told["request_id"])
    assert entry["outcome"] == "failed"


def test_a_websocket(watched: Service) -> None:
    with contextlib.closing(watched.websocket("/sockets/echo?secret=1")) as ws:
        ws.recv()
        ws.send("hello")
        ws.recv()
        ws.send_close(4001, b"with\nnewline")
        ws.recv_data()
    told = ended(watched, "/sockets/echo")
    assert (told["operation"], told["method"], told["status"]) == ("sockets.echo", "WEBSOCKET", 101)
    assert (told["close_code"], told["close_reason"]) == (4001, "with\nnewline")
    assert told["received"] > 5 and told["sent"] > 5 and told["seconds"] > 0
    line = access(watched, "/sockets/echo")
    assert (line["closeCode"], line["closeReason"]) == (4001, "with\nnewline")
    assert line["requestId"] == told["request_id"] != ""
    (entry,) = audit(watched, operation="sockets.echo")
    assert (entry["outcome"], entry["closeCode"]) == ("ok", 4001)
    with pytest.raises(websocket.WebSocketBadStatusException):
        watched.websocket("/sockets/refused")
    told = ended(watched, "/sockets/refused")
    assert (told["method"], told["status"]) == ("GET", 409)


def test_an_observer_that_fails_breaks_nothing(watched: Service) -> None:
    for _ in range(2):
        assert watched.http.get("/greet/fail").status_code == 200

    def found(**wanted: Any) -> list[dict[str, Any]]:
        return [each for each in lines(watched) if wanted.items() <= each.items()]

    watched.wait_for(lambda: len(found(message="an observer failed")) == 2, "the failures")
    watched.wait_for(lambda: len(found(path="/greet/fail", status=200)) == 2, "the lines")
    assert "this observer fails" in found(message="an observer failed")[0]["traceback"]


def test_nothing_secret_is_written(watched: Service) -> None:
    # AC-91
    watched.http.post("/faulty/count?token=query-secret", content=b"body-secret")
    watched.http.get("/greet/x", headers={"Cookie": "cookie-secret"})
    with pytest.raises(websocket.WebSocketBadStatusException):
        watched.websocket("/nowhere", subprotocols=["X-Toolbox-Token~wrong-secret"])
    ended(watched, "/greet/x")
    written = watched.log() + Path(watched.work_dir, "audit.log").read_text()
    written += Path(watched.work_dir, "ended").read_text()
    assert "secret" not in written
    assert TOKEN not in written


def test_a_name_that_is_no_text_makes_no_bad_line(watched: Service) -> None:
    watched.http.get("/greet/%ff%0a%22")
    watched.wait_for(
        lambda: any(each.get("path") == '/greet/\\xff\n"' for each in lines(watched)), "its line"
    )


def test_the_audit_log_is_for_its_owner_and_survives_rotation(watched: Service) -> None:
    file = Path(watched.work_dir, "audit.log")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.rename(file.with_suffix(".1"))
    watched.http.get("/greet/rotated", headers={"X-Request-Id": "rotated"})
    ended(watched, "/greet/rotated")
    # The line of a request before it may come late.
    assert file.read_text().count('"requestId":"rotated"') == 1
    with file.open("a") as lines:
        lines.write(file.with_suffix(".1").read_text())


def test_the_audit_log_is_of_bounded_size(toy_service: ToyService) -> None:
    # F-D6: it grew for ever
    service = toy_service(
        "greeter", settings='[log]\naudit = "audit.log"\nmax_size = 4096\nkeep = 2\n'
    )
    for number in range(60):
        service.http.get(f"/greet/{number}")
    assert service.stop() == 0
    logs = sorted(service.work_dir.glob("audit.log*"))
    assert [log.name for log in logs] == ["audit.log", "audit.log.1", "audit.log.2"]
    for log in logs:
        assert log.stat().st_size <= 4096
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert all(json.loads(line)["outcome"] == "ok" for line in log.read_text().splitlines())


def test_lines_of_text(toy_service: ToyService) -> None:
    service = toy_service("greeter", settings='[log]\naccess = true\naudit = "-"\n')
    service.http.get("/greet/a%0Ab", headers={"X-Request-Id": "id"})
    service.http.get("/nowhere", headers={"X-Request-Id": "id"})
    service.wait_for(lambda: "'/nowhere' 404" in service.log(), "the line")
    first, second = [line for line in service.log().splitlines() if "toolbox.access" in line]
    assert r" INFO toolbox.access: 127.0.0.1 GET '/greet/a\nb' 200 in=0 out=" in first
    assert first.endswith("ms greeter.greet [id]")
    assert second.endswith("ms NOT_FOUND - [id]")
    service.wait_for(lambda: '"outcome":"ok"' in service.log(), "the audit")


def test_without_observers_nothing_is_written(toy_service: ToyService) -> None:
    service = toy_service("greeter")
    service.http.get("/greet/x")
    service.stop()
    assert "/greet/x" not in service.log()


def test_an_audit_log_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    settings = tmp_path / "toolbox.toml"
    settings.write_text(f'[log]\naudit = "{tmp_path}/nowhere/audit"')
    command = [sys.executable, "-m", "toolbox", "serve", "--port", "0", "--config", str(settings)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert result.stderr.splitlines()[-1].endswith(
        f"log.audit: {tmp_path}/nowhere/audit: No such file or directory"
    )
    assert "Traceback" not in result.stderr
