"""``POST /process/execute`` against a real service."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import open_files
from toolbox_process.testing import read_pid

from toolbox.linux.procfs import stat_fields
from toolbox.testing import Service


def run(service: Service, command: str, **more: Any) -> httpx.Response:
    return service.http.post("/process/execute", json={"command": command, **more})


def result(service: Service, command: str, **more: Any) -> tuple[int, str]:
    answer = run(service, command, **more)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"exitCode", "result"}
    return answer.json()["exitCode"], answer.json()["result"]


def test_interleaves_both_streams(service: Service) -> None:
    assert result(service, "echo a; echo b >&2; echo c") == (0, "a\nb\nc\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("true", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("no-such-program-anywhere", 127),
        ("/etc/passwd", 126),
        ("kill -9 $$", 137),
        ("sh -c 'kill -TERM $$'; exit $?", 143),
        ("sh -c 'kill -SEGV $$'", 139),
    ],
)
def test_exit_codes_are_the_shells(service: Service, command: str, code: int) -> None:
    assert result(service, command)[0] == code


def test_tells_how_it_ended(service: Service) -> None:
    """AC-09: in a header, as the JSON has no room."""
    assert run(service, "exit 3").headers["X-Toolbox-End-Reason"] == "exited"
    assert run(service, "kill -9 $$").headers["X-Toolbox-End-Reason"] == "signal"
    gone = run(service, "true", cwd="/no/such/directory")
    assert gone.headers["X-Toolbox-End-Reason"] == "spawn-failed"


def test_cwd_and_environment(service: Service) -> None:
    assert result(service, "pwd", cwd="/usr") == (0, "/usr\n")
    assert result(service, "pwd") == (0, f"{service.work_dir}\n")
    (service.work_dir / "below").mkdir()
    assert result(service, "pwd", cwd="below") == (0, f"{service.work_dir}/below\n")
    assert result(service, "pwd", cwd="") == (0, f"{service.work_dir}\n")
    envs = {"GREETING": "h\u00e9llo 'w\"orld'\n", "NOTHING": None}
    command = 'printf "%s" "$GREETING${NOTHING-unset}"'
    assert result(service, command, envs=envs) == (0, envs["GREETING"])


def test_what_can_not_start_is_exit_code_minus_one(service: Service) -> None:
    """AC-07: at once, in the documented answer."""
    code, text = result(service, "true", cwd="/no/such/directory")
    assert code == -1
    assert "/no/such/directory" in text
    assert "No such file or directory" in text
    assert result(service, "true", cwd="/etc/passwd")[0] == -1
    assert result(service, "true", cwd="~")[0] == result(service, "true", cwd="$HOME")[0] == -1


def test_a_command_has_a_process_group_of_its_own(service: Service) -> None:
    """So what it sends to its group is sent to nobody else."""
    code, text = result(service, "echo $$; cut -d ' ' -f 5 /proc/$$/stat")
    pid, group = text.split()
    assert (code, pid) == (0, group)
    assert result(service, "kill -TERM 0; sleep 1000")[0] == 143


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    wanted = {"statusCode", "message", "timestamp", "path", "code", "source", "method"}
    assert set(body) == wanted, body
    assert body["source"] == "DAYTONA_DAEMON"
    assert body["statusCode"] == answer.status_code
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"command": " \n\t"}, "BAD_REQUEST"),
        ({"command": ""}, "BAD_REQUEST"),
        ({"command": "echo \0"}, "BAD_REQUEST"),
        ({"command": "true", "cwd": "a\0b"}, "BAD_REQUEST"),
        ({"command": "true", "envs": {"X=Y": "y"}}, "BAD_REQUEST"),
        ({"command": "true", "envs": {"": "y"}}, "BAD_REQUEST"),
        ({"command": "true", "envs": {"X\n": "y"}}, "BAD_REQUEST"),
        ({"command": "true", "envs": {"X": "y\0"}}, "BAD_REQUEST"),
        ({"cmd": "true"}, "INVALID_REQUEST_BODY"),
        ({"command": 7}, "INVALID_REQUEST_BODY"),
        ({"command": "true", "timeout": -1}, "INVALID_REQUEST_BODY"),
        ({"command": "true", "timeout": 1.5}, "INVALID_REQUEST_BODY"),
        ({"command": "true", "timeout": 2**32}, "INVALID_REQUEST_BODY"),
        ({"command": "true", "envs": {"X": 1}}, "INVALID_REQUEST_BODY"),
        ([], "INVALID_REQUEST_BODY"),
    ],
)
def test_bad_requests(service: Service, body: Any, code: str) -> None:
    assert error(service.http.post("/process/execute", json=body)) == (400, code)


def test_null_fields_are_absent_ones(service: Service) -> None:
    assert result(service, "echo x", cwd=None, envs=None, timeout=None) == (0, "x\n")
    assert result(service, "echo x", timeout=0) == (0, "x\n")


HARD_TO_KILL = {
    "plain": "sleep 1000 & echo $! > {file}; wait",
    "ignores TERM": "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ > {file}; sleep 1000\"",
    "own session": "setsid sh -c 'echo $$ > {file}; exec sleep 1000' & sleep 1000",
    "daemon": "(setsid sh -c '(echo $$ > {file}; exec sleep 1000)' &) ; sleep 1000",
    "stopped": "sh -c 'echo $$ > {file}; kill -STOP $$' & sleep 1000",
    "without our mark": "env -i sh -c 'echo $$ > {file}; sleep 1000' & sleep 1000",
}


def test_a_timeout_leaves_nothing(service: Service, tmp_path: Path) -> None:
    """AC-01: within a second of it, whatever the children did to get away; where the machine is
    busy with other things, in the five seconds that the SDKs wait for that answer.
    """

    def one(name: str) -> float:
        file = tmp_path / name.replace(" ", "-")
        with service.client(service.token) as client:
            begun = time.monotonic()
            body = {"command": HARD_TO_KILL[name].format(file=file), "timeout": 2}
            answer = client.post("/process/execute", json=body)
            took = time.monotonic() - begun
        assert error(answer) == (408, "PROCESS_EXECUTION_TIMEOUT")
        # F-C1: the SDKs' own tests look for this.
        assert "request timeout: command execution timeout" in answer.json()["message"]
        assert not alive(read_pid(file)), name
        return took

    with ThreadPoolExecutor(len(HARD_TO_KILL)) as pool:
        took = list(pool.map(one, HARD_TO_KILL))
    assert min(took) < 3
    assert max(took) < 7


def test_traps_run_when_time_is_over_and_when_cancelled(make_service: Any, tmp_path: Path) -> None:
    """AC-02: and are given the time the operator allows."""
    service = make_service(settings="[process.local]\ntimeout_grace = 30\ngrace = 30\n")
    file, ready = tmp_path / "trapped", tmp_path / "ready"
    trapping = f"trap 'echo ended > {file}; exit 1' TERM; sleep 1000 & touch {ready}; wait"
    answer = run(service, trapping, timeout=2)
    assert answer.status_code == 408
    assert file.read_text() == "ended\n"
    file.unlink()
    ready.unlink()
    job = service.http.post("/x/jobs", json={"command": trapping}).json()["id"]
    eventually(ready.exists, "the trap")
    assert service.http.delete(f"/x/jobs/{job}").json()["exitCode"] == 1
    assert file.read_text() == "ended\n"


@pytest.mark.parametrize(
    "command",
    [
        "sleep 1000 & echo $! > {file}; echo hi",
        "nohup sleep 1000 & echo $! > {file}; echo hi",
        "(setsid sh -c 'echo $$ > {file}; exec sleep 1000' &); echo hi",
    ],
)
def test_a_background_process_delays_nothing_and_lives(
    service: Service, pid_file: Path, command: str
) -> None:
    """AC-04."""
    begun = time.monotonic()
    assert result(service, command.format(file=pid_file))[0] == 0
    assert time.monotonic() - begun < 10
    pid = read_pid(pid_file)
    assert alive(pid)
    run(service, f"kill {pid}")
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "reaping the orphan", 2)


def test_a_background_process_may_go_on_writing(service: Service, tmp_path: Path) -> None:
    """AC-04: its pipe stays open, so it doesn't die of SIGPIPE."""
    go, done = tmp_path / "go", tmp_path / "done"
    command = f"(while [ ! -e {go} ]; do sleep 0.01; done; echo late; echo ok > {done}) &"
    assert result(service, command)[0] == 0
    go.touch()
    eventually(done.exists, "the write")


