"""Terminals against a real service."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import open_files
from toolbox_process.testing import read_pid

from toolbox.testing import DEADLINE
from toolbox.testing import Service

EXIT = "X-Daytona-Pty-Exit-Control"
QUIET = {"PS1": "", "PROMPT_COMMAND": ""}


def envs_token(envs: dict[str, str]) -> str:
    data = base64.urlsafe_b64encode(json.dumps(envs).encode()).decode().rstrip("=")
    return f"X-Daytona-Pty-Envs~{data}"


class Terminal:
    """A client of a terminal; ``text`` is all it was sent, ``controls`` all it was told."""

    def __init__(self, service: Service, path: str, *subprotocols: str) -> None:
        options: dict[str, Any] = {"subprotocols": list(subprotocols)} if subprotocols else {}
        self.service = service
        self.data = bytearray()
        self.controls: list[dict[str, Any]] = []
        self.close: tuple[int, str] | None = None
        self.ws = service.websocket(path, **options)

    def step(self) -> bool:
        """Take one message; False at the end."""
        opcode, data = self.ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_BINARY:
            assert self.controls, "data before the first control message"
            assert self.controls[-1]["status"] != "exited", "data after the end was told"
            self.data += data
        elif opcode == websocket.ABNF.OPCODE_TEXT:
            self.controls.append(json.loads(data))
        elif opcode == websocket.ABNF.OPCODE_CLOSE:
            self.close = (int.from_bytes(data[:2], "big"), data[2:].decode())
            self.ws.close()
            return False
        return True

    def until(self, text: bytes) -> None:
        while text not in self.data:
            assert self.step(), f"{text!r} never came: {bytes(self.data)!r}"

    def finish(self) -> tuple[int, str] | None:
        while self.step():
            pass
        return self.close

    def type(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.ws.send_binary(data)

    def stop(self) -> None:
        self.ws.close()


def create(service: Service, name: str, query: str = "", *more: str) -> Terminal:
    path = f"/process/pty/create-connect?id={name}{query}"
    return Terminal(service, path, EXIT, *(more or (envs_token(QUIET),)))


def connect(service: Service, name: str, query: str = "") -> Terminal:
    return Terminal(service, f"/process/pty/{name}/connect{query}", EXIT)


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json()["source"] == "DAYTONA_DAEMON"
    return answer.status_code, answer.json()["code"]


def delete(service: Service, name: str) -> httpx.Response:
    return service.http.delete(f"/process/pty/{name}")


def test_a_terminal_from_start_to_end(service: Service) -> None:
    terminal = create(service, "whole", "&cols=120&rows=40", envs_token({**QUIET, "WORD": "a b"}))
    assert terminal.ws.getsubprotocol() == EXIT.lower()  # websocket-client folds it
    terminal.step()
    assert terminal.controls == [{"type": "control", "status": "connected"}]
    terminal.type('stty size; echo "[$WORD]" $TERM; tty; echo ctty > /dev/tty; pwd\n')
    terminal.until(b"ctty\r\n")
    assert b"40 120\r\n[a b] xterm-256color\r\n/dev/pts/" in terminal.data
    terminal.until(f"\r\n{service.work_dir}\r\n".encode())
    terminal.type("exit 3\n")
    assert terminal.finish() == (1011, '{"exitCode": 3, "exitReason": "non-zero exit"}')
    ended = {"type": "control", "status": "exited", "exitCode": 3, "exitReason": "non-zero exit"}
    assert terminal.controls[1:] == [ended]
    assert error(service.http.get("/process/pty/whole")) == (404, "PROCESS_NOT_FOUND")


@pytest.mark.parametrize(
    ("command", "close"),
    [
        ("exit", (1000, '{"exitCode": 0}')),
        ("kill -9 $$", (1011, '{"exitCode": 137, "exitReason": "SIGKILL"}')),
        ("exit 143", (1011, '{"exitCode": 143, "exitReason": "SIGTERM"}')),
        ("exit 130", (1011, '{"exitCode": 130, "exitReason": "Ctrl+C"}')),
        ("kill -HUP $$", (1011, '{"exitCode": 129, "exitReason": "signal 1"}')),
    ],
)
def test_exit_codes(service: Service, command: str, close: tuple[int, str]) -> None:
    terminal = create(service, "ends")
    terminal.type(f"{command}\n")
    assert terminal.finish() == close
    told = {"type": "control", "status": "exited", **json.loads(close[1])}
    assert terminal.controls[1:] == [told]


def test_old_clients_are_not_told_the_exit(service: Service) -> None:
    terminal = Terminal(service, "/process/pty/create-connect?id=old")
    terminal.type("exit 0\n")
    assert terminal.finish() == (1000, '{"exitCode": 0}')
    assert [each["status"] for each in terminal.controls] == ["connected"]


def test_a_browser_s_handshake(service: Service) -> None:
    """It tells its version first, and a key that is meant for a proxy before us."""
    path = "/process/pty/create-connect?id=browser&DAYTONA_SANDBOX_AUTH_KEY=theirs"
    version = "X-Daytona-SDK-Version~0.216.0"
    terminal = Terminal(service, path, version, envs_token({**QUIET, "WORD": "w"}), EXIT)
    assert terminal.ws.getsubprotocol() == version.lower()  # websocket-client folds it
    terminal.type("echo from-$WORD; exit\n")
    terminal.until(b"from-w\r\n")
    assert terminal.finish() == (1000, '{"exitCode": 0}')
    assert [each["status"] for each in terminal.controls] == ["connected", "exited"]


def test_half_an_emoji_in_the_environment(service: Service) -> None:
    # F-C8
    terminal = Terminal(
        service, "/process/pty/create-connect?id=half", envs_token({**QUIET, "WORD": "a\ud83d"})
    )
    terminal.type("echo from-$WORD; exit\n")
    terminal.until("from-a\ufffd\r\n".encode())
    assert terminal.finish()[0] == 1000


def test_post_then_connect(service: Service) -> None:
    body = {"id": "posted", "cwd": "/usr", "envs": QUIET, "cols": 100, "rows": 30}
    answer = service.http.post("/process/pty", json=body)
    assert (answer.status_code, answer.json()) == (201, {"sessionId": "posted"})
    info = service.http.get("/process/pty/posted").json()
    assert info.pop("createdAt")
    assert info == {
        "id": "posted",
        "cwd": "/usr",
        "envs": {**QUIET, "TERM": "xterm-256color"},
        "cols": 100,
        "rows": 30,
        "active": True,
        "lazyStart": False,
    }
    listed = service.http.get("/process/pty").json()["sessions"]
    assert [each["id"] for each in listed if each["id"] == "posted"] == ["posted"]
    taken = error(service.http.post("/process/pty", json=body))
    assert taken == (409, "CONFLICT")
    terminal = connect(service, "posted")
    terminal.type("pwd\n")
    terminal.until(b"/usr\r\n")
    resized = service.http.post("/process/pty/posted/resize", json={"cols": 90, "rows": 20})
    assert (resized.status_code, resized.json()["cols"], resized.json()["rows"]) == (200, 90, 20)
    terminal.type("stty size\n")
    terminal.until(b"20 90\r\n")
    answer = delete(service, "posted")
    assert answer.status_code == 200
    assert answer.json() == {}
    assert terminal.finish() == (1011, '{"exitCode": 137, "exitReason": "SIGKILL"}')
    assert [each["status"] for each in terminal.controls] == ["connected"]


def test_what_holds_where_nothing_is_said(service: Service) -> None:
    """And the shell is a login shell with a controlling terminal in a session of its own."""
    terminal = create(service, "plain", "&cwd=", envs_token({**QUIET, "TERM": ""}))
    info = service.http.get("/process/pty/plain").json()
    assert (info["cols"], info["rows"], info["cwd"]) == (80, 24, str(service.work_dir))
    assert info["envs"] == {**QUIET, "TERM": "xterm-256color"}
    assert info["lazyStart"] is False
    # In one line: what is typed while something runs is echoed in between.
    show = "tr '\\0' ' ' < /proc/$$/cmdline; echo \"/\"; cut -d ' ' -f 5,6 /proc/$$/stat"
    terminal.type(f"{show}; echo pid $$; exit\n")
    terminal.finish()
    text = terminal.data.decode()
    assert " -i -l /\r\n" in text
    pid = text.rpartition("pid ")[2].split()[0]
    assert f"\r\n{pid} {pid}\r\n" in text
    body = {"id": "edge", "cols": 1000, "rows": 1000, "envs": {"TERM": "dumb"}, "cwd": "."}
    assert service.http.post("/process/pty", json=body).status_code == 201
    info = service.http.get("/process/pty/edge").json()
    assert (info["cols"], info["rows"], info["envs"]) == (1000, 1000, {"TERM": "dumb"})
    delete(service, "edge")


def test_every_message_is_input(service: Service) -> None:
    """Text or binary, whatever it looks like."""
    terminal = create(service, "verbatim")
    terminal.type("stty -echo; echo ready-$((1)); exec cat\n")
    terminal.until(b"ready-1\r\n")
    message = '{"type":"control","status":"exited"}'
    terminal.ws.send(message + "\n")
    terminal.until(message.encode())
    delete(service, "verbatim")
    terminal.finish()


def test_the_first_client_sees_everything(service: Service) -> None:
    envs = {"HOME": str(service.work_dir)}
    (service.work_dir / ".bash_profile").write_text("echo welcome\n")
    service.http.post("/process/pty", json={"id": "first", "envs": envs})
    eventually(lambda: offset_of(service, "first") >= 9, "the welcome")
    (service.work_dir / ".bash_profile").unlink()
    terminal = connect(service, "first")
    terminal.until(b"welcome\r\n")
    delete(service, "first")
    terminal.finish()


def offset_of(service: Service, name: str) -> int:
    jobs = service.http.get("/x/jobs").json()["jobs"]
    return max([each["outputEnd"] for each in jobs if each["command"] == name], default=0)


def test_lazy_start(service: Service) -> None:
    body = {"id": "lazy", "lazyStart": True, "envs": QUIET}
    assert service.http.post("/process/pty", json=body).status_code == 201
    assert service.http.get("/process/pty/lazy").json()["active"] is False
    resize = service.http.post("/process/pty/lazy/resize", json={"cols": 77, "rows": 22})
    assert resize.status_code == 200
    terminal = connect(service, "lazy")
    terminal.type("stty size; exit\n")
    terminal.until(b"22 77\r\n")
    assert terminal.finish() == (1000, '{"exitCode": 0}')
    service.http.post("/process/pty", json=body)
    assert delete(service, "lazy").status_code == 200
    nowhere = {**body, "cwd": "/no/such/place"}
    assert service.http.post("/process/pty", json=nowhere).status_code == 201
    terminal = connect(service, "lazy")
    assert (terminal.finish() or (0,))[0] == 1011
    assert [each["status"] for each in terminal.controls] == ["error"]
    assert error(service.http.get("/process/pty/lazy")) == (404, "PROCESS_NOT_FOUND")


def test_all_clients_see_the_same(service: Service) -> None:
    one = create(service, "shared")
    two = connect(service, "shared")
    two.step()
    one.type("echo from-$((1))\n")
    two.until(b"from-1\r\n")
    two.type("echo from-$((2))\n")
    one.until(b"from-2\r\n")
    one.stop()
    two.type("echo from-$((3)); exit\n")
    two.until(b"from-3\r\n")
    assert two.finish() == (1000, '{"exitCode": 0}')


def test_reconnect_from_an_offset(service: Service) -> None:
    """AC-30: no gap and no duplicate; AC-31: a disconnect ends nothing."""
    one = create(service, "again")
    one.type("for i in 1 2 3; do echo line-$i; done\n")
    one.until(b"line-3\r\n")
    late = connect(service, "again")
    late.step()
    one.type("echo from-$((4))\n")
    late.until(b"from-4\r\n")
    assert b"line-3" not in late.data, "nobody has asked for it"
    late.stop()
    one.until(b"from-4\r\n")
    one.stop()
    two = connect(service, "again", "?offset=5")
    two.until(b"from-4\r\n")
    assert two.controls[0] == {"type": "control", "status": "connected", "offset": 5}
    delete(service, "again")
    two.finish()
    # The shell goes on writing: the second has seen all that the first has, and maybe more.
    assert two.data.startswith(one.data[5:])


def test_an_instant_end(service: Service) -> None:
    """AC-32: with its last output and its exit code."""
    envs = envs_token({"BASH_ENV": "", "HOME": str(service.work_dir)})
    (service.work_dir / ".bash_profile").write_text("echo goodbye\nexit 9\n")
    terminal = create(service, "instant", "", envs)
    assert terminal.finish() == (1011, '{"exitCode": 9, "exitReason": "non-zero exit"}')
    assert terminal.data == b"goodbye\r\n"
    assert refused(service, "/process/pty/instant/connect") == 410
    assert [each["status"] for each in terminal.controls] == ["connected", "exited"]
    (service.work_dir / ".bash_profile").unlink()


def test_delete_ends_disowned_processes(service: Service, tmp_path: Path) -> None:
    """AC-34."""
    files = [tmp_path / name for name in "abc"]
    terminal = create(service, "disown")
    terminal.type(
        f"sleep 1000 & disown; echo $! > {files[0]}\n"
        f"nohup setsid sh -c 'echo $$ > {files[1]}; sleep 1000' > /dev/null 2>&1 &\n"
        f"(setsid sh -c 'trap \"\" HUP TERM; echo $$ > {files[2]}; sleep 1000' &)\n"
    )
    pids = [read_pid(file) for file in files]
    assert delete(service, "disown").status_code == 200
    assert not any(alive(pid) for pid in pids)
    assert error(service.http.get("/process/pty/disown")) == (404, "PROCESS_NOT_FOUND")
    reaped = [Path(f"/proc/{pid}") for pid in pids]
    eventually(lambda: not any(each.exists() for each in reaped), "reaping them")
    terminal.finish()


def test_a_background_process_does_not_delay_the_end(service: Service, pid_file: Path) -> None:
    begun = time.monotonic()
    terminal = create(service, "background")
    terminal.type(f"trap '' HUP; sleep 1000 & echo $! > {pid_file}; disown; exit 0\n")
    assert terminal.finish() == (1000, '{"exitCode": 0}')
    assert time.monotonic() - begun < 30
    service.http.post("/process/execute", json={"command": f"kill -9 {read_pid(pid_file)}"})


def test_errors(service: Service) -> None:
    def post(**body: Any) -> tuple[int, str]:
        return error(service.http.post("/process/pty", json=body))

    create(service, "taken").stop()
    assert post(id="taken") == (409, "CONFLICT")
    assert post() == post(id="") == post(id=1) == (400, "INVALID_REQUEST_BODY")
    for field in ("cols", "rows"):
        for value in (1001, 70000, 0, -1, "x"):
            assert post(id="x", **{field: value}) == (400, "INVALID_REQUEST_BODY")
    assert post(id="x", envs={"A=B": "c"}) == (400, "BAD_REQUEST")
    assert post(id="x\0") == (400, "BAD_REQUEST")
    assert post(id="x", cwd="/no/such/place") == (400, "BAD_REQUEST")
    assert error(service.http.get("/process/pty/x")) == (404, "PROCESS_NOT_FOUND")
    assert error(service.http.get("/process/pty/none")) == (404, "PROCESS_NOT_FOUND")
    assert error(delete(service, "none")) == (404, "PROCESS_NOT_FOUND")
    resize = service.http.post("/process/pty/none/resize", json={"cols": 1, "rows": 1})
    assert error(resize) == (410, "SESSION_ENDED")
    resize = service.http.post("/process/pty/taken/resize", json={"cols": 1001, "rows": 1})
    assert error(resize) == (400, "INVALID_REQUEST_BODY")
    assert delete(service, "taken").status_code == 200


def refused(service: Service, path: str, *subprotocols: str) -> int:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        service.websocket(path, subprotocols=list(subprotocols) or None)
    return caught.value.status_code


def test_refusals_before_the_upgrade(service: Service) -> None:
    create(service, "there").stop()
    path = "/process/pty/create-connect?id"
    assert refused(service, f"{path}=there") == 409
    assert refused(service, path) == 400
    assert refused(service, f"{path}=") == 400
    for bad in ("cols=1001", "rows=0", "cols=x", "cols=70000"):
        assert refused(service, f"{path}=new&{bad}") == 400
    for token in ("!!!", "bm90IGpzb24", "WzFd", "eyJhIjoxfQ", "a" * 65537):
        assert refused(service, f"{path}=new", f"X-Daytona-Pty-Envs~{token}") == 400
    assert refused(service, f"{path}=new", envs_token({"": "x"})) == 400
    for name in ("a=b", "a\0", "a\r", "a\nb"):
        assert refused(service, f"{path}=new", envs_token({name: "x"})) == 400
    assert refused(service, "/process/pty/none/connect") == 404
    delete(service, "there")


def test_refusals_an_sdk_is_told_after_the_upgrade(service: Service) -> None:
    for terminal in (
        connect(service, "none"),
        Terminal(service, "/process/pty/create-connect?id=new&cwd=/no/such/place", EXIT),
    ):
        close = terminal.finish()
        assert close is not None
        assert close[0] == 1011
        assert [each["status"] for each in terminal.controls] == ["error"]
        assert terminal.controls[0]["error"] == close[1]
    assert error(service.http.get("/process/pty/new")) == (404, "PROCESS_NOT_FOUND")
    path = f"/process/pty/create-connect?id=new&cwd=/{'x' * 200}"
    terminal = Terminal(service, path, EXIT)
    code, reason = terminal.finish() or (0, "")
    assert (code, len(reason) <= 123) == (1011, True)
    assert terminal.controls[0]["error"].startswith(reason)


def test_the_java_sdk_is_told_after_the_upgrade(service: Service) -> None:
    # F-C3
    agent = "User-Agent: okhttp/4.12.0"
    ws = service.websocket("/process/pty/none/connect", header=[agent])
    told = json.loads(ws.recv())
    assert (told["status"], "none" in told["error"]) == ("error", True)
    ws.close()


def test_a_large_environment(service: Service) -> None:
    terminal = create(service, "large", "", envs_token({**QUIET, "BIG": "x" * 40000}))
    terminal.type("echo ${#BIG}; exit\n")
    terminal.until(b"40000\r\n")
    terminal.finish()


def test_a_flood_is_whole(service: Service) -> None:
    """AC-33."""
    terminal = create(service, "flood")
    terminal.type("stty -opost; head -c 12000000 /dev/zero | tr '\\0' z; exit\n")
    assert terminal.finish() == (1000, '{"exitCode": 0}')
    assert terminal.data.count(b"z") >= 12000000


def test_a_large_paste(service: Service) -> None:
    """AC-33: a mebibyte in one message, as the SDKs send it."""
    terminal = create(service, "paste")
    terminal.type(f"stty -icanon -echo; echo ready-$((1)); head -c {1 << 20} | md5sum\n")
    terminal.until(b"ready-1\r\n")
    terminal.type(b"y" * (1 << 20))
    terminal.until(b"  -")
    assert hashlib.md5(b"y" * (1 << 20)).hexdigest().encode() in terminal.data
    delete(service, "paste")
    terminal.finish()


def test_of_a_message_over_the_limit_nothing_is_written(make_service: Any) -> None:
    """It is 1009. The reference's limit is 64 KiB, which AC-33 asks more than; it can be set."""
    service = make_service(settings="[websocket]\nmax_message = 65536\n")
    terminal = create(service, "limit")
    terminal.type("stty -icanon -echo; echo ready-$((1)); head -c 65536 | md5sum; ")
    terminal.type("read rest; echo rest-$rest; exit\n")
    terminal.until(b"ready-1\r\n")
    terminal.type(b"y" * 65536)
    terminal.until(b"  -")
    assert hashlib.md5(b"y" * 65536).hexdigest().encode() in terminal.data
    other = connect(service, "limit")
    other.step()
    other.type(b"n" * 65537)
    assert (other.finish() or (0, ""))[0] == 1009
    terminal.type("z\n")
    terminal.until(b"rest-z\r\n")
    assert terminal.finish() == (1000, '{"exitCode": 0}')


