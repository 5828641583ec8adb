"""Clients of other services, unmodified, each against the group that speaks their service's API."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import TOKEN
from toolbox.testing import Service

Run = Callable[[str, dict[str, str]], Any]
FirstLines = Callable[..., str]


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service that is a sandbox's runtime on its own port: that of the group in the parameter."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = (
            f"[{request.param}]\nports = [{port}]\n"
            f'[plugins]\nenable = ["{request.param}", "process", "files"]\n'
        )
        directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
        service = Service(directory, settings=settings, listener=listener)
    try:
        yield service
    finally:
        service.stop()


def where(service: Service, root: str) -> dict[str, str]:
    """Return the variables by which a program finds the service."""
    return {
        "RUNTIME_URL": service.url + root,
        "RUNTIME_PORT": str(service.port),
        "RUNTIME_TOKEN": TOKEN,
    }


@pytest.mark.parametrize("runtime", ["agentsandbox"], indirect=True)
def test_agent_sandbox(client: Run, runtime: Service, first_lines: FirstLines) -> None:
    got = client("agentsandbox", where(runtime, "/agentsandbox"))
    python = got["python"]
    assert python["run"] == result("out\n", "err\n", 5)
    assert python["slow"] == {**result("begun\n", "", 124), "timed_out": True}
    assert (python["read"], python["streamed"], python["read_to"]) == (
        True,
        "from a stream",
        1280000,
    )
    assert python["list"] == [["data.bin", "file", 1280000]]
    assert python["year"] > 2025
    assert python["exists"] == [True, False]
    assert (python["missing"], python["outside"], python["stranger"]) == (404, 403, 401)
    assert got["sandboxd"] == {
        "read": "one",
        "list": [["one.txt", "file", 3, "0644"], ["two.txt", "file", 3, "0644"]],
        "root": True,
        "exists": [True, False, True],
        "full": 409,
        "outside": 403,
        "deleted": False,
        "tree": False,
    }
    assert got["async"] == result("async\n", "", 0)
    assert first_lines("agent-sandbox", "agentsandbox", runtime, 8888) == "hello\n\n"


@pytest.mark.parametrize("runtime", ["swerex"], indirect=True)
def test_swe_rex(client: Run, runtime: Service, first_lines: FirstLines) -> None:
    got = client("swerex", where(runtime, "/swerex"))
    on, session = got["runtime"], got["runtime"]["session"]
    assert on["alive"] == [True, False]
    assert on["stranger"] == ["ClientResponseError"]
    assert on["execute"] == [
        {"stdout": "a b|$HOME|", "stderr": "", "exit_code": 0},
        {"stdout": "out\n", "stderr": "err\n", "exit_code": 4},
        {"stdout": "out\nerr\n", "stderr": "", "exit_code": 0},
        {"stdout": "/usr\nA=1 2\nPWD=/usr\n", "stderr": "", "exit_code": 0},
        ["CommandTimeoutError"],
        ["NonZeroExitCodeError"],
        ["FileNotFoundError"],
        ["FileNotFoundError"],
    ]
    assert (session["start"], session["again"]) == ("sourced\n", ["SessionExistsError"])
    assert observed(session["state"]) == ("/usr\n42 yes\nhere\n", 0)
    assert observed(session["silent"]) == ("", 9)
    assert observed(session["ignored"]) == ("", None)
    assert session["failed"] == ["NonZeroExitCodeError"]
    assert session["syntax"] == ["BashIncorrectSyntaxError", "bash_stdout", "bash_stderr"]
    assert session["none"] == session["gone"] == on["closed"] == ["SessionDoesNotExistError"]
    assert session["long"] == 200_000
    assert session["slow"] == ["CommandTimeoutError"]
    assert observed(session["after"]) == ("again\n", 0)
    assert (session["asking"], session["quit"]) == (r"\? ", 0)
    assert observed(session["sane"]) == ("sane\n", 0)
    assert session["exit"] == ["NoExitCodeError"]
    assert on["files"] == {
        "texts": ["one", "two \ufffd"],
        "latin": "two \xff",
        "missing": ["FileNotFoundError"],
        "binary": ["ValueError"],
    }
    check_agent(got["agent"])
    assert first_lines("SWE-ReX", "swerex", runtime, 8000) == "hello\n\n"


def check_agent(got: dict[str, Any]) -> None:
    """Check the run of mini-swe-agent: its own agent and environment, with a scripted model."""
    assert got["result"]["exit_status"] == "Submitted"
    assert got["result"]["submission"] == "def f(): return 42\n"
    assert [text.splitlines()[0] for text in got["observations"]] == [
        "<returncode>0</returncode>",
        "<returncode>0</returncode>",
        "<returncode>127</returncode>",
    ]


def observed(observation: dict[str, Any]) -> tuple[str, int | None]:
    return observation["output"], observation["exit_code"]


def result(stdout: str, stderr: str, exit_code: int) -> dict[str, Any]:
    return {"stdout": stdout, "stderr": stderr, "exit_code": exit_code, "timed_out": False}
