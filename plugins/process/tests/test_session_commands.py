"""Commands of sessions: their text, directory and environment, and ending or signalling one."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import Service

NEW = {"X-Daytona-SDK-Version": "0.226.1"}


class Session:
    """A session of the service, by HTTP."""

    def __init__(self, service: Service) -> None:
        self.http = service.http
        self.id = str(uuid.uuid4())
        self.http.post("/process/session", json={"sessionId": self.id}).raise_for_status()

    def post(self, command: str, **more: Any) -> Any:
        body = {"command": command, **more}
        path = f"/process/session/{self.id}/exec"
        answer = self.http.post(path, json=body, headers=NEW)
        answer.raise_for_status()
        return answer.json()

    def run(self, command: str, **more: Any) -> tuple[int, str, str]:
        body = self.post(command, **more)
        return body["exitCode"], body["stdout"], body["stderr"]

    def start(self, command: str, **more: Any) -> str:
        return str(self.post(command, runAsync=True, **more)["cmdId"])

    def end(self, command: str) -> Any:
        answer = self.http.delete(f"/x/jobs/{command}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def signal(self, command: str, name: str, tree: bool = False) -> int:
        path = f"/x/jobs/{command}/signal"
        return self.http.post(path, json={"signal": name, "tree": tree}).status_code

    def wait(self, command: str) -> Any:
        job = self.http.get(f"/x/jobs/{command}/wait").json()
        assert job["done"]
        return job["exitCode"], job["reason"]

    def output(self, command: str) -> str:
        path = f"/process/session/{self.id}/command/{command}/logs"
        return str(self.http.get(path, headers=NEW).json()["stdout"])


@pytest.fixture
def session(service: Service) -> Session:
    return Session(service)


@pytest.mark.parametrize(
    "command",
    [
        "echo a\\",
        "echo a # b\\",
        "echo a\\\\\\",
        "echo a\n\\",
        "f() { echo a; }\nf\\",
        "cat <<E\nabc",
        "cat <<'E'\nabc\\",
        "cat <<E\r\nabc\r\nE\r\n",
        "echo 'abc",
        'echo "abc',
        "echo `echo b\\",
        "echo $(echo b\\",
        "if true; then echo x",
        "true &&",
        "echo a |",
        "(echo a",
        "echo ${x",
        "echo a\r",
        "# only",
        "exit 3",
        "exec echo hi",
        "set -e; false; echo x",
        "echo é\\",
    ],
)
def test_the_same_text_does_the_same_in_a_session(session: Session, command: str) -> None:
    """F-E16: also what ends in the middle."""
    answer = session.http.post("/process/execute", json={"command": command})
    code, out, err = session.run(command)
    assert code == answer.json()["exitCode"]
    # Error messages name the file or the shell.
    assert out in answer.json()["result"]
    assert bool(err) == (answer.json()["result"] != out)


def test_cwd_and_envs_hold_for_one_command(session: Session, tmp_path: Path) -> None:
    """F-E8, AC-14: as in ``execute``, and what the command changes itself stays changed."""
    there = tmp_path / "a 'b"
    (there / "c").mkdir(parents=True)
    assert session.run("cd /usr; X=old; export Y=old") == (0, "", "")
    envs = {"X": "1 '2", "Y": "", "Z": None, "W": "a\nb"}
    show = 'pwd; echo "$X|$Y|$W"; sh -c \'echo "$X|$Y|${Z-unset}|$W"\'; NEW=1'
    expected = f"{there}\n1 '2||a\nb\n1 '2|||a\nb\n"
    assert session.run(show, cwd=str(there), envs=envs) == (0, expected, "")
    assert session.run("pwd; echo $X $Y $Z $NEW") == (0, "/usr\nold old 1\n", "")
    assert session.run("pwd; cd c", cwd=str(there))[1] == f"{there}\n"
    assert session.run("pwd", cwd="..") == (0, f"{there}\n", "")
    assert session.run("pwd; (exit 3)") == (3, f"{there}/c\n", "")
    assert session.run("read x; echo $x $V", cwd="/", envs={"V": "v"}) == (0, " v\n".lstrip(), "")
    command = session.start("read x; echo $x $V; pwd", cwd="/", envs={"V": "v"})
    path = f"/process/session/{session.id}/command/{command}/input"
    session.http.post(path, json={"data": "in"}).raise_for_status()
    assert session.wait(command) == (0, "exited")
    assert session.output(command) == "in\nin v\n/\n"
    assert session.run("exit 7", cwd="/", envs={"V": "v"})[0] == 7


def test_what_is_wrong_with_cwd_and_envs(session: Session) -> None:
    """F-E8: bad names are refused as everywhere, a directory that isn't there is told at once."""
    path = f"/process/session/{session.id}/exec"
    for more in ({"envs": {"A=B": "x"}}, {"envs": {"": "x"}}, {"envs": {"A": "\0"}}, {"cwd": "\0"}):
        answer = session.http.post(path, json={"command": "true", **more})
        assert answer.status_code == 400, (more, answer.text)
    for cwd in ("/nope", "/etc/passwd"):
        answer = session.http.post(path, json={"command": "echo x", "cwd": cwd}, headers=NEW)
        assert answer.json()["exitCode"] == -1
        assert answer.headers["X-Toolbox-End-Reason"] == "spawn-failed"
        assert "irectory" in answer.json()["stderr"]
    assert session.run("echo x") == (0, "x\n", "")


