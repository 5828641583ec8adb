from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket

from toolbox.sockets.subprotocols import Subprotocols
from toolbox.sockets.subprotocols import choose_subprotocol
from toolbox.testing import TOKEN
from toolbox.testing import Service

ToyService = Callable[..., Service]
CHUNK = 16 * 1024


def rss(pid: int) -> int:
    """Bytes of memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def close_code(ws: websocket.WebSocket) -> tuple[int, str]:
    """Receive up to the close frame; its code and reason."""
    while True:
        opcode, data = ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return struct.unpack("!H", data[:2])[0], data[2:].decode()


def handshake(service: Service, path: str, *lines: str) -> bytes:
    """The answer to a handshake by hand, up to the end of its head."""
    head = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {TOKEN}",
        *lines,
    ]
    with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
        sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (data := sock.recv(65536)):
            answer += data
        return answer


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"


def test_text_and_binary_come_back_in_kind(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        assert ws.recv() == "hello"
        ws.send("tëxt")
        assert ws.recv_data() == (websocket.ABNF.OPCODE_TEXT, "tëxt".encode())
        ws.send_binary(b"\x00\xff" * 40_000)
        assert ws.recv_data() == (websocket.ABNF.OPCODE_BINARY, b"\x00\xff" * 40_000)
        ws.send("")
        assert ws.recv() == ""


def test_fragments_are_put_together_and_pings_between_them_answered(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        ws.recv()
        ws.send_frame(websocket.ABNF.create_frame("one ", websocket.ABNF.OPCODE_TEXT, 0))
        ws.ping("are you there")
        ws.send_frame(websocket.ABNF.create_frame("two", websocket.ABNF.OPCODE_CONT, 1))
        frame = ws.recv_frame()
        assert (frame.opcode, frame.data) == (websocket.ABNF.OPCODE_PONG, b"are you there")
        assert ws.recv() == "one two"


def test_the_handshake_is_the_one_of_the_standard(toys: Service) -> None:
    answer = handshake(toys, "/sockets/echo", *UPGRADE, KEY, VERSION)
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"HTTP/1.1 101 Switching Protocols"
    # The example of RFC 6455, section 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert not [line for line in head if line.startswith(b"Sec-WebSocket-Protocol")]
    shouted = ("Connection: keep-alive, UPGRADE", "Upgrade: WebSocket", KEY, VERSION)
    assert handshake(toys, "/sockets/echo", *shouted).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("path", "lines", "status"),
    [
        ("/sockets/echo", (), b"400"),
        ("/sockets/echo", (*UPGRADE, KEY), b"400"),
        ("/sockets/echo", (*UPGRADE, VERSION), b"400"),
        ("/sockets/echo", (*UPGRADE, KEY, "Sec-WebSocket-Version: 8"), b"400"),
        ("/nowhere", (*UPGRADE, KEY, VERSION), b"404"),
        ("/greet/x", (*UPGRADE, KEY, VERSION), b"400"),
        ("/sockets/refused", (*UPGRADE, KEY, VERSION), b"409"),
        ("/sockets/flood/many", (*UPGRADE, KEY, VERSION), b"400"),
    ],
)
def test_a_handshake_is_refused_with_a_real_status(
    toys: Service, path: str, lines: tuple[str, ...], status: bytes
) -> None:
    # AC-32
    answer = handshake(toys, path, *lines)
    assert answer.split(b" ")[1] == status
    assert b"Content-Type: application/json" in answer


def test_a_refusal_carries_the_envelope_and_headers(toys: Service) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        toys.websocket("/sockets/refused")
    assert caught.value.status_code == 409
    assert caught.value.resp_headers["x-extra"] == "1"
    assert b'"code":"CONFLICT"' in caught.value.resp_body


def test_plain_http_and_websocket_share_a_path(toys: Service) -> None:
    assert toys.http.get("/sockets/both").json() == {"kind": "plain"}
    with contextlib.closing(toys.websocket("/sockets/both")) as ws:
        assert ws.recv() == "hello"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["a"], "a"),
        (["a", "b"], "a"),
        (["best", "data~x"], "best"),
        (["data~x", "good~1", "best"], "best"),
        (["x", "good~1", "toolbox"], "good~1"),
        (["x", "toolbox"], "toolbox"),
        (["data~x", "x"], "x"),
        (["data~x"], "data~x"),
    ],
)
def test_one_offered_subprotocol_is_echoed(offered: list[str], chosen: str | None) -> None:
    known = Subprotocols(preferred=("best", "good~"), private=("data~",))
    assert choose_subprotocol(offered, known) == chosen


def test_subprotocols_may_be_spread_over_lines(toys: Service) -> None:
    lines = ("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: toolbox")
    answer = handshake(toys, "/sockets/echo", *UPGRADE, KEY, VERSION, *lines)
    assert b"\r\nSec-WebSocket-Protocol: toolbox\r\n" in answer


def test_64_kib_of_environment_travel_in_the_handshake(toys: Service) -> None:
    token = "X-Daytona-Pty-Envs~" + "A" * 87_000
    with contextlib.closing(
        toys.websocket("/sockets/echo", subprotocols=["X-Daytona-Pty-Exit-Control", token])
    ) as ws:
        assert ws.getsubprotocol() == "x-daytona-pty-exit-control"


def test_the_server_closes_with_code_and_reason(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        ws.send("close 4008 too late")
        assert close_code(ws) == (4008, "too late")


def test_a_long_reason_is_cut_at_a_character(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        ws.send("close 1011 x" + "é" * 100)
        assert close_code(ws) == (1011, "x" + "é" * 61)


def test_the_close_of_the_client_is_answered_and_told(toy_service: ToyService) -> None:
    service = toy_service("sockets")
    with contextlib.closing(service.websocket("/sockets/echo")) as ws:
        ws.recv()
        ws.send_close(4001, b"enough")
        assert close_code(ws) == (4001, "enough")
    assert service.http.get("/sockets/closes/1").json()["closes"] == [[4001, "enough"]]


def test_a_client_that_vanishes_is_told_as_1006(toy_service: ToyService) -> None:
    service = toy_service("sockets")
    ws = service.websocket("/sockets/echo")
    ws.recv()
    ws.shutdown()
    assert service.http.get("/sockets/closes/1").json()["closes"] == [[1006, ""]]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x05hello", 1002),  # not masked
        (b"\x83\x80\0\0\0\0", 1002),  # an opcode that is reserved
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (b"\x81\x81\0\0\0\0\xff", 1007),  # not UTF-8
        (b"\x89\xfe\x00\x80\0\0\0\0" + b"x" * 128, 1002),  # a ping over 125 bytes
        (b"\x80\x80\0\0\0\0", 1002),  # goes on with nothing begun
    ],
)
def test_what_breaks_the_protocol_is_closed_with_the_code_that_says_so(
    toys: Service, frame: bytes, code: int
) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        ws.sock.sendall(frame)
        assert close_code(ws)[0] == code


def test_a_message_over_the_limit_is_1009(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        ws.send_binary(b"x" * (1024 * 1024))
        assert ws.recv() == "hello"
        assert len(ws.recv()) == 1024 * 1024
        with contextlib.suppress(OSError):
            ws.send_binary(b"x" * (1024 * 1024 + 1))
        assert close_code(ws)[0] == 1009


def test_a_bug_in_a_handler_leaves_the_others_alone(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/echo")) as ws:
        ws.recv()
        ws.send("raise")
        ws.send("still there")
        assert ws.recv() == "still there"


def test_a_bug_when_a_socket_opens_is_1011(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/failing")) as ws:
        assert ws.recv() == "hello"
        assert close_code(ws) == (1011, "internal error")


def test_a_client_that_only_pings_does_not_fill_the_memory(toy_service: ToyService) -> None:
    service = toy_service("sockets")
    (worker,) = service.workers()
    with contextlib.closing(service.websocket("/sockets/echo")) as ws:
        ws.recv()
        before = rss(worker)
        ws.sock.settimeout(0.5)
        ping = websocket.ABNF.create_frame(b"x" * 125, websocket.ABNF.OPCODE_PING).format()
        with contextlib.suppress(TimeoutError):
            for _ in range(2_000):
                ws.sock.sendall(ping * 100)
        assert rss(worker) - before < 20_000_000


def test_a_blocking_handler(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/sum")) as ws:
        for number in range(1000):
            ws.send(str(number))
        ws.send("done")
        assert ws.recv() == "499500"
        assert close_code(ws)[0] == 1000


def test_a_blocking_handler_that_fails_is_1011(toys: Service) -> None:
    with contextlib.closing(toys.websocket("/sockets/sum")) as ws:
        ws.send("not a number")
        assert close_code(ws) == (1011, "internal error")


def test_threads_that_send_at_once_and_pings_leave_the_stream_whole(toys: Service) -> None:
    # AC-24, AC-94
    total = 10 * 1024 * 1024 // CHUNK * CHUNK
    counts = {b"a"[0]: 0, b"b"[0]: 0, b"c"[0]: 0}
    pongs = 0
    pings = itertools.count()
    stop = threading.Event()
    with contextlib.closing(toys.websocket(f"/sockets/threads/{total}")) as ws:

        def ping() -> None:
            while not stop.wait(0.001):
                with contextlib.suppress(Exception):
                    ws.ping(str(next(pings)))

        pinger = threading.Thread(target=ping)
        pinger.start()
        while True:
            frame = ws.recv_frame()
            if frame.opcode == websocket.ABNF.OPCODE_BINARY:
                assert frame.data == frame.data[:1] * CHUNK
                counts[frame.data[0]] += CHUNK
            elif frame.opcode == websocket.ABNF.OPCODE_PONG:
                assert frame.data == str(pongs).encode()
                pongs += 1
            elif frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                break
        stop.set()
        pinger.join()
    assert set(counts.values()) == {total}
    assert pongs > 0


def test_a_flood_from_the_loop_arrives_whole(toys: Service) -> None:
    total = 20 * 1024 * 1024
    received = 0
    with contextlib.closing(toys.websocket(f"/sockets/flood/{total}")) as ws:
        while True:
            opcode, data = ws.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            received += len(data)
    assert (received, data[:2]) == (total, struct.pack("!H", 1000))


@pytest.mark.parametrize("path", ["/sockets/flood/1000000000", "/sockets/threads/400000000"])
def test_a_client_that_never_reads_stops_the_sender_and_not_the_memory(
    toy_service: ToyService, path: str
) -> None:
    # AC-27
    service = toy_service("sockets", "greeter")
    (worker,) = service.workers()
    before = rss(worker)
    with contextlib.closing(service.websocket(path)):
        sent = -1

        def stalled() -> bool:
            nonlocal sent
            before, sent = sent, service.http.get("/sockets/figures").json()["sent"]
            threading.Event().wait(0.2)
            return before == sent > 0

        service.wait_for(stalled, "the stall")
        assert sent < 50_000_000
        assert rss(worker) - before < 50_000_000
        assert service.http.get("/greet/x").status_code == 200


def test_idle_sockets_are_pinged_and_dead_ones_dropped(toy_service: ToyService) -> None:
    # AC-24
    service = toy_service(
        "sockets", settings="[websocket]\nping_interval = 0.1\ndead_after = 1.0\n"
    )
    with contextlib.closing(service.websocket("/sockets/echo")) as ws:
        ws.recv()
        for _ in range(3):
            assert ws.recv_frame().opcode == websocket.ABNF.OPCODE_PING
        # It takes bytes but never answers; only one that takes none either is given up.
        assert service.http.get("/sockets/figures").json()["closes"] == []


def test_a_peer_without_a_sign_of_life_is_dropped(toy_service: ToyService) -> None:
    service = toy_service(
        "sockets", settings="[websocket]\nping_interval = 0.1\ndead_after = 1.0\n"
    )
    with contextlib.closing(service.websocket("/sockets/flood/1000000000")):
        assert service.http.get("/sockets/closes/1").json()["closes"] == [[1006, ""]]


def test_a_thousand_idle_sockets_take_no_threads(toy_service: ToyService) -> None:
    service = toy_service("sockets", "greeter")
    (worker,) = service.workers()
    status = Path(f"/proc/{worker}/status")

    def threads() -> int:
        lines = status.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("Threads:")))

    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(contextlib.closing(service.websocket("/sockets/echo")))
            for _ in range(1000)
        ]
        assert threads() < 20
        for ws in sockets:
            assert ws.recv() == "hello"
        sockets[500].send("echo")
        assert sockets[500].recv() == "echo"
        assert service.http.get("/greet/x").status_code == 200
    fds = Path(f"/proc/{worker}/fd")
    service.wait_for(lambda: len(os.listdir(fds)) < 60, "the closing")


def test_a_socket_over_the_bound_is_503_and_plain_requests_go_on(toy_service: ToyService) -> None:
    service = toy_service("sockets", "greeter", settings="[websocket]\nmax_sockets = 2\n")
    first, second = service.websocket("/sockets/echo"), service.websocket("/sockets/echo")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        service.websocket("/sockets/echo")
    assert caught.value.status_code == 503
    assert service.http.get("/greet/x").status_code == 200
    first.close()
    service.http.get("/sockets/closes/1")

    def free() -> bool:
        with contextlib.suppress(websocket.WebSocketBadStatusException):
            service.websocket("/sockets/echo").close()
            return True
        return False

    service.wait_for(free, "a place")
    second.close()


def test_sockets_are_closed_1001_at_the_end(toy_service: ToyService) -> None:
    # AC-47
    service = toy_service("sockets")
    sockets = [service.websocket("/sockets/echo") for _ in range(10)]
    for ws in sockets:
        ws.recv()
    service.process.terminate()
    for ws in sockets:
        assert close_code(ws) == (1001, "the service is stopping")
        ws.close()
    assert service.stop() == 0


def test_a_client_that_does_not_answer_the_close_does_not_hold_the_end_up(
    toy_service: ToyService,
) -> None:
    service = toy_service("sockets")
    with contextlib.closing(service.websocket("/sockets/flood/1000000000")):
        service.process.terminate()
        assert service.process.wait(60) == 0


def test_finished_sockets_have_a_line_in_the_access_log(toy_service: ToyService) -> None:
    service = toy_service("sockets", "greeter", settings="[log]\naccess = true\n")
    service.http.get("/greet/a%0Ab?secret=1")
    with contextlib.closing(service.websocket("/sockets/echo?secret=1")) as ws:
        ws.recv()
        ws.send_close(4001, b"with\nnewline")
        close_code(ws)
    service.http.get("/sockets/closes/1")
    service.wait_for(lambda: "WEBSOCKET '/sockets/echo' 4001" in service.log(), "the line")
    assert r"'with\nnewline'" in service.log()
    service.wait_for(lambda: r"GET '/greet/a\nb' 200" in service.log(), "the other line")
    assert "secret" not in service.log()
    assert "GET '/sockets/echo'" not in service.log()


def raw_socket(service: Service) -> socket.socket:
    head = f"GET /sockets/raw HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}"
    lines = "\r\n".join((head, *UPGRADE, KEY, VERSION)) + "\r\n\r\n"
    sock = socket.create_connection(("127.0.0.1", service.port), 30)
    sock.sendall(lines.encode() + b"early")
    return sock


def test_an_operation_may_take_over_the_connection(toys: Service) -> None:
    with raw_socket(toys) as sock:
        answer = b""
        for word in (b"early", b"later"):
            while not answer.endswith(word):
                data = sock.recv(65536)
                assert data, answer
                answer += data
            if word == b"early":
                sock.sendall(b"later")
    assert answer == b"HTTP/1.1 101 Raw\r\nUpgrade: raw\r\n\r\nearlylater"


def test_a_connection_taken_over_counts_and_ends_with_the_service(
    toy_service: ToyService,
) -> None:
    settings = "[websocket]\nmax_sockets = 1\n[log]\naccess = true"
    service = toy_service("sockets", settings=settings)
    with raw_socket(service) as sock:
        assert sock.recv(65536)
        with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
            service.websocket("/sockets/echo")
        service.stop()
    assert "'/sockets/raw' 1001" in service.log()


def test_an_operation_may_refuse_in_its_own_words(toy_service: ToyService) -> None:
    service = toy_service("sockets", settings="[websocket]\nmax_sockets = 1")
    for _ in range(3):
        with pytest.raises(websocket.WebSocketBadStatusException, match="418") as refusal:
            service.websocket("/sockets/own-refusal")
        assert refusal.value.resp_body == b"not today"
    service.websocket("/sockets/echo").close()
