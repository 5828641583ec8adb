"""The official Python SDK, sync and async, on what this group does."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import BarChart
from daytona import CodeRunParams
from daytona import CompositeChart
from daytona import Sandbox
from daytona import SessionExecuteRequest
from daytona.common.errors import DaytonaConflictError
from daytona.common.errors import DaytonaError
from daytona.common.errors import DaytonaNotFoundError
from daytona.common.errors import DaytonaTimeoutError
from daytona.common.pty import PtySize

from toolbox.testing import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """At a home without startup files: a login shell runs whatever is in them."""
    home = tmp_path_factory.mktemp("home")
    running = Service(tmp_path_factory.mktemp("service"), env={"HOME": str(home)})
    try:
        yield running
    finally:
        running.stop()


def test_execute(sandbox: Sandbox) -> None:
    answer = sandbox.process.exec('echo "$A"; pwd; exit 3', cwd="/usr", env={"A": "b c"})
    assert (answer.exit_code, answer.result) == (3, "b c\n/usr\n")
    with pytest.raises(DaytonaTimeoutError):
        sandbox.process.exec("sleep 1000", timeout=1)


def test_run_code(sandbox: Sandbox) -> None:
    params = CodeRunParams(argv=["a b"], env={"X": "y"})
    code = "import sys, os; print(sys.argv[1:], os.environ['X'])"
    answer = sandbox.process.code_run(code, params)
    assert (answer.exit_code, answer.result) == (0, "['a b'] y\n")
    with pytest.raises(Exception, match="408"):
        sandbox.process.code_run("import time; time.sleep(1000)", timeout=1)


def test_the_environment_of_what_starts_later(sandbox: Sandbox, service: Service) -> None:
    # AC-14
    process, interpreter = sandbox.process, sandbox.code_interpreter
    process.create_session("before")
    context = interpreter.create_context()
    set_ = {"set": {"GREETING": "it's set"}}
    assert service.http.post("/env", json=set_).status_code == 200
    command, code = (
        'echo "${GREETING-none}"',
        "import os; print(os.environ.get('GREETING', 'none'))",
    )

    def in_session(name: str) -> str | None:
        request = SessionExecuteRequest(command=command)
        return process.execute_session_command(name, request).stdout

    assert in_session("before") == interpreter.run_code(code, context=context).stdout == "none\n"
    process.create_session("after")
    assert in_session("after") == process.exec(command).result == "it's set\n"
    assert process.code_run(code).result == "it's set\n"
    later = interpreter.create_context()
    assert interpreter.run_code(code, context=later).stdout == "it's set\n"
    terminal = process.create_pty_session("env", envs={"PS1": ""})
    terminal.send_input(f"{command}; exit\n")
    seen = bytearray()
    terminal.wait(on_data=seen.extend)
    assert b"it's set\r\n" in seen
    assert process.exec(command, env={"GREETING": "own"}).result == "own\n"
    service.http.post("/env", json={"unset": ["GREETING"]})
    assert process.exec(command).result == "none\n"


def test_what_can_not_start_is_told_and_leaves_its_id_free(
    sandbox: Sandbox, service: Service
) -> None:
    process, interpreter = sandbox.process, sandbox.code_interpreter
    before = {name: process.exec(f'printf %s "${name}"').result for name in ("HOME", "PATH")}
    old = {"X-Daytona-SDK-Version": "0.102.0"}  # Those start at home.
    body = {"sessionId": "homeless"}
    contexts = [each.id for each in interpreter.list_contexts()]
    with pytest.raises(DaytonaError):
        interpreter.run_code("import os; os._exit(1)")
    service.http.post("/env", json={"set": {"HOME": "/no/such/home", "PATH": "/nowhere"}})
    try:
        refused = service.http.post("/process/session", json=body, headers=old)
        with pytest.raises(DaytonaError, match="not installed"):
            interpreter.run_code("print(1)")
        with pytest.raises(DaytonaError, match="not installed"):
            interpreter.create_context()
        ws = service.websocket("/process/interpreter/execute")
        ws.send('{"code": "print(1)"}')
        closed = ws.recv_data(control_frame=True)[1]
        ws.close()
    finally:
        service.http.post("/env", json={"set": before})
    assert int.from_bytes(closed[:2], "big") == 1011
    assert not refused.is_success
    assert "/no/such/home" in refused.json()["message"]
    assert "homeless" not in [each.session_id for each in process.list_sessions()]
    assert service.http.post("/process/session", json=body, headers=old).status_code == 201
    process.delete_session("homeless")
    assert interpreter.run_code("print(1)").stdout == "1\n"
    assert [each.id for each in interpreter.list_contexts()] == contexts


def test_charts(sandbox: Sandbox) -> None:
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    code = """
import matplotlib.pyplot as plt
plt.bar(['x', 'y'], [1, 2.5]); plt.title('Bars'); plt.show()
f, (a, b) = plt.subplots(1, 2)
a.scatter([1], [2]); b.boxplot([[1, 2, 3]]); plt.show()
"""
    answer = sandbox.process.code_run(code, CodeRunParams(env={"PATH": path}))
    assert answer.exit_code == 0, answer.result
    assert answer.artifacts is not None
    bars, both = answer.artifacts.charts or []
    assert isinstance(bars, BarChart)
    assert isinstance(both, CompositeChart)
    assert (bars.title, [(e.label, e.value) for e in bars.elements]) == (
        "Bars",
        [("x", "1"), ("y", "2.5")],
    )
    assert [each.type for each in both.elements] == ["scatter", "box_and_whisker"]


def test_sessions(sandbox: Sandbox) -> None:
    process = sandbox.process
    process.create_session("sdk")
    with pytest.raises(DaytonaConflictError):
        process.create_session("sdk")
    first = process.execute_session_command("sdk", SessionExecuteRequest(command="X=5; cd /usr"))
    assert (first.exit_code, first.stdout, first.stderr) == (0, "", "")
    second = process.execute_session_command(
        "sdk", SessionExecuteRequest(command="echo $X; pwd >&2; exit 7")
    )
    assert (second.exit_code, second.stdout, second.stderr) == (7, "5\n", "/usr\n")
    with pytest.raises(DaytonaError) as ended:
        process.execute_session_command("sdk", SessionExecuteRequest(command="true"))
    assert (ended.value.status_code, ended.value.code) == (410, "SESSION_ENDED")
    assert [each.exit_code for each in process.get_session("sdk").commands or []] == [0, 7]
    logs = process.get_session_command_logs("sdk", second.cmd_id)
    assert (logs.stdout, logs.stderr) == ("5\n", "/usr\n")
    process.delete_session("sdk")
    with pytest.raises(DaytonaNotFoundError):
        process.get_session("sdk")


def test_input_and_followed_logs(sandbox: Sandbox) -> None:
    process = sandbox.process
    process.create_session("input")
    request = SessionExecuteRequest(command="read x; echo got $x; echo € >&2", run_async=True)
    command = process.execute_session_command("input", request).cmd_id
    process.send_session_command_input("input", command, "hello")
    out: list[str] = []
    err: list[str] = []
    asyncio.run(process.get_session_command_logs_async("input", command, out.append, err.append))
    assert ("".join(out), "".join(err)) == ("hello\ngot hello\n", "€\n")
    assert process.get_session_command("input", command).exit_code == 0
    process.delete_session("input")


def test_a_terminal(sandbox: Sandbox) -> None:
    size = PtySize(rows=30, cols=100)
    envs = {"PS1": "", "WORD": "w x"}
    terminal = sandbox.process.create_pty_session("sdk-pty", cwd="/usr", envs=envs, pty_size=size)
    seen = bytearray()
    terminal.send_input('stty size; pwd; echo "[$WORD]"; read x; stty size; exit 3\n')

    def take(data: bytes) -> None:
        seen.extend(data)
        if b"[w x]\r\n" in seen and not resized.is_set():
            resized.set()
            terminal.resize(PtySize(rows=20, cols=90))
            terminal.send_input("\n")

    resized = threading.Event()
    result = terminal.wait(on_data=take)
    assert b"30 100\r\n/usr\r\n[w x]\r\n" in seen
    assert b"20 90\r\n" in seen
    assert (result.exit_code, terminal.exit_code) == (3, 3)
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.get_pty_session_info("sdk-pty")


def test_a_terminal_that_is_killed(sandbox: Sandbox) -> None:
    terminal = sandbox.process.create_pty_session("sdk-kill")
    assert "sdk-kill" in [each.id for each in sandbox.process.list_pty_sessions()]
    with pytest.raises(DaytonaConflictError):
        sandbox.process.create_pty_session("sdk-kill")
    again = sandbox.process.connect_pty_session("sdk-kill")
    terminal.kill()
    assert terminal.wait().exit_code == 137
    assert again.wait().exit_code == 137
    with pytest.raises(DaytonaError):
        sandbox.process.connect_pty_session("sdk-kill")


def test_an_interpreter(sandbox: Sandbox) -> None:
    interpreter = sandbox.code_interpreter
    context = interpreter.create_context(cwd="/usr")
    chunks: list[Any] = []
    result = interpreter.run_code(
        "import os, sys; x = 1; print(os.getcwd(), os.environ['E']); sys.stderr.write('err')",
        context=context,
        envs={"E": "v"},
        on_stdout=chunks.append,
    )
    assert (result.stdout, result.stderr, result.error) == ("/usr v\n", "err", None)
    assert chunks
    failed = interpreter.run_code("x / 0", context=context)
    assert failed.error is not None
    assert (failed.error.name, failed.error.value) == ("ZeroDivisionError", "division by zero")
    with pytest.raises(DaytonaTimeoutError):
        interpreter.run_code("while True: pass", context=context, timeout=1)
    assert interpreter.run_code("print(x)", context=context).stdout == "1\n"
    with pytest.raises(DaytonaError):
        interpreter.run_code("import os; os._exit(1)", context=context)
    assert interpreter.run_code("print('default')").stdout == "default\n"
    assert context.id in [each.id for each in interpreter.list_contexts()]
    interpreter.delete_context(context)
    with pytest.raises(DaytonaNotFoundError):
        interpreter.delete_context(context)


@pytest.mark.anyio
async def test_everything_async(async_sandbox: AsyncSandbox) -> None:
    process = async_sandbox.process
    assert (await process.exec("echo hi")).result == "hi\n"
    assert (await process.code_run("print(1)")).result == "1\n"
    await process.create_session("async")
    request = SessionExecuteRequest(command="echo a; echo b >&2; sleep 0.2; echo c", run_async=True)
    command = (await process.execute_session_command("async", request)).cmd_id
    out: list[str] = []
    err: list[str] = []
    await process.get_session_command_logs_async("async", command, out.append, err.append)
    assert ("".join(out), "".join(err)) == ("a\nc\n", "b\n")
    await process.delete_session("async")

    seen = bytearray()
    terminal = await process.create_pty_session("async-pty", on_data=seen.extend)
    await terminal.send_input("echo from-$((1)); exit 4\n")
    assert (await terminal.wait()).exit_code == 4
    assert b"from-1\r\n" in seen

    interpreter = async_sandbox.code_interpreter
    assert (await interpreter.run_code("print(2)")).stdout == "2\n"
    with pytest.raises(DaytonaTimeoutError):
        await interpreter.run_code("while True: pass", timeout=1)
