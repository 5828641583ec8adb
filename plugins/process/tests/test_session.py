"""Sessions against a real service: state, streams, input, ends."""

from __future__ import annotations

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import websocket
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import Service

NEW = {"X-Daytona-SDK-Version": "0.226.1"}


class Session:
    """A session of the service, by HTTP."""

    def __init__(self, service: Service, session_id: str = "") -> None:
        self.service = service
        self.id = session_id or str(uuid.uuid4())
        answer = service.http.post("/process/session", json={"sessionId": self.id})
        assert (answer.status_code, answer.content) == (201, b"")

    def post(self, command: str, headers: dict[str, str] = NEW, **more: Any) -> httpx.Response:
        body = {"command": command, **more}
        path = f"/process/session/{self.id}/exec"
        return self.service.http.post(path, json=body, headers=headers)

    def run(self, command: str) -> tuple[int, str, str]:
        answer = self.post(command)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return body["exitCode"], body["stdout"], body["stderr"]

    def start(self, command: str, **more: Any) -> str:
        answer = self.post(command, runAsync=True, **more)
        assert answer.status_code == 202, answer.text
        body = answer.json()
        assert uuid.UUID(body["cmdId"]).version == 4
        assert {**body, "cmdId": ""} == {
            "cmdId": "",
            "output": None,
            "stdout": None,
            "stderr": None,
            "exitCode": None,
        }
        return str(body["cmdId"])

    def get(self, path: str = "", headers: dict[str, str] = NEW) -> httpx.Response:
        return self.service.http.get(f"/process/session/{self.id}{path}", headers=headers)

    def logs(self, command: str) -> Any:
        return self.get(f"/command/{command}/logs").json()

    def exit_code(self, command: str) -> Any:
        self.wait(command)
        return self.get(f"/command/{command}").json()["exitCode"]

    def wait(self, command: str) -> None:
        eventually(lambda: "exitCode" in self.get(f"/command/{command}").json(), "the end")

    def input(self, command: str, data: str) -> httpx.Response:
        path = f"/process/session/{self.id}/command/{command}/input"
        return self.service.http.post(path, json={"data": data})

    def delete(self) -> httpx.Response:
        return self.service.http.delete(f"/process/session/{self.id}")

    def follow(self, command: str, version: str = "0.226.1") -> websocket.WebSocket:
        return self.service.websocket(
            f"/process/session/{self.id}/command/{command}/logs?follow=true",
            header=[f"X-Daytona-SDK-Version: {version}"] if version else [],
        )


@pytest.fixture
def session(service: Service) -> Session:
    return Session(service)


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json()["source"] == "DAYTONA_DAEMON"
    return answer.status_code, answer.json()["code"]


def test_keeps_the_shells_state(session: Session) -> None:
    assert session.run("cd /usr; X=1; export Y=2; f() { echo f$1; }; umask 027") == (0, "", "")
    assert session.run("pwd; echo $X; sh -c 'echo $Y'; f 3; umask") == (
        0,
        "/usr\n1\n2\nf3\n0027\n",
        "",
    )


def test_streams_are_apart_and_exact(session: Session) -> None:
    """AC-20: no newline is added, none is lost."""
    assert session.run("printf out; printf err >&2") == (0, "out", "err")
    assert session.run("printf 'a\\0b\\r\\n\\n'") == (0, "a\0b\r\n\n", "")
    assert session.post("echo a; sleep 0.1; echo b >&2").json()["output"] == "a\nb\n"


def test_exit_codes(session: Session) -> None:
    for command, code in [
        ("true", 0),
        ("false", 1),
        ("(exit 255)", 255),
        ("no-such-program", 127),
        ("return 9", 9),
        ("sh -c 'kill -9 $$'", 137),
        ("if", 2),
    ]:
        assert session.run(command)[0] == code, command
    assert session.run("echo still here") == (0, "still here\n", "")


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("cat <<'E'\n$x `y`\nE", "$x `y`\n"),
        ("echo 'a'\"'\"'b' # comment", "a'b\n"),
        ("cat <<'E'\na\r\nE", "a\r\n"),
        ("printf a\\", "a\\"),
        ("echo '\u65e5\u672c' \\\n  two", "\u65e5\u672c two\n"),
        ("for i in 1 2; do\n  echo $i\ndone", "1\n2\n"),
        ("break; echo after", "after\n"),
        ("alias echo=false; command() { :; }; unset -f command; unalias echo; echo x", "x\n"),
        ("set -- a b; echo $#", "2\n"),
        ("exec 3>&1; echo three >&3; exec 3>&-", "three\n"),
    ],
)
def test_any_text_is_a_command(session: Session, command: str, output: str) -> None:
    """AC-05."""
    assert session.run(command)[:2] == (0, output)


