"""The tools of the group ``process``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from toolbox.linux.procfs import is_alive
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

from .client import META
from .client import McpClient
from .client import headers_of


def test_a_command(mcp: McpClient, tmp_path: Path) -> None:
    result = mcp.structured(
        "run_command",
        command='echo "$A"; pwd; echo bad >&2; exit 7',
        cwd=str(tmp_path),
        env={"A": "value"},
    )
    assert result["output"] == f"value\n{tmp_path}\nbad\n"
    assert (result["exitCode"], result["reason"], result["truncated"]) == (7, "exited", False)
    assert mcp.text("run_command", command="echo hi") == "hi\n\n[exit code 0]"
    assert "missing" in mcp.failure("run_command", command="true", cwd=str(tmp_path / "missing"))


def test_a_command_that_takes_too_long_is_ended(mcp: McpClient) -> None:
    result = mcp.call("run_command", command="echo begun; sleep 600", timeout=1)
    assert result["isError"] is True
    assert "timed out after 1 seconds" in result["content"][0]["text"]
    assert result["structuredContent"]["output"] == "begun\n"
    assert result["structuredContent"]["reason"] == "timeout"


def test_of_a_long_output_the_ends_are_shown_and_all_is_kept(mcp: McpClient) -> None:
    result = mcp.structured("run_command", command="seq 100000")
    assert result["truncated"] is True
    assert len(result["output"]) < 31_000
    assert result["output"].startswith("1\n2\n")
    assert result["output"].endswith("99999\n100000\n")
    assert result["logFile"] in result["output"]
    log = Path(result["logFile"])
    assert log.read_text() == "".join(f"{number}\n" for number in range(1, 100_001))
    assert mcp.text("read_text_file", path=result["logFile"], start=50_000, head=1) == "50000\n"
    log.unlink()


def test_a_command_in_the_background(mcp: McpClient) -> None:
    job = mcp.structured("start_command", command="while read line; do echo got $line; done")
    identifier = job["jobId"]
    mcp.text("send_input", jobId=identifier, text="one\n")
    first = {"output": "", "nextOffset": 0}

    def arrived() -> bool:
        first.update(mcp.structured("get_output", jobId=identifier))
        return bool(first["output"])

    mcp.service.wait_for(arrived, "the first line")
    assert first["output"] == "got one\n"
    assert (first["done"], first.get("exitCode")) == (False, None)  # type: ignore[comparison-overlap]
    mcp.text("send_input", jobId=identifier, text="two\n", eof=True)
    rest = mcp.structured("get_output", jobId=identifier, offset=first["nextOffset"], wait=60)
    assert (rest["output"], rest["done"], rest["exitCode"]) == ("got two\n", True, 0)
    assert "has" in mcp.failure("send_input", jobId=identifier, text="three\n")


def test_a_long_output_is_read_in_pieces(mcp: McpClient) -> None:
    job = mcp.structured("start_command", command="seq 50000")["jobId"]
    mcp.structured("get_output", jobId=job, wait=60)
    output, offset = "", 0
    while True:
        piece = mcp.structured("get_output", jobId=job, offset=offset)
        output, offset = output + piece["output"], piece["nextOffset"]
        if piece["logFile"]:
            Path(piece["logFile"]).unlink(missing_ok=True)
        if piece["done"]:
            break
    assert output == "".join(f"{number}\n" for number in range(1, 50_001))


def test_commands_are_ended_and_signaled(mcp: McpClient) -> None:
    trap = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    job = mcp.structured("start_command", command=trap)["jobId"]
    ready = lambda: mcp.structured("get_output", jobId=job)["output"] == "ready\n"  # noqa: E731
    mcp.service.wait_for(ready, "the trap")
    assert "unknown signal" in mcp.failure("kill", jobId=job, signal="NOTHING")
    assert mcp.text("kill", jobId=job, signal="INT") == "sent SIGINT"
    ended = mcp.structured("get_output", jobId=job, wait=60)
    assert (ended["output"], ended["exitCode"]) == ("ready\ncaught\n", 3)
    job = mcp.structured("start_command", command="sleep 600")["jobId"]
    assert mcp.text("kill", jobId=job) == "ended, exit code 143"
    for tool in ("get_output", "kill", "send_input"):
        assert "not found" in mcp.failure(tool, jobId="no-such-job")


def test_progress_comes_as_events(mcp: McpClient) -> None:
    params = {
        "name": "run_command",
        "arguments": {"command": "sleep 1.2; echo done"},
        "_meta": {**META, "progressToken": "token"},
    }
    body = {"jsonrpc": "2.0", "id": "one", "method": "tools/call", "params": params}
    answer = mcp.post(json.dumps(body), **headers_of("tools/call", params))
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    *notes, last = map(json.loads, events)
    assert {note["params"]["progressToken"] for note in notes} == {"token"}
    assert last["id"] == "one"
    assert last["result"]["structuredContent"]["output"] == "done\n"
    # A client that takes no events gets none.
    plain = mcp.post(
        json.dumps(body), Accept="application/json", **headers_of("tools/call", params)
    )
    assert plain.json()["result"]["structuredContent"]["output"] == "done\n"


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("stateless", [True, False])
def test_a_connection_that_ends_cancels_the_call_since_the_revision_that_says_so(
    mcp: McpClient, tmp_path: Path, stateless: bool, events: bool
) -> None:
    path = tmp_path / "pid"
    params: dict[str, Any] = {
        "name": "run_command",
        "arguments": {"command": f"echo $$ > {path}.new; mv {path}.new {path}; sleep 600"},
        "_meta": {**(META if stateless else {}), **({"progressToken": 1} if events else {})},
    }
    headers = headers_of("tools/call", params) if stateless else {}
    with leaving(mcp, params, headers):
        mcp.service.wait_for(path.exists, "the command")
    pid = int(path.read_text())
    if stateless:
        mcp.service.wait_for(lambda: not is_alive(pid), "the end of the command")
    else:
        # Once the request is over nothing ends it any more.
        activity = lambda: mcp.service.http.get("/x/activity").json()  # noqa: E731
        mcp.service.wait_for(lambda: activity()["inFlight"] == 0, "the end of the request")
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def leaving(mcp: McpClient, params: dict[str, Any], headers: dict[str, str]) -> Iterator[None]:
    """Call a tool, and close the connection at the end of the block."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    lines = {
        "Host": "127.0.0.1",
        "Authorization": f"Bearer {TOKEN}",
        "Accept": "application/json, text/event-stream",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    port = int(mcp.service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n{body}".encode())
        yield


def test_an_older_client_cancels_by_a_notification(mcp: McpClient, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    command = f"echo $$ > {path}.new; mv {path}.new {path}; sleep 600"
    params = {"name": "run_command", "arguments": {"command": command}}
    body = json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params})
    cancel = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 5, "reason": "enough"},
    }
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mcp.post, body, **{"Mcp-Session-Id": "mine"})
        mcp.service.wait_for(path.exists, "the command")
        # Another client's request of the same id is another.
        mcp.post(json.dumps(cancel), **{"Mcp-Session-Id": "yours"})
        mcp.post(json.dumps(cancel))
        assert is_alive(int(path.read_text()))
        mcp.post(json.dumps(cancel), **{"Mcp-Session-Id": "mine"})
        answer = waiting.result(DEADLINE)
    assert (answer.status_code, answer.content) == (202, b"")
    mcp.service.wait_for(lambda: not is_alive(int(path.read_text())), "the end of the command")