def test_the_first_word_comes_with_the_handshake(service: Service) -> None:
    """The Python SDK gives up on a terminal that says nothing in the 100 ms after it."""
    service.http.post("/process/pty", json={"id": "packet"})
    upgrade = (
        f"GET /process/pty/packet/connect HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        f"Authorization: Bearer {service.token}\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
            sock.sendall(upgrade.encode())
            packet = sock.recv(65536)
        assert packet.startswith(b"HTTP/1.1 101 ")
        assert b'"connected"' in packet
    delete(service, "packet")


def test_signals_from_the_keyboard(service: Service) -> None:
    """AC-33: to the foreground group."""
    terminal = create(service, "keys")
    program = 'trap "exit 5" INT; echo now-$((1)); while :; do sleep 0.05; done'
    terminal.type(f"sh -c '{program}'; echo code-$?; exit 0\n")
    terminal.until(b"now-1\r\n")
    terminal.type("\x03")
    terminal.until(b"code-5\r\n")
    terminal.finish()


def test_a_client_that_reads_nothing(service: Service) -> None:
    """AC-27: it delays no other, and is cut off when it is too far behind."""
    stalled = create(service, "stalled")
    reader = connect(service, "stalled")
    reader.step()
    reader.type("stty -opost; head -c 24000000 /dev/zero | tr '\\0' z; exit\n")
    assert reader.finish() == (1000, '{"exitCode": 0}')
    assert reader.data.count(b"z") >= 24000000
    assert stalled.finish() == (1008, "slow consumer")


def test_input_that_nobody_takes_is_refused(service: Service) -> None:
    """What waits for the program is bounded, however many send it."""
    first = create(service, "full")
    first.type("stty -icanon -echo; echo ready-$((1)); exec sleep 1000\n")
    first.until(b"ready-1\r\n")
    clients = [connect(service, "full") for _ in range(30)]
    for client in clients:
        client.step()
    for client in clients:
        client.type(b"y" * 300_000)  # More than the 8 MiB that may wait.
    by_socket = {client.ws.sock.fileno(): client for client in clients if client.ws.sock}
    told, _, _ = select.select(list(by_socket), [], [], DEADLINE)
    assert by_socket[told[0]].finish() == (1011, "PTY session unavailable")
    assert service.http.get("/process/pty/full").json()["active"]
    delete(service, "full")
    first.finish()
    for client in clients:
        client.stop()


def test_two_hundred_at_once(make_service: Any, tmp_path: Path) -> None:
    service = make_service(env={"HOME": str(tmp_path)})
    service.http.get("/process/pty")
    worker = service.workers()[0]
    before = open_files(worker)

    def one(number: int) -> tuple[int, str] | None:
        terminal = create(service, f"t{number}")
        terminal.step()
        everybody.wait(60)
        for i in range(3):
            terminal.type(f"echo $(({number} * 1000 + {i}))\n")
            terminal.until(f"{number * 1000 + i}\r\n".encode())
        terminal.type("exit 0\n")
        return terminal.finish()

    everybody = threading.Barrier(200)
    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(one, range(200))) == {(1000, '{"exitCode": 0}')}
    assert service.http.get("/process/pty").json() == {"sessions": []}
    eventually(lambda: open_files(worker) <= before + 16, "closing the descriptors")