@pytest.mark.parametrize("size", [99_000, 110_000, 1 << 20])
def test_long_commands(service: Service, size: int) -> None:
    """AC-05: no limit of one argument, and the text unchanged."""
    text = "x\u00e9'\"$\\`\\" * (size // 8)
    command = f"wc -c <<'END'\n{text}\nEND\n"
    assert result(service, command) == (0, f"{len(text.encode()) + 1}\n")


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("cat <<'E'\n$x `y` \"z\"\nE", '$x `y` "z"\n'),
        ("echo 'a'\"'\"'b'", "a'b\n"),
        ("printf '%s' '\u65e5\u672c\u8a9e \U0001f600'", "\u65e5\u672c\u8a9e \U0001f600"),
        ("printf '%s|' a\\\n b", "a|b|"),
        ("-no-such-option || printf dash", None),
        ("printf 'a\\r\\nb'", "a\r\nb"),
        ("cat <<'E'\na\r\nb\r\nE", "a\r\nb\r\n"),
        ("echo 'a\r'\necho b", "a\r\nb\n"),
        ("printf '%s' a\\", "a\\"),
        ("printf '\\377ok\\376'", "\ufffdok\ufffd"),
        ("printf 'a\\0b'", "a\0b"),
        ("printf '\\n\\n'", "\n\n"),
    ],
)
def test_commands_and_output_are_left_as_they_are(
    service: Service, command: str, output: str | None
) -> None:
    """AC-05, AC-20."""
    code, text = result(service, command)
    assert code == 0
    assert text == output if output is not None else text.endswith("dash")


