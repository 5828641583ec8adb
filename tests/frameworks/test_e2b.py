"""E2B's clients, unmodified: on one sandbox by ``E2B_DEBUG``, as on a machine of one's own."""

from __future__ import annotations

import fcntl
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

from .conftest import shell_words

Program = Callable[..., Any]

PORT = 49983
"""The clients' own: with ``E2B_DEBUG`` they know no other."""

TITLE = "E2B"


@pytest.fixture(scope="module")
def box() -> Iterator[Service]:
    """The only service on the port, whatever other runs of these tests do, started as the page on
    dialects has it.
    """
    lock = Path(tempfile.gettempdir(), f"toolbox-test-{PORT}.lock")
    with lock.open("w") as held, socket.socket() as kept:
        fcntl.flock(held, fcntl.LOCK_EX)
        # The service can bind it, too, as this one doesn't listen; no connection gets it meanwhile.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind(kept)
        directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
        environment, arguments = shell_words(TITLE, "toolbox serve")
        running = Service(directory, *arguments, env=environment, token=None)
        try:
            yield running
        finally:
            running.stop()
            shutil.rmtree(directory, ignore_errors=True)


def bind(kept: socket.socket) -> None:
    """Take the port; for a moment it may be that of a connection of any program."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return kept.bind(("127.0.0.1", PORT))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def variables(box: Service) -> dict[str, str]:
    return {**shell_words(TITLE, "export")[0], "E2B_WORK": str(box.work_dir)}


def check_commands(got: dict[str, Any]) -> None:
    assert got["live"] == ["first\n", "first\nlast\n", "bad\n", 0]
    assert got["plain"] == "/usr\ngiven ü\n"
    assert got["failed"] == ["CommandExitException", 3]
    assert got["late"] == ["TimeoutException", None]
    assert got["nowhere"] == ["InvalidArgumentException", None]
    assert got["much"] == 3_000_000


def check_background(got: dict[str, Any]) -> None:
    assert got["listed"] is True
    assert got["again"] == ["four\nend\n", 0]
    assert got["killed"] == [True, ["CommandExitException", -1], False]
    assert got["unknown"] == ["NotFoundException", None]


def check_files(got: dict[str, Any]) -> None:
    assert got["written"] == ["ä b.txt", True, "file"]
    assert got["several"] == ["x", "y"]
    assert (got["text"], got["bytes"], got["stream"]) == ("hällo\n", [0, 1], 300_000)
    assert got["made"] == [True, False]
    assert got["info"] == ["ä b.txt", "file", 7, "-rw-r--r--", {"kind": "note"}]
    assert got["link"] == ["link", "symlink", "x"]
    assert ["raw", "file", 300_000] in got["listed"]
    assert got["deep"] == 1
    assert got["there"] == [True, False, False]
    assert got["missing"][0] == got["unlisted"][0] == "FileNotFoundException"
    assert [got[what] for what in ("zipped", "times", "renamed")] == [True] * 3


def test_python(python: Program, box: Service) -> None:
    got = python("e2b", **variables(box))
    assert got["running"] is True
    check_commands(got["commands"])
    assert got["commands"]["root"] == ["SandboxException", None]
    check_background(got["background"])
    assert got["background"]["deaf"] == ["SandboxException", None]
    check_files(got["files"])
    names = [tuple(each) for each in got["watch"]["seen"]]
    assert [each for each in names if each[1] != "chmod"] == [
        ("a.txt", "create"),
        ("a.txt", "write"),
        ("a.txt", "rename"),
        ("b.txt", "create"),
        ("b.txt", "remove"),
    ]
    assert got["watch"]["missing"][0] == "FileNotFoundException"
    assert got["terminal"] == {
        "size": True,
        "cwd": True,
        "code": ["CommandExitException", 5],
        "killed": "CommandExitException",
    }


def test_the_first_lines_of_the_page(first_lines: Program, box: Service) -> None:
    assert first_lines(TITLE, "e2b", box, **variables(box)) == "hello\n\n"


def test_python_with_a_control_plane(python: Program, fleet: Service) -> None:
    urls = {"E2B_API_URL": f"{fleet.url}/e2b", "E2B_SANDBOX_URL": fleet.url}
    got = python("e2b_fleet", package="e2b", E2B_API_KEY=TOKEN, **urls)
    assert got["ran"] == "given"
    assert got["running"] == [True, True]
    assert (got["read"], got["apart"]) == ("in the sandbox", False)
    assert (got["signed"], got["unsigned"]) == ("in the sandbox", "HTTPError")
    assert got["metadata"] == {"which": "first ü"}
    assert got["state"] == "running"
    assert [got[what] for what in ("extended", "found", "metrics", "listed")] == [True] * 4
    assert got["pages"] == [1, 1]
    assert got["unknown"] == "SandboxNotFoundException"
    assert got["snapshot"] == ["noted", "in the sandbox", True]
    assert got["snapshots"] == [["noted"], True, False]
    assert got["paused"] == [True, False, "paused"]
    assert got["stopped"] is False
    assert got["resumed"] == [True, "in the sandbox"]
    assert got["killed"] == [True, True]
    assert got["gone"] == "SandboxNotRunningException"
    assert got["expired"] is True


def test_python_async(python: Program, box: Service) -> None:
    got = python("e2b_async", package="e2b", **variables(box))
    assert got["running"] is True
    assert got["commands"] == {
        "live": ["first\n", "first\nlast\n", "bad\n", 0],
        "many": True,
        "failed": ["CommandExitException", 3],
    }
    assert got["background"] == {
        "came": "one\n",
        "read": ["one\ntwo\nend\n", 0],
        "killed": [True, ["CommandExitException", -1]],
    }
    assert got["files"] == {
        "text": "hällo",
        "listed": ["a.txt", "go", "watched"],
        "event": ["b.txt", "create", 1],
        "missing": ["FileNotFoundException", None],
    }
    assert got["terminal"] == {"size": True, "code": ["CommandExitException", 5]}


def test_node(node: Program, box: Service) -> None:
    got = node("e2b", **variables(box))
    assert got["running"] is True
    assert got["commands"] == {
        "live": ["first\n", "first\nlast\n", "bad\n", 0],
        "plain": "/usr\ngiven ü\n",
        "failed": ["CommandExitError", 3],
        "late": "TimeoutError",
        "much": 3_000_000,
    }
    assert got["background"] == {
        "listed": True,
        "told": True,
        "again": ["two\nend\n", 0],
        "killed": [True, "CommandExitError", False],
        "unknown": "NotFoundError",
    }
    files = got["files"]
    assert files["written"] == ["ä b.txt", True]
    assert (files["text"], files["bytes"]) == ("hällo\n", [0, 1])
    assert (files["made"], files["there"]) == ([True, False], [True, False])
    assert files["info"] == ["ä b.txt", "file", 7, "-rw-r--r--"]
    assert files["renamed"] is True
    assert ["elsewhere", "dir"] in files["listed"]
    assert files["missing"] == files["unlisted"] == "FileNotFoundError"
    names = [tuple(each) for each in got["watch"]["events"] if each[1] != "chmod"]
    assert names == [("a.txt", "create"), ("a.txt", "write"), ("a.txt", "remove")]
    assert got["watch"]["missing"] == "FileNotFoundError"
    assert got["terminal"] == {"size": True, "cwd": True, "code": ["CommandExitError", 5]}