def test_connecting_again_and_again_leaks_nothing(service: Service) -> None:
    """AC-45."""
    create(service, "cycle").stop()
    worker = service.workers()[0]
    before = open_files(worker)
    for _ in range(100):
        terminal = connect(service, "cycle")
        terminal.step()
        terminal.stop()
    eventually(lambda: open_files(worker) <= before + 16, "closing the descriptors")
    delete(service, "cycle")


ASK = """
import os, sys, termios, tty
before = termios.tcgetattr(0)
tty.setraw(0)
for question in {questions!r}:
    for piece in question.split(b"|"):
        os.write(1, piece)
    got = b""
    while not got.endswith((b"c", b"n", b"R", b"t", b"y", b"\\x1b\\\\")):
        got += os.read(0, 1)
    answers.append(got)
termios.tcsetattr(0, termios.TCSANOW, before)
print(answers, "that-is-" + "all")
"""


def test_automation(service: Service, tmp_path: Path) -> None:
    """AC-35: no pager waits for a key, and no program for the answer of a terminal."""
    questions = [
        *(b"\x1b[c", b"\x1b[>0c", b"\x1b[5n", b"text\x1b[6n", b"\x1b[|6|n", b"\x1b|[18t"),
        *(b"\x1b]11;?\x07", b"\x1b]1|0;?\x1b|\\", b"\x1bP+q544e\x1b\\", b"\x1b[?2026$p"),
    ]
    script = tmp_path / "ask.py"
    script.write_text("answers = []" + ASK.format(questions=questions))
    terminal = create(
        service, "auto", "&rows=30", envs_token({**QUIET, "TOOLBOX_PROFILE": "automation"})
    )
    terminal.type(f"python3 {script}; echo $PAGER; seq 1000 | ${{PAGER:-less}} | tail -n 1\n")
    terminal.until(b"\r\n1000\r\n")
    assert b"\r\ncat\r\n" in terminal.data
    text = bytes(terminal.data)
    answers = [
        *(b"\x1b[?1;2c", b"\x1b[>0;0;0c", b"\x1b[0n", b"\x1b[1;1R", b"\x1b[1;1R", b"\x1b[8;30;80t"),
        *(b"\x1b]11;rgb:0000/0000/0000\x1b\\", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
        *(b"\x1bP0+r\x1b\\", b"\x1b[?2026;0$y"),
    ]
    assert f"{answers} that-is-all".encode() in text
    delete(service, "auto")
    terminal.finish()


def test_only_automation_answers_for_the_terminal(service: Service) -> None:
    terminal = create(service, "manual")
    terminal.type("printf '\\033[c'; read -t 0.3 -n 1 x; echo \"got ${#x}\"\n")
    terminal.until(b"got 0\r\n")
    delete(service, "manual")
    terminal.finish()


def test_the_profile_holds_for_everything_that_inherits_it(make_service: Any) -> None:
    """AC-35: a request's own variables still win."""
    service = make_service(env={"TOOLBOX_PROFILE": "automation", "PAGER": "less"})
    body = {"command": "echo $PAGER $GIT_PAGER"}
    assert service.http.post("/process/execute", json=body).json()["result"] == "cat cat\n"
    answer = service.http.post("/process/execute", json={**body, "envs": {"PAGER": "more"}})
    assert answer.json()["result"] == "more cat\n"
    service.http.post("/process/session", json={"sessionId": "s"})
    answer = service.http.post("/process/session/s/exec", json=body)
    assert answer.json()["output"] == "cat cat\n"


def test_erasing_takes_a_whole_character(service: Service, tmp_path: Path) -> None:
    """F-C6: IUTF8 is set, also for a terminal that is started late and one that was resized."""
    late = {"id": "late", "lazyStart": True, "envs": QUIET}
    assert service.http.post("/process/pty", json=late).status_code == 201
    for number, name in enumerate(("erase", "late")):
        terminal = create(service, name) if name == "erase" else connect(service, name)
        file = tmp_path / f"typed-{number}"
        service.http.post(f"/process/pty/{name}/resize", json={"cols": 90, "rows": 30})
        terminal.type(f"cat > {file}; echo en''ded\n")
        eventually(file.exists, "cat")
        terminal.type("a\u00e9\u65e5\U0001f600\x7f\x7f\x7fz\n\x04")
        terminal.until(b"ended\r\n")
        assert file.read_bytes() == b"az\n"
        delete(service, name)
        terminal.finish()


def test_what_old_clients_decode(service: Service) -> None:
    """F-C2: the Go client of 0.190 takes no members it doesn't know."""
    body = {"id": "deleted", "envs": QUIET}
    assert service.http.post("/process/pty", json=body).json() == {"sessionId": "deleted"}
    answer = delete(service, "deleted")
    assert (answer.status_code, answer.json()) == (200, {})


def test_the_words_clients_match(service: Service) -> None:
    """F-F1."""
    body = {"id": "twice", "envs": QUIET}
    service.http.post("/process/pty", json=body)
    message = service.http.post("/process/pty", json=body).json()["message"]
    assert message == "PTY session 'twice' already exists"
    delete(service, "twice")
    for answer in (delete(service, "twice"), service.http.get("/process/pty/twice")):
        assert answer.json()["message"] == "PTY session not found: 'twice'"
    answer = service.http.post("/process/pty/twice/resize", json={"cols": 1, "rows": 1})
    assert (answer.status_code, "PTY session not found" in answer.json()["message"]) == (410, True)
    terminal = connect(service, "never")
    terminal.finish()
    assert "PTY session not found" in terminal.controls[-1]["error"]


def test_no_pager_waits_for_a_key(service: Service, tmp_path: Path) -> None:
    """F-E15: neither one that is named, nor with the options and files it is given."""
    one, two = tmp_path / "a b", tmp_path / "two"
    one.write_text("one\n" * 200)
    two.write_text("two\n" * 200)
    envs = {**QUIET, "TOOLBOX_PROFILE": "automation"}
    terminal = create(service, "pagers", "", envs_token(envs))
    names = ("less", "less -N +G", "more", "pager")
    pagers = [pager for pager in names if shutil.which(pager.split()[0])]
    for number, pager in enumerate(pagers):
        terminal.type(f"seq 10000 | {pager}; echo en''d-{number}\n")
        terminal.until(b"end-%d\r\n" % number)
        terminal.until(b"10000\r\n")
        terminal.type(f"{pager} '{one}' {two}; echo en''d-of-{number}\n")
        terminal.until(b"end-of-%d\r\n" % number)
    assert terminal.data.count(b"one\r\n") >= 200 * len(pagers)
    assert terminal.data.count(b"two\r\n") >= 200 * len(pagers)
    terminal.type("bash -c 'seq 5000 | less'; echo en''d-of-all\n")
    terminal.until(b"5000\r\nend-of-all\r\n")
    delete(service, "pagers")
    terminal.finish()