def test_a_character_in_pieces(service: Service) -> None:
    """AC-20: decoded at the edge, not by the piece."""
    command = "printf '\\342'; sleep 0.2; printf '\\202'; sleep 0.2; printf '\\254'"
    assert result(service, command) == (0, "\u20ac")


@pytest.mark.parametrize("command", ["cat", "read x || echo eof", "sh", "wc -c; echo more"])
def test_standard_input_is_at_its_end(service: Service, command: str) -> None:
    """AC-06."""
    assert run(service, command, timeout=20).status_code == 200


def test_an_interactive_shell_does_not_stop(service: Service) -> None:
    """AC-13."""
    # Not with the start-up files of whoever runs the tests, which may do anything.
    code, text = result(service, "HOME=/nowhere bash -ic 'echo ok'", timeout=20)
    assert code == 0
    assert text.endswith("ok\n")


def test_four_megabytes_at_once(service: Service) -> None:
    """AC-21."""
    code, text = result(service, "head -c 4194304 /dev/zero | tr '\\0' x")
    assert code == 0
    assert text == "x" * 4194304


def test_a_full_stderr_does_not_block(service: Service) -> None:
    """AC-20: far more than a pipe holds, while standard output is silent, then a last word."""
    code, text = result(service, "head -c 400000 /dev/zero | tr '\\0' e >&2; echo last; exit 4")
    assert (code, text) == (4, "e" * 400_000 + "last\n")


def test_the_end_while_a_child_writes(service: Service, pid_file: Path) -> None:
    """AC-04: what came until then is there, the shell's end is the answer, the child goes on."""
    command = (
        f"(echo $BASHPID > {pid_file}; exec yes) & while [ ! -s {pid_file} ]; do :; done; exit 5"
    )
    answer = run(service, f"bash -c {shlex.quote(command)}", timeout=60)
    assert answer.status_code == 200
    assert answer.json()["exitCode"] == 5
    pid = read_pid(pid_file)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_an_answer_keeps_head_and_tail(service: Service) -> None:
    """AC-22: and says what it left out."""
    answer = run(service, "echo begin; head -c 40000000 /dev/zero | tr '\\0' x; echo end")
    text = answer.json()["result"]
    assert text.startswith("begin\n")
    assert text.endswith("end\n")
    assert len(text) < 17 * 1024 * 1024
    assert int(answer.headers["X-Toolbox-Truncated"]) == 40000010 - 16 * 1024 * 1024


def test_no_stream_squeezes_out_the_other(make_service: Any) -> None:
    """AC-22: nor is what is left out lost."""
    service = make_service(settings="[process]\nmax_result = 4096\n")
    flood = "echo needle >&2; seq 100000; echo end >&2"
    service.http.post("/process/session", json={"sessionId": "s"})
    answer = service.http.post(
        "/process/session/s/exec",
        json={"command": flood},
        headers={"X-Daytona-SDK-Version": "0.226.1"},
    )
    assert answer.json()["stderr"] == "needle\nend\n"
    assert answer.json()["stdout"].startswith("1\n2\n")
    assert answer.json()["stdout"].endswith("\n99999\n100000\n")
    assert len(answer.json()["stdout"]) < 4200
    left_out = int(answer.headers["X-Toolbox-Truncated"])
    assert left_out == 588895 + 11 - 4096
    job = answer.headers["X-Toolbox-Job"]
    whole = service.http.get(f"/x/jobs/{job}/output?encoding=text&limit=1048576").json()
    text = "".join(each["data"] for each in whole["pieces"] if each["stream"] == "stdout")
    assert text == "".join(f"{number}\n" for number in range(1, 100001))