def test_a_command_of_a_megabyte(session: Session) -> None:
    """AC-05."""
    text = "x'\"$\\` " * (1 << 17)
    assert session.run(f"wc -c <<'END'\n{text}\nEND")[1] == f"{len(text) + 1}\n"


@pytest.mark.parametrize("command", ["cat", "read x", "sh", "head -c 1"])
def test_nothing_to_read_for_a_command_that_is_waited_for(session: Session, command: str) -> None:
    """AC-06: and the command doesn't eat the next one."""
    session.run(command)
    assert session.run("echo next") == (0, "next\n", "")


def test_input(session: Session) -> None:
    command = session.start("read a; echo got $a; read b; echo got $b")
    assert session.input(command, "one").status_code == 204
    assert session.input(command, "two\n").status_code == 204
    assert session.exit_code(command) == 0
    assert sorted(session.logs(command)["stdout"].split("\n")) == sorted(
        ["one", "got one", "two", "got two", ""]
    )
    assert error(session.input(command, "three")) == (410, "COMMAND_ALREADY_COMPLETED")


def test_input_without_echo(session: Session) -> None:
    command = session.start("read a; echo got $a", suppressInputEcho=True)
    session.input(command, "secret")
    session.wait(command)
    assert session.logs(command)["stdout"] == "got secret\n"


def test_input_before_the_commands_turn(session: Session, tmp_path: Path) -> None:
    go = tmp_path / "go"
    session.start(f"while [ ! -e {go} ]; do sleep 0.01; done")
    second = session.start("read x; echo got $x")
    assert session.input(second, "early").status_code == 204
    go.touch()
    assert session.exit_code(second) == 0
    assert session.logs(second)["stdout"] == "early\ngot early\n"


def test_no_input_for_a_command_that_is_waited_for(session: Session, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    text = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.01; done"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(session.run, text)
        eventually(begun.exists, "the begin")
        command = session.get().json()["commands"][0]["id"]
        assert error(session.input(command, "x")) == (409, "CONFLICT")
        go.touch()
        assert waiting.result()[0] == 0


def test_a_large_input_to_a_command_that_reads_nothing(session: Session) -> None:
    """AC-06: refused at some point, never waited for."""
    command = session.start("sleep 1000", suppressInputEcho=True)
    statuses = {session.input(command, "x" * (1 << 20)).status_code for _ in range(12)}
    assert statuses == {204, 409}
    session.delete()


def test_commands_take_turns(session: Session) -> None:
    session.start("sleep 0.3; echo first >> order")
    session.start("echo second >> order")
    assert session.run("cat order; rm order")[1] == "first\nsecond\n"
    assert [each["command"] for each in session.get().json()["commands"]] == [
        "sleep 0.3; echo first >> order",
        "echo second >> order",
        "cat order; rm order",
    ]


def test_a_background_process_delays_nothing(
    session: Session, pid_file: Path, tmp_path: Path
) -> None:
    """AC-04: and what it writes later is in the log."""
    go = tmp_path / "go"
    late = f"(while [ ! -e {go} ]; do sleep 0.01; done; echo late)"
    answer = session.post(f"{late} & sleep 1000 & echo $! > {pid_file}; echo now")
    assert answer.json()["stdout"] == "now\n"
    command = answer.json()["cmdId"]
    go.touch()
    eventually(lambda: session.logs(command)["stdout"] == "now\nlate\n", "the late output")
    assert alive(read_pid(pid_file))
    assert session.delete().status_code == 204
    assert not alive(read_pid(pid_file))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("set -e; false", 1),
        ("kill -9 $$", 137),
        ("exec sh -c 'exit 4'", 4),
        ("exec sleep 0.1", 0),
        ("trap 'exit 5' TERM; kill $$", 5),
    ],
)
def test_the_end_of_the_shell_is_noticed(session: Session, command: str, code: int) -> None:
    """AC-07, AC-11: with its status, and nothing waits for ever."""
    answer = session.post(f"echo before; {command}")
    assert answer.status_code == 200
    assert (answer.json()["exitCode"], answer.json()["stdout"]) == (code, "before\n")
    assert error(session.post("true")) == (410, "SESSION_ENDED")
    assert error(session.input(answer.json()["cmdId"], "x")) == (410, "SESSION_ENDED")
    assert session.get().json()["commands"][0]["exitCode"] == code
    assert session.delete().status_code == 204


