"""Children that are started below subprocess.Popen: they begin, and fail, as by that."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.linux import children
from toolbox.processes import Call
from toolbox.processes import start


@pytest.fixture(params=["function", "class"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """CPython's private function, and what is used where it takes other arguments."""

    def other_arguments(*arguments: object) -> int:
        raise TypeError("fork_exec expected 24 arguments")

    if request.param == "class":
        monkeypatch.setattr(children, "fork_exec", other_arguments)
    return str(request.param)


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    yield fd
    os.close(fd)


def output(call: Call) -> bytes:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        stdin = os.open(os.devnull, os.O_RDONLY)
        child = start(call._replace(streams=(stdin, writing, writing)), 1)
        os.close(writing)
        os.close(stdin)
        text = pipe.read()
    assert child.wait() == 0
    return text


def test_a_child_has_its_directory_variables_and_descriptors(way: str, tmp_path: Path) -> None:
    kept, kept_too = os.pipe()
    other = os.dup(kept)
    os.set_inheritable(other, True)
    listed = "ls /proc/self/fd | grep -cx"
    script = f'pwd; echo "$A $B"; {listed} {kept}; {listed} {other}; :'
    environment = {"A": "Grüße", "B": "\udcff", "PATH": os.environ["PATH"]}
    call = Call(["sh", "-c", script], str(tmp_path), environment, (0, 0, 0), (kept,))
    for fd in (kept, kept_too):
        os.set_inheritable(fd, False)
    lines = output(call).splitlines()
    assert lines == [os.fsencode(tmp_path), b"Gr\xc3\xbc\xc3\x9fe \xff", b"1", b"0"]
    for fd in (kept, kept_too, other):
        os.close(fd)


def test_a_child_leads_a_session_and_gets_signals(way: str, null: int) -> None:
    child = start(Call(["/bin/sleep", "1000"], "/", {}, (null, null, null)), 1)
    assert os.getsid(child.pid) == child.pid
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM
    child.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "directory", "named"),
    [
        (["/no/such/program"], "/", "/no/such/program"),
        (["no-such-program"], "/", "no-such-program"),
        (["/bin/true"], "/no/such/directory", "/no/such/directory"),
    ],
)
def test_what_is_not_there_is_named(
    way: str, null: int, arguments: list[str], directory: str, named: str
) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError) as caught:
        start(Call(arguments, directory, {"PATH": "/bin"}, (null, null, null)), 1)
    assert caught.value.filename == named
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "call",
    [
        Call(["/bin/true"], "/", {"A": "x\0B=y"}, (0, 0, 0)),
        Call(["/bin/true"], "/", {"A=B": "x"}, (0, 0, 0)),
        Call(["/bin/true", "x\0y"], "/", {}, (0, 0, 0)),
    ],
)
def test_text_that_no_program_can_be_given_is_refused(way: str, call: Call) -> None:
    with pytest.raises(ValueError, match=r"null byte|illegal"):
        start(call, 1)


def test_a_program_that_is_none_is_told(way: str, null: int, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("no program")
    with pytest.raises(PermissionError):
        start(Call([str(file)], "/", {}, (null, null, null)), 1)


def test_the_function_is_used_where_it_can_be(null: int) -> None:
    child = start(Call(["/bin/true"], "/", {}, (null, null, null)), 1)
    assert not isinstance(child, subprocess.Popen)
    assert child.wait() == 0