@pytest.mark.parametrize(
    "stuck",
    [
        "while :; do :; done",
        "trap '' TERM; while :; do :; done",
        "set -e; trap '' INT TERM HUP; while true; do true; done",
        "kill -STOP $$; while :; do :; done",
        "read x; read y; read z",
        "exec sleep 1000",
    ],
)
def test_a_stuck_shell_is_replaced(session: Session, stuck: str, pid_file: Path) -> None:
    """F-E11, AC-11: the session goes on in the same directory, and what it left in the background
    does, too.
    """
    session.run(f"cd /usr; X=1; sleep 1000 & echo $! > {pid_file}")
    background = read_pid(pid_file)
    command = session.start(f"echo begun; {stuck}")
    waiting = session.start("echo next; pwd")
    eventually(lambda: session.output(command) == "begun\n", "the begin")
    job = session.end(command)
    assert (job["done"], job["reason"]) == (True, "cancelled")
    assert job["exitCode"] not in (0, None)
    assert session.wait(waiting) == (0, "exited")
    assert session.output(waiting) == "next\n/usr\n"
    assert session.run("echo x; pwd") == (0, "x\n/usr\n", "")
    assert alive(background)
    assert session.http.delete(f"/process/session/{session.id}").status_code == 204
    assert not alive(background)
    # And the id is free.
    body = {"sessionId": session.id}
    assert session.http.post("/process/session", json=body).status_code == 201


def test_what_a_command_has_started_ends_with_it(session: Session, tmp_path: Path) -> None:
    """F-E2, F-E11: in whatever way it has left; what an earlier one has started goes on."""
    quiet = ">/dev/null 2>&1 </dev/null"

    def escapes(name: str) -> tuple[str, list[Path]]:
        files = [tmp_path / f"{name}-{number}" for number in range(3)]
        a, b, c = (f"sh -c 'echo $$ > {file}; exec sleep 1000'" for file in files)
        return f"{a} & env -i setsid -f {b} {quiet}; (setsid {c} {quiet} &)", files

    text, files = escapes("earlier")
    session.run(text)
    earlier = [read_pid(file) for file in files]
    text, files = escapes("stuck")
    command = session.start(f"{text}; sleep 1000")
    pids = [read_pid(file) for file in files]
    session.end(command)
    assert not [pid for pid in pids if alive(pid)]
    assert [pid for pid in earlier if alive(pid)] == earlier
    session.http.delete(f"/process/session/{session.id}").raise_for_status()
    assert not [pid for pid in earlier if alive(pid)]


def test_a_session_is_deleted_while_its_shell_is_replaced(session: Session) -> None:
    """F-E11."""
    command = session.start("echo begun; while :; do :; done")
    eventually(lambda: session.output(command) == "begun\n", "the begin")
    assert session.signal(command, "KILL") == 204
    assert session.http.delete(f"/process/session/{session.id}").status_code == 204
    eventually(
        lambda: (
            not [
                job
                for job in session.http.get("/x/jobs").json()["jobs"]
                if job["kind"] == "session" and job["command"] == session.id and not job["done"]
            ]
        ),
        "the end of its shells",
    )


def test_an_exit_after_a_replacement_ends_the_session(session: Session) -> None:
    """F-E11: only the command that was ended spares it."""
    command = session.start("while :; do :; done")
    session.end(command)
    assert session.run("exit 3")[0] == 3
    path = f"/process/session/{session.id}/exec"
    assert session.http.post(path, json={"command": "true"}).status_code == 410


def test_signals_reach_a_command(session: Session, tmp_path: Path) -> None:
    """F-E11: what it has started; its shell only if it has a trap or nothing else is there."""
    session.run("X=kept")
    command = session.start("echo begun; sleep 1000; echo after $?")
    eventually(lambda: session.output(command) == "begun\n", "the begin")
    eventually(
        lambda: session.signal(command, "TERM") == 410 or session.output(command) != "begun\n"
    )
    assert session.wait(command) == (0, "exited")
    assert session.output(command) == "begun\nafter 143\n"
    command = session.start(
        "trap 'echo got; go=1' USR1; echo begun; while [ ! $go ]; do sleep 0.05; done; true"
    )
    eventually(lambda: session.output(command) == "begun\n", "the begin")
    assert session.signal(command, "USR1") == 204
    assert session.wait(command)[0] == 0
    assert session.output(command) == "begun\ngot\n"
    assert session.run("trap - USR1; echo $X")[1] == "kept\n"
    assert session.signal(command, "TERM") == 410
    # A tree: what the children have started, too.
    pids = tmp_path / "pids"
    command = session.start(f"sh -c 'sleep 1000 & echo $! > {pids}; wait'; echo $?")
    inner = read_pid(pids)
    assert session.signal(command, "KILL", tree=True) == 204
    eventually(lambda: not alive(inner), "the end of all")
    assert session.wait(command) == (0, "exited")
    # Nothing but the shell itself: it ends, the session doesn't.
    command = session.start("echo begun; while :; do :; done")
    eventually(lambda: session.output(command) == "begun\n", "the begin")
    assert session.signal(command, "KILL") == 204
    assert session.wait(command) == (137, "signal")
    assert session.run("echo $X.")[1] == ".\n"