def test_commands_behind_the_end_of_the_shell(session: Session, tmp_path: Path) -> None:
    """AC-08: never run, and no success is told of them."""
    go = tmp_path / "go"
    session.start(f"while [ ! -e {go} ]; do sleep 0.01; done; exit 0")
    second = session.start("echo never")
    go.touch()
    assert session.exit_code(second) == -1
    assert session.logs(second)["stdout"] == ""
    assert "shell ended" in session.logs(second)["stderr"]


def test_delete_ends_everything(session: Session, tmp_path: Path) -> None:
    """AC-34, AC-44: whatever the command did to get away."""
    files = [tmp_path / name for name in "abc"]
    session.start(
        f"sh -c 'echo $$ > {files[0]}; sleep 1000' &"
        f"setsid sh -c 'echo $$ > {files[1]}; sleep 1000' &"
        f"(setsid sh -c \"trap '' TERM HUP; echo \\$\\$ > {files[2]}; sleep 1000\" &);"
        "trap '' TERM; sleep 1000"
    )
    pids = [read_pid(file) for file in files]
    assert session.delete().status_code == 204
    assert not any(alive(pid) for pid in pids)
    reaped = [Path(f"/proc/{pid}") for pid in pids]
    eventually(lambda: not any(each.exists() for each in reaped), "reaping them")
    assert error(session.get()) == (404, "PROCESS_NOT_FOUND")
    assert error(session.delete()) == (404, "PROCESS_NOT_FOUND")


def test_a_job_outlives_the_session_that_began_it(session: Session, pid_file: Path) -> None:
    """AC-44: the documented way is a job of its own, whoever starts it."""
    http = session.service.http
    id = http.post("/x/jobs", json={"command": f"echo $$ > {pid_file}; sleep 1000"}).json()["id"]
    pid = read_pid(pid_file)
    session.post("true")
    assert session.delete().status_code == 204
    assert alive(pid)
    assert http.get(f"/x/jobs/{id}").json()["done"] is False
    assert http.delete(f"/x/jobs/{id}").is_success
    assert not alive(pid)


