"""Commands, by each SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import Sandbox
from daytona import SessionExecuteRequest

JavaScript = Callable[..., Any]

TWO_STREAMS = "echo to-out; echo to-err >&2; sleep 0.1; echo done"


def test_exec(sandbox: Sandbox) -> None:
    answer = sandbox.process.exec("echo hello; echo err >&2; exit 3")
    assert (answer.exit_code, answer.result) == (3, "hello\nerr\n")


def test_exec_with_directory_and_environment(sandbox: Sandbox) -> None:
    answer = sandbox.process.exec('pwd; echo "$WHO"', cwd="/usr", env={"WHO": "a b'c\"dä"})
    assert answer.result == "/usr\na b'c\"dä\n"


@pytest.mark.anyio
async def test_exec_async(async_sandbox: AsyncSandbox) -> None:
    answer = await async_sandbox.process.exec("echo hello")
    assert (answer.exit_code, answer.result) == (0, "hello\n")


@pytest.mark.anyio
async def test_many_at_once_async(async_sandbox: AsyncSandbox) -> None:
    commands = [async_sandbox.process.exec(f"echo {number}") for number in range(20)]
    answers = await asyncio.gather(*commands)
    assert [answer.result for answer in answers] == [f"{number}\n" for number in range(20)]


def test_exec_typescript(javascript: JavaScript) -> None:
    answer = javascript("return await sandbox.process.executeCommand('echo hello; exit 3')")
    assert (answer["exitCode"], answer["result"]) == (3, "hello\n")


# Following the output of a session's command is a WebSocket.


def test_follow_logs(sandbox: Sandbox) -> None:
    sandbox.process.create_session("sync")
    request = SessionExecuteRequest(command=TWO_STREAMS, run_async=True)
    command = sandbox.process.execute_session_command("sync", request)
    out: list[str] = []
    err: list[str] = []
    asyncio.run(
        sandbox.process.get_session_command_logs_async(
            "sync", command.cmd_id, out.append, err.append
        )
    )
    sandbox.process.delete_session("sync")
    assert ("".join(out), "".join(err)) == ("to-out\ndone\n", "to-err\n")


@pytest.mark.anyio
async def test_follow_logs_async(async_sandbox: AsyncSandbox) -> None:
    process = async_sandbox.process
    await process.create_session("async")
    request = SessionExecuteRequest(command=TWO_STREAMS, run_async=True)
    command = await process.execute_session_command("async", request)
    out: list[str] = []
    err: list[str] = []
    await process.get_session_command_logs_async("async", command.cmd_id, out.append, err.append)
    await process.delete_session("async")
    assert ("".join(out), "".join(err)) == ("to-out\ndone\n", "to-err\n")


def test_follow_logs_typescript(javascript: JavaScript) -> None:
    body = """
        await sandbox.process.createSession('ts')
        const request = { command: input, runAsync: true }
        const command = await sandbox.process.executeSessionCommand('ts', request)
        let out = '', err = ''
        await sandbox.process.getSessionCommandLogs(
            'ts', command.cmdId, text => { out += text }, text => { err += text })
        await sandbox.process.deleteSession('ts')
        return [out, err]
    """
    assert javascript(body, input=TWO_STREAMS) == ["to-out\ndone\n", "to-err\n"]