def test_a_client_that_leaves_stops_nothing(service: Service, tmp_path: Path) -> None:
    begun, go, done = (tmp_path / name for name in ("begun", "go", "done"))
    command = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.01; done; touch {done}"
    with service.client(service.token) as client, pytest.raises(httpx.ReadTimeout):
        client.post(
            "/process/execute", json={"command": command}, timeout=httpx.Timeout(60, read=1)
        )
    eventually(begun.exists, "the begin")
    go.touch()
    eventually(done.exists, "the end")


def test_output_before_the_exit_code(service: Service) -> None:
    """AC-10: a program that ends right after a large write loses none of it."""
    for _ in range(20):
        code, text = result(service, "head -c 300000 /dev/zero | tr '\\0' y; exit 7")
        assert (code, len(text)) == (7, 300000)


def test_process_substitution_is_waited_for(make_service: Any) -> None:
    """What writes on after the shell has ended still belongs to it, for as long as may be set."""
    service = make_service(settings="[process.local]\ndrain_idle = 10\ndrain_limit = 60\n")
    code, text = result(service, "bash -c 'echo one > >(sleep 0.3; cat)'")
    assert (code, text) == (0, "one\n")


def test_what_is_kept_of_finished_jobs_does_not_limit_answers(make_service: Any) -> None:
    """AC-10: under load the output of a job was forgotten before its own answer was made of it."""
    service = make_service(settings="[process.local]\nkeep_jobs = 0\n")
    output = "".join(f"{number}\n" for number in range(1, 20001))

    def run(number: int) -> None:
        with service.client(service.token) as client:
            for _ in range(8):
                body = {"command": "seq 20000"}
                answer = client.post("/process/execute", json=body).json()
                assert answer == {"exitCode": 0, "result": output}

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(run, range(8)):
            pass


def test_a_thousand_at_once(make_service: Any) -> None:
    """AC-40: every exit code right, no zombie, no descriptor left."""
    service = make_service()
    run(service, "true")
    worker = service.workers()[0]
    files = open_files(worker)
    limits = httpx.Limits(max_connections=64, keepalive_expiry=None)
    headers = {"Authorization": f"Bearer {service.token}"}
    with (
        httpx.Client(base_url=service.url, headers=headers, limits=limits, timeout=120) as client,
        ThreadPoolExecutor(64) as pool,
    ):

        def one(number: int) -> bool:
            command = f"echo {number}; exit {number % 256}"
            answer = client.post("/process/execute", json={"command": command})
            expected = {"exitCode": number % 256, "result": f"{number}\n"}
            return answer.status_code == 200 and answer.json() == expected

        assert all(pool.map(one, range(1000)))
    eventually(lambda: open_files(worker) <= files + 4, "closing the descriptors")
    zombies = [
        pid
        for pid in os.listdir("/proc")
        if pid.isdigit() and is_zombie_of(int(pid), {worker, service.process.pid})
    ]
    assert zombies == []


def is_zombie_of(pid: int, parents: set[int]) -> bool:
    try:
        state, parent, *_ = stat_fields(pid)
    except OSError:
        return False
    return state == b"Z" and int(parent) in parents


def test_the_end_of_the_service_ends_commands(make_service: Any, pid_file: Path) -> None:
    """AC-47: whoever waits is answered with what happened."""
    service = make_service(settings="[server]\nshutdown_timeout = 2\n")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, service, f"echo $$ > {pid_file}; sleep 1000")
        pid = read_pid(pid_file)
        service.process.terminate()
        service.process.wait(30)
        assert not alive(pid)
        try:
            answer = waiting.result(30)
        except httpx.TransportError:
            return
        assert answer.status_code != 200 or answer.json()["exitCode"] != 0


def test_signals_that_the_service_ignores_end_its_programs(
    make_service: Callable[..., Service],
) -> None:
    """A service in the background of a script, or under nohup, ignores some from its start."""
    ignoring = ("sh", "-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh")
    service = make_service(wrapper=ignoring)
    _, line = result(service, "grep SigIgn /proc/self/status")
    assert int(line.split()[1], 16) & 0b111 == 0, line