def test_delete_answers_who_waits(session: Session, pid_file: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(session.post, f"echo $$ > {pid_file}; sleep 1000")
        read_pid(pid_file)
        session.delete()
        answer = waiting.result(30)
    assert answer.json()["exitCode"] == 143
    assert answer.headers["X-Toolbox-End-Reason"] == "cancelled"


def test_errors(service: Service, session: Session) -> None:
    post = service.http.post
    assert error(post("/process/session", json={"sessionId": session.id})) == (409, "CONFLICT")
    bad_request = (400, "BAD_REQUEST")
    assert error(post("/process/session", json={"sessionId": "entrypoint"})) == bad_request
    assert error(post("/process/session", json={"sessionId": ""})) == (400, "INVALID_REQUEST_BODY")
    assert error(post("/process/session", json={})) == (400, "INVALID_REQUEST_BODY")
    assert error(session.post(" ")) == (400, "BAD_REQUEST")
    assert error(session.post("x\0y")) == (400, "BAD_REQUEST")
    path = f"/process/session/{session.id}"
    assert error(post(f"{path}/exec", json={})) == (400, "INVALID_REQUEST_BODY")
    missing = "/process/session/missing"
    not_found = (404, "PROCESS_NOT_FOUND")
    assert error(post(f"{missing}/exec", json={"command": "true"})) == not_found
    assert error(service.http.get(missing)) == not_found
    assert error(service.http.get(f"{path}/command/missing")) == not_found
    assert error(service.http.get(f"{missing}/command/x")) == not_found
    assert error(service.http.get(f"{missing}/command/x/logs")) == not_found
    assert error(post(f"{missing}/command/x/input", json={"data": "x"})) == not_found
    assert error(service.http.get(f"{path}/command/missing/logs")) == not_found
    assert error(post(f"{path}/command/missing/input", json={"data": "x"})) == not_found
    command = session.start("true")
    assert error(session.input(command, ""))[1] == "INVALID_REQUEST_BODY"
    entrypoint = "/process/session/entrypoint"
    assert error(post(f"{entrypoint}/exec", json={"command": "true"})) == bad_request
    assert error(service.http.delete(entrypoint)) == bad_request
    assert error(service.http.get("/process/session/entrypoint")) == not_found
    assert error(service.http.get("/process/session/entrypoint/logs")) == not_found
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        service.websocket(f"{path}/command/missing/logs?follow=true")
    assert refused.value.status_code == 404


def test_only_one_gets_an_id_that_many_want(service: Service) -> None:
    def create(path: str, **body: Any) -> httpx.Response:
        return service.http.post(path, json=body)

    with ThreadPoolExecutor(8) as pool:
        for path, name in (("/process/session", "sessionId"), ("/process/pty", "id")):
            wanted = [pool.submit(create, path, **{name: "wanted"}) for _ in range(8)]
            assert sorted(each.result().status_code for each in wanted) == [201] + [409] * 7
            assert service.http.delete(f"{path}/wanted").is_success


def test_sessions_of_old_clients_start_at_home(service: Service) -> None:
    """As they did up to 0.102."""
    home = service.http.post("/process/execute", json={"command": "cd; pwd"}).json()["result"]
    for version, place in [("0.102.9", home), ("0.103.0", f"{service.work_dir}\n")]:
        headers = {"X-Daytona-SDK-Version": version}
        body = {"sessionId": version}
        assert service.http.post("/process/session", json=body, headers=headers).is_success
        path = f"/process/session/{version}"
        answer = service.http.post(f"{path}/exec", json={"command": "pwd"})
        assert answer.json()["output"] == place
        service.http.delete(path)


def test_sessions_are_listed_in_the_order_they_were_made(service: Service) -> None:
    made = [Session(service) for _ in range(3)]
    listed = [each["sessionId"] for each in service.http.get("/process/session").json()]
    assert [each for each in listed if each in {one.id for one in made}] == [one.id for one in made]
    for one in made:
        one.delete()


def test_the_older_name_of_run_async(session: Session) -> None:
    older: dict[str, Any] = {"async": True}
    answer = session.post("echo x", **older)
    assert (answer.status_code, answer.json()["exitCode"]) == (202, None)
    session.wait(answer.json()["cmdId"])


def test_a_client_that_leaves_stops_nothing(session: Session, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    command = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.01; done; echo on"
    with session.service.client(session.service.token) as client:
        path = f"/process/session/{session.id}/exec"
        with pytest.raises(httpx.ReadTimeout):
            timeout = httpx.Timeout(60, read=0.2)
            client.post(path, json={"command": command}, timeout=timeout)
    eventually(begun.exists, "the begin")
    go.touch()
    left = session.get().json()["commands"][0]["id"]
    assert session.exit_code(left) == 0
    assert session.logs(left)["stdout"] == "on\n"


@pytest.mark.parametrize(
    "name",
    ["../..", ".", "a/b", "/", "a b", "\u65e5\u672c", "x" * 300, "-rf", "'\"$(", "a%2Fb"],
)
def test_any_id_is_an_id(service: Service, name: str) -> None:
    """No id is ever a path."""
    answer = service.http.post("/process/session", json={"sessionId": name})
    assert answer.status_code == 201
    listed = [each["sessionId"] for each in service.http.get("/process/session").json()]
    assert name in listed
    if name != ".":
        # F-C17: a slash is part of the id if it is encoded.
        path = f"/process/session/{quote(name, safe='')}"
        assert service.http.get(path).json()["sessionId"] == name
        answer = service.http.post(f"{path}/exec", json={"command": "echo hi"}, headers=NEW)
        assert answer.json()["stdout"] == "hi\n"
        assert service.http.delete(path).status_code == 204


def test_older_dialects(session: Session) -> None:
    command = "printf out; sleep 0.1; printf err >&2"
    marked = "\x01\x01\x01out\x02\x02\x02err"
    for version, output in [("0.166.9", marked), ("0.27.0", marked), ("0.26.9", "outerr")]:
        headers = {"X-Daytona-SDK-Version": version}
        answer = session.post(command, headers=headers).json()
        assert answer["output"] == output
        assert answer["stdout"] is answer["stderr"] is None
        logs = session.get(f"/command/{answer['cmdId']}/logs", headers)
        assert logs.headers["Content-Type"].startswith("text/plain")
        assert logs.text == output
    for headers in [
        {"X-Daytona-SDK-Version": "0.167.0-alpha.1"},
        {"X-Daytona-SDK-Version": "v0.0.0-dev"},
        {"X-Daytona-SDK-Version": "unknown", "Accept": "application/json"},
        {"Accept": "application/json"},
    ]:
        assert session.post(command, headers=headers).json()["stdout"] == "out"
    plain = {"Accept": "*/*"}
    assert session.post(command, headers=plain).json()["output"] == "outerr"
    split = {"Accept": "*/*", "X-Daytona-Split-Output": "true"}
    answer = session.post(command, headers=split).json()
    assert answer["output"] == marked
    path = f"/command/{answer['cmdId']}/logs"
    assert (session.get(path, split).text, session.get(path, plain).text) == (marked, "outerr")
    silent = session.post("true").json()["cmdId"]
    assert session.get(f"/command/{silent}/logs", plain).content == b""
    assert session.logs(silent) == {"output": "", "stdout": "", "stderr": ""}


@pytest.mark.parametrize(
    ("agent", "marked"), [("okhttp/4.12.0", True), ("OkHttp/5.0", True), ("curl/8.0", False)]
)
def test_the_java_sdk_gets_the_streams_apart(session: Session, agent: str, marked: bool) -> None:
    # F-C3: on its WebSockets it tells nothing but its library.
    answer = session.post("printf out; sleep 0.1; printf err >&2").json()
    ws = session.service.websocket(
        f"/process/session/{session.id}/command/{answer['cmdId']}/logs?follow=true",
        header=[f"User-Agent: {agent}"],
    )
    data = b"".join(read_all(ws)[0])
    assert data == (b"\x01\x01\x01out\x02\x02\x02err" if marked else b"outerr")


def receive(ws: websocket.WebSocket) -> bytes:
    message = ws.recv()
    assert isinstance(message, bytes)
    return message


def read_all(ws: websocket.WebSocket) -> tuple[list[bytes], int, str]:
    """The messages of a socket, then its close code and reason."""
    messages = []
    while True:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_BINARY:
            messages.append(data)
        elif opcode == websocket.ABNF.OPCODE_CLOSE:
            ws.close()
            return messages, int.from_bytes(data[:2], "big"), data[2:].decode()


def split(messages: list[bytes]) -> tuple[bytes, bytes]:
    streams = {b"\x01\x01\x01": bytearray(), b"\x02\x02\x02": bytearray()}
    for message in messages:
        assert len(message) > 3, "a message that is only a marker"
        assert len(message) <= 32 * 1024
        streams[message[:3]] += message[3:]
    return bytes(streams[b"\x01\x01\x01"]), bytes(streams[b"\x02\x02\x02"])


def test_follow_from_the_beginning_to_the_end(session: Session, tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = session.start(
        f"echo a; echo b >&2; while [ ! -e {go} ]; do sleep 0.01; done; printf c; exit 0"
    )
    ws = session.follow(command)
    first = receive(ws)
    assert first[:3] in (b"\x01\x01\x01", b"\x02\x02\x02")
    go.touch()
    messages, code, reason = read_all(ws)
    assert split([first, *messages]) == (b"a\nc", b"b\n")
    assert (code, reason) == (1000, "")
    messages, code, _ = read_all(session.follow(command))
    assert (split(messages), code) == ((b"a\nc", b"b\n"), 1000)


def test_follow_plain_for_old_clients(session: Session) -> None:
    command = session.start("printf a; sleep 0.1; printf b >&2")
    session.wait(command)
    assert b"".join(read_all(session.follow(command, "0.26.0"))[0]) == b"ab"
    assert b"".join(read_all(session.follow(command, ""))[0]) == b"ab"


def test_without_follow_a_socket_ends_at_once(session: Session) -> None:
    command = session.start("echo now; sleep 1000")
    eventually(lambda: session.logs(command)["stdout"], "the output")
    ws = session.service.websocket(
        f"/process/session/{session.id}/command/{command}/logs",
        header=["X-Daytona-SDK-Version: 0.226.1"],
    )
    messages, code, _ = read_all(ws)
    assert (split(messages), code) == ((b"now\n", b""), 1000)
    session.delete()


def test_a_prompt_is_seen_before_its_line_ends(session: Session) -> None:
    """And what a follower sends is ignored; that a command has ended needs nobody to look."""
    command = session.start("printf 'name? '; read x; echo hi $x", suppressInputEcho=True)
    ws = session.follow(command)
    assert receive(ws) == b"\x01\x01\x01name? "
    ws.send("not input\n")
    ws.send_binary(b"nor this\n")
    session.input(command, "you")
    messages, code, reason = read_all(ws)
    assert (split(messages), code, reason) == ((b"hi you\n", b""), 1000, "")
    assert error(session.input(command, "more")) == (410, "COMMAND_ALREADY_COMPLETED")


@pytest.mark.parametrize("query", ["?follow=True", "?follow=1", "?follow="])
def test_only_true_follows(session: Session, query: str) -> None:
    command = session.start("echo now; sleep 1000")
    eventually(lambda: session.logs(command)["stdout"], "the output")
    path = f"/process/session/{session.id}/command/{command}/logs"
    assert read_all(session.service.websocket(path + query))[1] == 1000
    # Nor does plain HTTP, whatever it asks for.
    assert session.get(f"/command/{command}/logs?follow=true").json()["stdout"] == "now\n"
    session.delete()


def test_delete_ends_followers(session: Session) -> None:
    command = session.start("echo hi; sleep 1000")
    ws = session.follow(command)
    assert receive(ws) == b"\x01\x01\x01hi\n"
    session.delete()
    assert read_all(ws)[1] == 1000


def test_the_version_as_a_subprotocol(session: Session) -> None:
    command = session.start("echo x >&2")
    session.wait(command)
    ws = session.service.websocket(
        f"/process/session/{session.id}/command/{command}/logs?follow=true",
        subprotocols=["X-Daytona-SDK-Version~0.216.0"],
    )
    assert split(read_all(ws)[0]) == (b"", b"x\n")


def test_large_output_is_whole(session: Session) -> None:
    """AC-21: over the edge between memory and disk."""
    command = session.start("seq 1 1000000")
    data, _ = split(read_all(session.follow(command))[0])
    assert data == b"".join(b"%d\n" % number for number in range(1, 1000001))


def test_binary_output_is_whole(session: Session) -> None:
    command = session.start("for i in 1 2 3; do head -c 100000 /dev/urandom | tee -a blob; done")
    data, _ = split(read_all(session.follow(command))[0])
    assert data == (session.service.work_dir / "blob").read_bytes()


def test_a_follower_that_reads_nothing_delays_nobody(session: Session) -> None:
    """AC-27."""
    command = session.start("head -c 64000000 /dev/zero")
    stalled = session.follow(command)
    for ws in (session.follow(command), stalled):
        assert sum(len(each) - 3 for each in read_all(ws)[0]) == 64000000


def test_the_state_directory_may_be_deleted(make_service: Any, tmp_path: Path) -> None:
    """AC-15."""
    state = tmp_path / "state"
    service = make_service(settings=f'[process.local]\nstate_dir = "{state}"\n')
    session = Session(service)
    assert session.run("echo 1")[1] == "1\n"
    assert session.run(f"rm -rf {state}; echo 2")[1] == "2\n"
    assert session.run("echo 3")[1] == "3\n"
    assert session.run("seq 100000 | tail -n 1; seq 100000 | wc -l")[1] == "100000\n100000\n"


def test_the_entrypoint(make_service: Any) -> None:
    program = '["sh", "-c", "echo \'it is\'; echo up >&2; read x; echo $x; sleep 1000"]'
    service = make_service(settings=f"[process.local]\nentrypoint = {program}\n")
    path = "/process/session/entrypoint"

    def logs() -> Any:
        return service.http.get(f"{path}/logs", headers=NEW).json()

    eventually(lambda: logs()["stderr"] == "up\n", "the output")
    assert logs() == {"output": "it is\nup\n", "stdout": "it is\n", "stderr": "up\n"}
    assert service.http.get("/process/session").json() == []
    shown = service.http.get(path).json()
    assert shown["sessionId"] == "entrypoint"
    assert [each["id"] for each in shown["commands"]] == ["entrypoint_command"]
    assert "exitCode" not in shown["commands"][0]
    old = service.http.get(f"{path}/logs", headers={"Accept": "*/*"}).text
    assert old == "\x01\x01\x01it is\n\x02\x02\x02up\n"
    command = f"{path}/command/entrypoint_command"
    assert service.http.get(command).json()["id"] == "entrypoint_command"
    assert service.http.get(f"{command}/logs", headers=NEW).json() == logs()
    assert error(service.http.post(f"{command}/input", json={"data": "x"})) == (400, "BAD_REQUEST")
    assert error(service.http.delete(path)) == (400, "BAD_REQUEST")
    ws = service.websocket(f"{path}/logs?follow=true")
    assert split([receive(ws), receive(ws)]) == (b"it is\n", b"up\n")
    ws.close()


def test_the_entrypoint_is_given_time_at_the_end(make_service: Any, tmp_path: Path) -> None:
    """AC-47: what the operator allows, and a terminal that is open takes nothing of it."""
    done = tmp_path / "done"
    program = (
        f"trap 'sleep 1.5; echo done > {done}; exit' TERM; echo up; while :; do sleep 0.1; done"
    )
    settings = f"[process.local]\ngrace = 30\nentrypoint = {json.dumps(['sh', '-c', program])}\n"
    # Ten seconds, the default, have not been enough where 20 others wanted the processor.
    service = make_service(settings=f"[server]\nshutdown_timeout = 40\n{settings}")
    path = "/process/session/entrypoint/logs"
    eventually(lambda: service.http.get(path, headers=NEW).json()["stdout"], "the output")
    service.http.post("/process/pty", json={"id": "open"}).raise_for_status()
    assert service.stop() == 0
    assert done.read_text() == "done\n"
    assert re.search(r" stopped, \d+\.\d s before the limit", service.log())


def test_any_posix_shell_will_do(make_service: Any) -> None:
    """AC-15: the other tests run in bash where there is one."""
    shell = "/bin/sh"
    session = Session(make_service(settings=f'[process.local]\nshell = "{shell}"\n'))
    assert session.run("cd /usr; X=1; echo o; echo e >&2") == (0, "o\n", "e\n")
    assert session.run("pwd; echo $X") == (0, "/usr\n1\n", "")
    assert session.run("if")[0] == 2
    assert session.run("return 4")[0] == 4
    assert session.run("exit 3")[0] == 3
    assert error(session.post("true")) == (410, "SESSION_ENDED")
    answer = session.service.http.post("/process/execute", json={"command": "- x; echo $0"})
    assert answer.json()["result"].endswith(f"{shell}\n")


def test_many_sessions_at_once(make_service: Any) -> None:
    """AC-94: creating, running and deleting in parallel mixes nothing up."""
    service = make_service()

    def one(number: int) -> bool:
        session = Session(service, f"s{number}")
        session.run(f"N={number}")
        outputs = [session.run(f"echo $N {i}")[1] for i in range(3)]
        assert session.delete().status_code == 204
        return outputs == [f"{number} {i}\n" for i in range(3)]

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(one, range(50)))
    assert service.http.get("/process/session").json() == []


def test_the_words_clients_match(service: Service) -> None:
    """F-F1: harbor and others look for them in the message."""
    body = {"sessionId": "d"}
    service.http.post("/process/session", json=body)
    answer = service.http.post("/process/session", json=body)
    assert (answer.status_code, answer.json()["message"]) == (409, "session already exists: 'd'")
    answer = service.http.get("/process/session/d/command/none")
    assert answer.status_code == 404
    assert answer.json()["message"].startswith("command not found: 'none'")
    logs = service.http.get("/process/session/d/command/none/logs")
    assert logs.json()["message"].startswith("command not found: 'none'")
    service.http.delete("/process/session/d")
    gone = [
        service.http.get("/process/session/d"),
        service.http.delete("/process/session/d"),
        service.http.post("/process/session/d/exec", json={"command": "true"}),
        service.http.get("/process/session/d/command/none"),
        service.http.post("/process/session/d/command/none/input", json={"data": "x"}),
    ]
    assert {each.json()["message"] for each in gone} == {"session not found: 'd'"}
    assert service.http.get("/x/jobs/d").json()["message"] == "job not found: 'd'"
    context = service.http.delete("/process/interpreter/context/d")
    assert context.json()["message"] == "context not found: 'd'"
