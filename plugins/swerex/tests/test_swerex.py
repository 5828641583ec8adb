"""The runtime's wire: requests sent again, sessions in use by several, and hostile input."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_swerex.sessions.patterns import compile_expected
from toolbox_swerex.sessions.patterns import first_match
from toolbox_swerex.sessions.patterns import plain

from toolbox.handover.report import read_report
from toolbox.testing import Service

ROOT = "/swerex"
ROUTES = (
    *("create_session", "run_in_session", "close_session", "execute"),
    *("read_file", "write_file", "upload", "close"),
)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is the runtime on its own port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = (
            f"[swerex]\nports = [{port}]\nmax_file = 100000\n"
            '[plugins]\nenable = ["swerex", "process", "files"]\n'
        )
        service = Service(tmp_path_factory.mktemp("runtime"), settings=settings, listener=listener)
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def session(runtime: Service) -> str:
    """A session that tests share."""
    runtime.http.post("/create_session", json={"session": "shared"}).raise_for_status()
    return "shared"


def act(runtime: Service, session: str, command: str, **options: Any) -> httpx.Response:
    body = {"action_type": "bash", "session": session, "command": command, "timeout": 60}
    return runtime.http.post("/run_in_session", json={**body, **options})


def failure(response: httpx.Response) -> str:
    """Return the class of the exception in a response."""
    assert response.status_code == 511, response.text
    found: str = response.json()["swerexception"]["class_path"]
    return found


def test_the_key_is_needed_and_is_the_token(runtime: Service) -> None:
    with runtime.client(None) as stranger:
        for root in ("", ROOT):
            assert stranger.get(f"{root}/is_alive").status_code == 401
            for route in ROUTES:
                assert stranger.post(f"{root}/{route}", json={}).status_code == 401
        key = {"X-API-Key": runtime.token or ""}
        assert stranger.get("/is_alive", headers=key).json()["is_alive"] is True
        assert stranger.get("/is_alive", headers={"X-API-Key": "wrong"}).status_code == 401
        # It is this group's only.
        assert stranger.get("/plugins", headers=key).status_code == 401


def test_a_request_sent_again_is_not_done_again(runtime: Service, session: str) -> None:
    headers = {"X-Request-ID": "one"}
    body = {"command": "echo x >> again; cat again", "shell": True}
    first = runtime.http.post("/execute", json=body, headers=headers)
    again = runtime.http.post("/execute", json=body, headers=headers)
    assert first.json() == again.json() == {"stdout": "x\n", "stderr": "", "exit_code": 0}
    other = runtime.http.post("/execute", json=body, headers={"X-Request-ID": "two"})
    assert other.json()["stdout"] == "x\nx\n"
    # An exception is a result, too.
    failing = {"command": ["false"], "check": True}
    classes = [
        failure(runtime.http.post("/execute", json=failing, headers={"X-Request-ID": "three"}))
        for _ in range(2)
    ]
    assert classes == ["swerex.exceptions.NonZeroExitCodeError"] * 2


def test_a_request_sent_again_meanwhile_waits_for_the_first(runtime: Service) -> None:
    headers = {"X-Request-ID": "meanwhile"}
    # It ends once the second has come: the log of the other is what it waits for.
    body = {
        "command": "echo x >> meanwhile; until test -e go; do sleep 0.05; done; cat meanwhile",
        "shell": True,
    }
    with ThreadPoolExecutor(2) as pool:
        sent = [
            pool.submit(runtime.http.post, "/execute", json=body, headers=headers) for _ in range(2)
        ]
        runtime.wait_for(lambda: (runtime.work_dir / "meanwhile").exists(), "the first")
        (runtime.work_dir / "go").touch()
        results = [one.result().json()["stdout"] for one in sent]
    assert results == ["x\n", "x\n"]


def test_actions_of_a_session_take_turns(runtime: Service, session: str) -> None:
    act(runtime, session, "n=0")
    with ThreadPoolExecutor(6) as pool:
        command = "m=$n; sleep 0.01; n=$((m+1))"
        statuses = list(pool.map(lambda _: act(runtime, session, command).status_code, range(12)))
    assert statuses == [200] * 12
    assert act(runtime, session, "echo $n").json()["output"] == "12\n"


def test_output_can_not_be_taken_for_a_prompt(runtime: Service, session: str) -> None:
    for text in ("SHELLPS1PREFIX", "\\033]7;0;1;0\\007", "EXITCODESTART0EXITCODEEND"):
        result = act(runtime, session, f"printf '{text}'; echo end; (exit 5)", check="silent")
        assert result.json()["exit_code"] == 5
        assert result.json()["output"].endswith("end\n")
    # Nor does a file that is sourced, or a prompt of one's own, change where commands end.
    result = act(runtime, session, "PS1='$ '; PS2='> '; false\ntrue\necho a b")
    assert (result.json()["output"], result.json()["exit_code"]) == ("a b\n", 0)
    assert act(runtime, session, "echo clean").json()["output"] == "clean\n"


def test_much_output_is_bounded_and_the_end_is_seen(runtime: Service, session: str) -> None:
    result = act(runtime, session, "seq 3000000; echo end").json()
    assert len(result["output"]) < 5_000_000
    assert result["output"].startswith("1\n2\n")
    assert result["output"].endswith("3000000\nend\n")
    assert "[output left out]" in result["output"]


def test_what_a_session_has_started_ends_with_it(runtime: Service) -> None:
    runtime.http.post("/create_session", json={"session": "ending"}).raise_for_status()
    output = act(runtime, "ending", "sleep 1000 & echo pid $!").json()["output"]
    pid = output.split()[-1]
    assert runtime.http.post("/close_session", json={"session": "ending"}).status_code == 200
    result = runtime.http.post("/execute", json={"command": f"kill -0 {pid}", "shell": True})
    assert result.json()["exit_code"] == 1


def test_an_expect_ends_an_action_that_goes_on(runtime: Service) -> None:
    runtime.http.post("/create_session", json={"session": "expects"}).raise_for_status()
    command = "echo one; echo marker; until test -e expected; do sleep 0.05; done"
    result = act(runtime, "expects", command, expect=["never", "mar.er"], check="silent").json()
    assert (result["output"], result["expect_string"]) == ("one\n", "mar.er")
    assert result["exit_code"] is None
    (runtime.work_dir / "expected").touch()
    assert act(runtime, "expects", "echo next").json()["output"].endswith("next\n")


def archive(*names: str, method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as made:
        for name in names:
            made.writestr(name, bytes(range(256)) * 50 if method else "x")
    return content.getvalue()


def upload(runtime: Service, content: bytes, target: str, unzip: str = "true") -> httpx.Response:
    fields = {"target_path": target, "unzip": unzip}
    return runtime.http.post("/upload", files={"file": ("f", content)}, data=fields)


def test_archives_stay_in_their_target(runtime: Service) -> None:
    for name in ("../out", "/tmp/swerex-out", "a/../../out", "..\\out"):
        assert failure(upload(runtime, archive("fine", name), "target")) == "builtins.ValueError"
    assert not (runtime.work_dir / "target").exists()
    assert failure(upload(runtime, b"PK no zip", "target")) == "zipfile.BadZipFile"
    assert failure(upload(runtime, archive("a")[:-8], "target")) == "zipfile.BadZipFile"
    assert upload(runtime, archive("a", "d/", "d/b"), "target").status_code == 200
    assert (runtime.work_dir / "target" / "d" / "b").read_text() == "x"
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        broken = bytearray(archive("c", method=method))
        broken[42:52] = b"\xff" * 10
        assert failure(upload(runtime, bytes(broken), "target")) == "zipfile.BadZipFile"
    assert upload(runtime, b"not unpacked", "one", "false").status_code == 200
    assert runtime.http.post("/upload", files={"file": b"x"}).status_code in (400, 511)
    assert runtime.http.post("/upload", json={}).status_code in (400, 511)


def test_files_are_text_of_a_bounded_size(runtime: Service) -> None:
    (runtime.work_dir / "big").write_bytes(b"x" * 100_001)
    (runtime.work_dir / "text").write_bytes("\u00e4\r\n".encode())

    def read(path: str, **options: Any) -> httpx.Response:
        return runtime.http.post("/read_file", json={"path": path, **options})

    assert read("text").json()["content"] == "\u00e4\r\n"
    assert failure(read("big")) == "builtins.OSError"
    assert failure(read("none")) == "builtins.FileNotFoundError"
    for options in ({"encoding": "zlib"}, {"encoding": "none"}, {"errors": "none"}):
        assert failure(read("text", **options)) == "builtins.LookupError"
    assert failure(read("text", encoding="ascii")) == "builtins.ValueError"
    # Lone surrogates can't be sent; names' encodings take minutes for a large file.
    (runtime.work_dir / "byte").write_bytes(b"\xff")
    (runtime.work_dir / "escape").write_bytes(b"\\ud800")
    assert failure(read("byte", errors="surrogateescape")) == "builtins.ValueError"
    assert failure(read("escape", encoding="unicode_escape")) == "builtins.ValueError"
    assert failure(read("text", encoding="Punycode")) == "builtins.LookupError"
    assert failure(read("a\0b")).startswith("builtins.")
    assert failure(read(".")).startswith("builtins.")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_is_an_error_and_leaves_nothing(runtime: Service, small_disk: Path) -> None:
    # The kernel takes a part of it first.
    body = {"path": f"{small_disk}/a", "content": "x" * 70_000}
    assert failure(runtime.http.post("/write_file", json=body)) == "builtins.OSError"
    (small_disk / "old").write_bytes(b"x" * 20_000)
    response = upload(runtime, b"x" * 60_000, f"{small_disk}/b", "false")
    assert failure(response) == "builtins.OSError"
    assert [path.name for path in small_disk.iterdir()] == ["old"]


def test_those_that_wait_for_a_request_sent_again_are_bounded(make_service: Any) -> None:
    settings = '[swerex]\nmax_waiting = 2\n[plugins]\nenable = ["swerex", "process"]\n'
    service = make_service(settings=settings)
    body = {"command": "touch begun; while ! test -e go; do sleep 0.05; done", "shell": True}

    def send(number: int) -> int:
        headers = {"X-Request-ID": "again"}
        status: int = service.http.post(f"{ROOT}/execute", json=body, headers=headers).status_code
        if status == 503:
            (service.work_dir / "go").touch()
        return status

    # Whichever comes third ends the command of the others.
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(send, range(3))) == [200, 200, 503]


BAD: list[tuple[str, Any]] = [
    ("execute", b"{"),
    ("execute", b"[]"),
    ("execute", {"command": 1}),
    ("execute", {"command": [1]}),
    ("execute", {"command": "x", "timeout": -1}),
    ("execute", {"command": "x", "timeout": 1e300}),
    ("execute", {"command": "x", "env": {"A": 1}}),
    ("execute", b"[" * 100_000),
    ("create_session", {"session": 1}),
    ("create_session", {"session_type": "zsh"}),
    ("run_in_session", {"command": "x"}),
    ("run_in_session", {"action_type": "other", "command": "x"}),
    ("run_in_session", {"action_type": "bash", "command": "x", "check": "maybe"}),
    ("run_in_session", {"action_type": "bash", "command": "x", "expect": ["x"] * 65}),
    ("run_in_session", {"action_type": "bash_interrupt", "n_retry": 10**9}),
    ("read_file", {}),
    ("write_file", {"path": "x"}),
]


@pytest.mark.parametrize(("route", "body"), BAD, ids=range(len(BAD)))
def test_bad_bodies_are_refused(runtime: Service, route: str, body: Any) -> None:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    response = runtime.http.post(f"/{route}", **content)
    assert response.status_code == 400
    assert response.json()["detail"]


ODD: list[dict[str, Any]] = [
    {"command": "a\0b", "shell": True},
    {"command": ["a\0b"]},
    {"command": []},
    {"command": ""},
    {"command": ["true"], "env": {"A=B": "x"}},
    {"command": ["true"], "env": {"": "x"}},
    {"command": ["true"], "cwd": "a\0b"},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_commands_that_can_not_be_run_are_exceptions(runtime: Service, body: Any) -> None:
    assert failure(runtime.http.post("/execute", json=body)).startswith("builtins.")


def test_no_time_is_no_time(runtime: Service) -> None:
    body = {"command": ["sleep", "600"], "timeout": 0}
    found = failure(runtime.http.post("/execute", json=body))
    assert found == "swerex.exceptions.CommandTimeoutError"


@pytest.mark.parametrize("command", ["a\\u0000b", "\\ud800", "\\u0003", "\\u0004"])
def test_odd_characters_do_not_break_a_session(
    runtime: Service, session: str, command: str
) -> None:
    content = f'{{"action_type": "bash", "session": "{session}", "command": "{command}"}}'
    assert runtime.http.post("/run_in_session", content=content).status_code in (200, 400, 511)
    assert act(runtime, session, "echo alive").json()["output"] == "alive\n"


def test_patterns_that_could_take_forever_are_literal() -> None:
    assert compile_expected("(a+)+$").search(b"aaaa") is None
    assert compile_expected("(a+)+$").search(b"x(a+)+$x")
    assert compile_expected("(Pdb").search(b"(Pdb")
    assert compile_expected(r"\? ").search(b"what? ")
    match = first_match([compile_expected("b"), compile_expected("a")], b"xxab", 0)
    assert match is not None
    assert (match.number, match.start) == (1, 2)


def test_control_sequences_are_no_output() -> None:
    assert plain(b"\x1b[?2004h\x1b[1;32mgreen\x1b[0m\r\n\x1b]0;title\x07x\xff") == "green\nx\\xff"


def test_sessions_go_on_after_a_reload_and_nothing_hangs(tmp_path: Path) -> None:
    """Requests that wait are refused in words; what the shell knows and runs is still there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = (
            f"[swerex]\nports = [{port}]\n[server]\nshutdown_timeout = 2\n"
            '[plugins]\nenable = ["swerex", "process", "files"]\n'
        )
        service = Service(tmp_path, settings=settings, listener=listener)

    def state() -> object:
        return (read_report(service.process.pid) or {}).get("state")

    try:
        service.http.post("/create_session", json={"session": "kept"}).raise_for_status()
        assert act(service, "kept", "n=1; echo $n").json()["output"] == "1\n"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(act, service, "kept", "touch started; sleep 1000; n=3")
            service.wait_for(lambda: (service.work_dir / "started").exists(), "the command")
            os.kill(service.process.pid, signal.SIGUSR2)
            response = waiting.result()
        assert response.status_code == 503
        assert "upgraded" in response.json()["detail"]
        service.wait_for(lambda: state() in ("done", "failed"), "the upgrade")
        assert state() == "done"
        response = service.http.post("/create_session", json={"session": "kept"})
        assert failure(response) == "swerex.exceptions.SessionExistsError"
        interrupt = {"action_type": "bash_interrupt", "session": "kept"}
        service.http.post("/run_in_session", json=interrupt).raise_for_status()
        assert act(service, "kept", "echo $n").json()["output"] == "1\n"
        assert act(service, "kept", "n=2; (exit 3)", check="silent").json()["exit_code"] == 3
        assert act(service, "kept", "echo $n").json()["output"] == "2\n"
        closed = service.http.post("/close_session", json={"session": "kept"})
        closed.raise_for_status()
        assert service.http.get("/process/pty").json()["sessions"] == []
        # Its name is free.
        service.http.post("/create_session", json={"session": "kept"}).raise_for_status()
        assert act(service, "kept", "echo [$n]").json()["output"] == "[]\n"
        assert service.http.get("/is_alive").json()["is_alive"] is True
    finally:
        service.stop()
