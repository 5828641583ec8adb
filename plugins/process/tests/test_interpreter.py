"""Interpreter contexts against a real service."""

from __future__ import annotations

import json
import select
import shlex
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import DEADLINE
from toolbox.testing import Service


class Result:
    """What a run has told."""

    def __init__(self, ws: websocket.WebSocket) -> None:
        self.stdout = self.stderr = ""
        self.errors: list[dict[str, str]] = []
        self.controls: list[str] = []
        self.events: list[tuple[str, str]] = []
        while True:
            opcode, data = ws.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.code = int.from_bytes(data[:2], "big")
                self.reason = data[2:].decode()
                break
            if opcode == websocket.ABNF.OPCODE_TEXT:
                assert len(data) <= 32 * 1024 or b'"error"' in data
                self.take(json.loads(data))
        ws.close()

    def take(self, event: dict[str, str]) -> None:
        assert set(event) == {"type", "text", "name", "value", "traceback"}
        assert not self.controls, "something after the end"
        self.events.append((event["type"], event["text"]))
        if event["type"] == "stdout":
            self.stdout += event["text"]
        elif event["type"] == "stderr":
            self.stderr += event["text"]
        elif event["type"] == "error":
            self.errors.append(event)
        else:
            self.controls.append(event["text"])

    @property
    def short(self) -> tuple[str, str, int]:
        return self.stdout, self.stderr, self.code


def begin(service: Service, code: Any, **more: Any) -> websocket.WebSocket:
    ws = service.websocket("/process/interpreter/execute")
    ws.send(json.dumps({"code": code, **more}))
    return ws


def run(service: Service, code: Any, **more: Any) -> Result:
    return Result(begin(service, code, **more))


def create(service: Service, **body: Any) -> str:
    answer = service.http.post("/process/interpreter/context", json=body)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"id", "cwd", "createdAt", "active", "language"}
    assert uuid.UUID(answer.json()["id"]).version == 4
    return str(answer.json()["id"])


@pytest.fixture
def context(service: Service) -> str:
    return create(service)


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json()["source"] == "DAYTONA_DAEMON"
    return answer.status_code, answer.json()["code"]


def test_half_an_emoji(service: Service, context: str) -> None:
    # F-C8
    found = run(service, "print(ascii('\ud83d'))", contextId=context)
    assert found.short == ("'\\ufffd'\n", "", 1000)


def test_keeps_state(service: Service, context: str) -> None:
    first = run(service, "x = 41\nimport sys\ndef f(): return x + 1", contextId=context)
    assert first.short == ("", "", 1000)
    assert first.controls == ["completed"]
    second = run(service, "print(f()); print('e', file=sys.stderr)", contextId=context)
    assert second.short == ("42\n", "e\n", 1000)
    assert run(service, "print('x' in globals(), __name__)").stdout == "False __main__\n"


def test_errors_of_the_code(service: Service, context: str) -> None:
    result = run(service, "print('a')\ndef f():\n    1/0\nf()", contextId=context)
    assert result.short == ("a\n", "", 1000)
    assert result.errors == [
        {
            "type": "error",
            "text": "",
            "name": "ZeroDivisionError",
            "value": "division by zero",
            "traceback": "Traceback (most recent call last):\n"
            '  File "<stdin>", line 4\n  File "<stdin>", line 3\n'
            "ZeroDivisionError: division by zero\n",
        }
    ]
    assert result.controls == ["completed"]
    syntax = run(service, "1 +", contextId=context).errors[0]
    assert syntax["name"] == "SyntaxError"
    assert syntax["traceback"] == f"SyntaxError: {syntax['value']}\n"
    for code, name in [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(Exception):\n  def __str__(self): 1/0\nraise E", "E"),
        ("raise BaseException('x')", "BaseException"),
        ("input()", "EOFError"),
        ("await x", "SyntaxError"),
    ]:
        result = run(service, code, contextId=context)
        assert (result.errors[0]["name"], result.code) == (name, 1000)
    assert run(service, "import sys; print(1); sys.exit(3)").short == ("1\n", "", 1000)
    assert run(service, "print(2)").short == ("2\n", "", 1000)


def test_output_of_children_and_descriptors(service: Service, context: str) -> None:
    """The channel is private: nothing is lost, nothing forged."""
    code = (
        "import os, subprocess, json\n"
        "subprocess.run(['echo', 'child'])\n"
        "os.write(1, b'raw\\n')\n"
        "os.write(2, json.dumps({'id': 1, 'error': None}).encode())\n"
        "print('no newline', end='')"
    )
    result = run(service, code, contextId=context)
    assert result.stdout == "child\nraw\nno newline"
    assert result.stderr == '{"id": 1, "error": null}'


@pytest.mark.parametrize(
    "code",
    [
        "print('x' * 2_400_000)",
        "import sys\nfor i in range(100000): sys.stdout.write('xxxxxxxxxxxxxxxxxxxxxxxx\\n')",
        "import os; os.write(1, b'x' * 2_400_000)",
    ],
)
def test_much_output(service: Service, context: str, code: str) -> None:
    assert run(service, code, contextId=context).stdout.replace("\n", "") == "x" * 2_400_000


def test_any_text(service: Service, context: str) -> None:
    """AC-20."""
    code = "print('\\u65e5\\U0001f600\\0\\ud800')\nimport os; os.write(1, b'\\xff\\n')"
    assert run(service, code, contextId=context).stdout == "日😀\0\\ud800\n\ufffd\n"
    assert run(service, "raise ValueError('\\ud800')", contextId=context).errors[0]["value"]
    pieces = "import os, time\nfor b in '€'.encode(): os.write(1, bytes([b])); time.sleep(.1)"
    assert run(service, pieces, contextId=context).stdout == "€"
    assert run(service, f"len('''{'é' * 100000}''')", contextId=context).code == 1000


def test_environment_holds_for_one_run(service: Service, context: str) -> None:
    code = "import os; print(os.environ.get('A'), os.environ.get('HOME') == 'h')"
    envs = {"A": "b c", "HOME": "h"}
    assert run(service, code, contextId=context, envs=envs).stdout == "b c True\n"
    assert run(service, code, contextId=context).stdout == "None False\n"


def test_timeout(service: Service, context: str) -> None:
    run(service, "x = 5", contextId=context)
    begun = time.monotonic()
    result = run(service, "print(1)\nwhile True: pass", contextId=context, timeout=1)
    assert time.monotonic() - begun < 10
    assert (result.short, result.errors, result.controls) == (("1\n", "", 4008), [], [])
    assert "timeout" in result.reason  # F-C1
    assert run(service, "print(x)", contextId=context).stdout == "5\n", "the state is kept"


def test_a_timeout_of_code_that_resists(service: Service) -> None:
    def one(stubborn: str) -> None:
        context = create(service)
        run(service, "x = 5", contextId=context)
        result = run(service, stubborn, contextId=context, timeout=1)
        assert (result.code, result.controls) == (4008, [])
        lost = run(service, "print('x' in globals())", contextId=context)
        assert lost.short == ("False\n", "", 1000)

    resisting = (
        "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass",
        "import signal; signal.signal(2, lambda *args: print('no'))\nwhile True: pass",
    )
    with ThreadPoolExecutor(len(resisting)) as pool:
        for _ in pool.map(one, resisting):
            pass


def test_a_timeout_counts_from_the_turn(service: Service, context: str) -> None:
    first = begin(service, "import time; time.sleep(2.2); print('first')", contextId=context)
    second = run(service, "print('second')", contextId=context, timeout=2)
    assert second.short == ("second\n", "", 1000)
    assert Result(first).stdout == "first\n"


def test_the_end_of_the_process(service: Service, context: str) -> None:
    """AC-08, AC-09: told at once and why, never as a success, and the next run works."""
    for code, end in (
        ("import os; print('p'); os._exit(1)", " 1 (exited)"),
        ("import os; print('p'); os.kill(os.getpid(), 9)", " 137 (signal)"),
        ("import os, time; os.closerange(3, 9999); time.sleep(1000)", " (cancelled)"),
    ):
        begun = time.monotonic()
        result = run(service, f"{code}", contextId=context)
        assert time.monotonic() - begun < 10
        assert (result.code, result.reason.endswith(end)) == (1001, True), result.reason
        assert result.errors[0]["name"] == "InterpreterExited"
        assert result.controls == []
        assert run(service, "print('again')", contextId=context).short == ("again\n", "", 1000)


def test_a_forked_child_is_no_second_interpreter(service: Service, context: str) -> None:
    code = "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('done')"
    result = run(service, code, contextId=context)
    assert (result.stdout, result.code) == ("done\ndone\n", 1000)
    assert run(service, "print(1)", contextId=context).short == ("1\n", "", 1000)


def test_contexts(service: Service) -> None:
    context = create(service, cwd="/usr", language="python")
    listed = service.http.get("/process/interpreter/context").json()["contexts"]
    info = next(each for each in listed if each["id"] == context)
    assert info.pop("createdAt")
    assert info == {"id": context, "cwd": "/usr", "active": True, "language": "python"}
    assert "default" not in [each["id"] for each in listed]
    assert run(service, "import os; print(os.getcwd())", contextId=context).stdout == "/usr\n"
    answer = service.http.delete(f"/process/interpreter/context/{context}")
    assert (answer.status_code, type(answer.json()["message"])) == (200, str)
    path = "/process/interpreter/context"
    assert error(service.http.delete(f"{path}/{context}")) == (404, "PROCESS_NOT_FOUND")
    assert error(service.http.delete(f"{path}/default")) == (400, "BAD_REQUEST")
    assert error(service.http.post(path, json={"language": "ruby"})) == (400, "BAD_REQUEST")
    assert error(service.http.post(path, json={"language": ""})) == (400, "BAD_REQUEST")
    assert error(service.http.post(path, json={"cwd": "/no/such/place"})) == (400, "BAD_REQUEST")
    assert error(service.http.post(path)) == (400, "INVALID_REQUEST_BODY")


def test_delete_ends_what_runs(service: Service, context: str, pid_file: Path) -> None:
    code = (
        "import subprocess, time\n"
        f"p = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        f"open('{pid_file}', 'w').write(f'{{p.pid}}\\n')\ntime.sleep(1000)"
    )
    running = begin(service, code, contextId=context)
    pid = read_pid(pid_file)
    waiting = begin(service, "print('never')", contextId=context)
    service.http.delete(f"/process/interpreter/context/{context}")
    assert not alive(pid)
    result = Result(running)
    assert (result.stdout, result.code) == ("", 1001)
    assert result.errors
    result = Result(waiting)
    # It may have come after the end: then nobody knows the context.
    assert (result.stdout, result.code) in (("", 1001), ("", 1008))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", 1002),
        ('"text"', 1002),
        ('{"code": 1}', 1002),
        ('{"code": "1", "timeout": 1.5}', 1002),
        ('{"code": "1", "envs": {"A": 1}}', 1002),
        ('{"code": ""}', 1008),
        ("{}", 1008),
        ('{"code": "1", "timeout": -1}', 1008),
        ('{"code": "1", "contextId": "nobody"}', 1008),
        ('{"code": "1", "envs": {"A=B": "c"}}', 1008),
    ],
)
def test_bad_first_messages(service: Service, message: str, code: int) -> None:
    ws = service.websocket("/process/interpreter/execute")
    ws.send(message)
    result = Result(ws)
    assert result.code == code
    assert "nobody" not in message or "nobody" in result.reason


def test_a_binary_first_message_and_later_ones(service: Service) -> None:
    ws = service.websocket("/process/interpreter/execute")
    ws.send_binary(b'{"code": "print(1)", "timeout": 0, "contextId": null, "envs": null}')
    ws.send("ignored")
    assert Result(ws).short == ("1\n", "", 1000)


def test_a_client_that_leaves_stops_nothing(service: Service, context: str, tmp_path: Path) -> None:
    file = tmp_path / "done"
    code = f"import time; time.sleep(0.5); open('{file}', 'w').write('x')"
    begin(service, code, contextId=context).close()
    assert run(service, "print('next')", contextId=context).short == ("next\n", "", 1000)
    eventually(file.exists, "the code of the client that left")


def test_not_an_upgrade(service: Service) -> None:
    assert service.http.get("/process/interpreter/execute").status_code == 400


def test_code_that_comes_while_its_context_goes(service: Service) -> None:
    """It is run, or told that it isn't; the service goes on."""
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            context = create(service)
            runs = [pool.submit(run, service, "print(1)", contextId=context) for _ in range(4)]
            path = f"/process/interpreter/context/{context}"
            assert service.http.delete(path).status_code == 200
            for each in runs:
                result = each.result()
                assert result.code in (1000, 1001, 1008)
                assert (result.code == 1000) is (result.controls == ["completed"])


def test_a_context_that_is_deleted_while_it_starts_leaves_nothing(service: Service) -> None:
    contexts = [create(service) for _ in range(4)]
    for context in contexts:
        run(service, "import os; os._exit(1)", contextId=context)
        again = begin(service, "pass", contextId=context)
        service.http.delete(f"/process/interpreter/context/{context}")
        assert Result(again).code in (1000, 1001, 1008)

    def left() -> list[str]:
        jobs = service.http.get("/x/jobs").json()["jobs"]
        return [job["id"] for job in jobs if job["command"] in contexts and not job["done"]]

    eventually(lambda: not left(), "the end of what was started")


def test_only_statements_are_run(service: Service, context: str) -> None:
    assert run(service, "1 + 1\n'text'", contextId=context).short == ("", "", 1000)


def test_the_default_context_comes_back(service: Service) -> None:
    """At the work directory, and empty."""
    place = "import os; print(os.getcwd(), 'x' in globals()); x = 1"
    end = "import os; os._exit(3)"
    assert run(service, end).code == 1001
    assert run(service, place).stdout == f"{service.work_dir} False\n"
    assert run(service, end).code == 1001
    assert run(service, place).stdout == f"{service.work_dir} False\n"


def test_the_default_context_may_start_with_the_service(make_service: Any) -> None:
    service = make_service(settings="[process.local]\nwarm_interpreter = true\n")

    def started() -> list[int]:
        jobs = service.http.get("/x/jobs").json()["jobs"]
        return [job["pid"] for job in jobs if job["kind"] == "interpreter"]

    eventually(started, "the start")
    (pid,) = started()
    assert run(service, "import os; print(os.getpid())").stdout == f"{pid}\n"
    assert started() == [pid]


def test_who_waits_is_alive_and_delays_no_other_context(
    service: Service, context: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    loop = f"import os, time\nwhile not os.path.exists('{go}'): time.sleep(.01)\nprint('first')"
    first = begin(service, loop, contextId=context)
    second = begin(service, "print('second')", contextId=context)
    second.ping("payload")
    opcode, data = second.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"payload")
    assert run(service, "print('other')").stdout == "other\n"
    go.touch()
    assert (Result(first).stdout, Result(second).stdout) == ("first\n", "second\n")


def test_many_at_once(service: Service) -> None:
    contexts = [create(service) for _ in range(8)]

    def one(number: int) -> bool:
        context = contexts[number % 8]
        return run(service, f"print({number})", contextId=context).stdout == f"{number}\n"

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(64)))
    for context in contexts:
        service.http.delete(f"/process/interpreter/context/{context}")


def test_no_more_than_a_hundred_and_twenty_eight_wait(service: Service, context: str) -> None:
    first = begin(
        service, "import time\nprint('here', flush=True)\ntime.sleep(1000)", contextId=context
    )
    assert "here" in first.recv()
    waiting = [begin(service, "pass", contextId=context) for _ in range(129)]
    # Whose turn to be taken is last is not told: one of them is one too many.
    ready, _, _ = select.select([ws.sock for ws in waiting], [], [], DEADLINE)
    (refused,) = [ws for ws in waiting if ws.sock in ready]
    result = Result(refused)
    assert result.short == ("", "", 1013)
    assert result.reason == "too many runs wait for this context (limit 128)"
    service.http.delete(f"/process/interpreter/context/{context}")
    for ws in [first, *waiting]:
        ws.close()


def test_python_may_be_missing(make_service: Any) -> None:
    service = make_service(env={"PATH": "/nowhere"})
    answer = service.http.post("/process/interpreter/context", json={})
    assert (answer.status_code, answer.json()["message"]) == (501, "python3: not installed")
    assert answer.json()["code"] == "PROGRAM_MISSING"


def joined(result: Result) -> list[tuple[str, str]]:
    """The output by stream, what lies together in one piece."""
    found: list[tuple[str, str]] = []
    for stream, text in result.events:
        if found and found[-1][0] == stream:
            found[-1] = (stream, found[-1][1] + text)
        elif stream in ("stdout", "stderr"):
            found.append((stream, text))
    return found


ORDERED = {
    "prints": (
        "import sys\nfor n in range(10):\n"
        "    print('o', n, flush=True)\n    print('e', n, file=sys.stderr, flush=True)"
    ),
    "unfinished lines": (
        "import sys\nfor n in range(10):\n"
        "    sys.stdout.write(f'o {n}\\n')\n    sys.stderr.write(f'e {n}')\n"
        "    sys.stderr.write('\\n')"
    ),
    "other ways to write": (
        "import logging, os, subprocess, sys\n"
        "logging.basicConfig(format='%(message)s', stream=sys.stderr)\nfor n in range(10):\n"
        "    if n % 3 == 0: os.write(1, b'o %d\\n' % n)\n"
        "    elif n % 3 == 1: subprocess.run(['echo', f'o {n}'])\n"
        "    else: sys.stdout.buffer.write(b'o %d\\n' % n)\n"
        "    logging.warning('e %d', n)"
    ),
}


@pytest.mark.parametrize("way", ORDERED)
def test_the_order_of_both_streams(service: Service, context: str, way: str) -> None:
    """F-A9: the one they were written in."""
    wanted = [(stream, f"{stream[3]} {n}\n") for n in range(10) for stream in ("stdout", "stderr")]
    for _ in range(3):
        assert joined(run(service, ORDERED[way], contextId=context)) == wanted


def test_order_makes_nobody_wait_for_ever(service: Service, context: str, tmp_path: Path) -> None:
    """F-A9: where the code has replaced a stream, or closed it, it is no pipe of ours."""
    code = (
        "import os, sys\nkept = os.dup(1)\nread, write = os.pipe()\nos.dup2(write, 1)\n"
        "print('unread')\nprint('a', file=sys.stderr)\nos.close(1)\n"
        f"print('b', file=sys.stderr)\nos.dup2(kept, 1)\nprint(sys.stderr.fileno())\n"
        "sys.stderr.buffer.write(b'c\\xff\\n')\n"
        f"sys.stderr = open({str(tmp_path / 'file')!r}, 'w')\nprint('d', file=sys.stderr)"
    )
    assert run(service, code, contextId=context).short == ("2\n", "a\nb\nc\ufffd\n", 1000)
    more = "print('x' * 300000)\nprint('y' * 300000, file=sys.__stderr__)\nprint('z')"
    result = joined(run(service, more, contextId=context))
    assert [(stream, len(text)) for stream, text in result] == [
        ("stdout", 300001),
        ("stderr", 300001),
        ("stdout", 2),
    ]


@pytest.mark.parametrize("operation", ["execute", "code-run"])
def test_the_order_of_commands(service: Service, operation: str) -> None:
    """F-A9: those whose answer has one text."""
    code = ORDERED["prints"]
    body = {"code": code, "language": "python"}
    if operation == "execute":
        body = {"command": f"python3 -c {shlex.quote(code)}"}
    answer = service.http.post(f"/process/{operation}", json=body).json()
    assert answer["result"] == "".join(f"o {n}\ne {n}\n" for n in range(10))


def test_code_that_waits_for_a_slow_client_goes_on_when_that_reads(service: Service) -> None:
    context = create(service)
    # Validation in Python takes the client longer than all the rest.
    ws = service.websocket("/process/interpreter/execute", skip_utf8_validation=True)
    ws.send(json.dumps({"code": "for i in range(16_000): print('x' * 1023)", "contextId": context}))
    before = 0

    def stalled() -> bool:
        nonlocal before
        jobs = service.http.get("/x/jobs").json()["jobs"]
        written = sum(job["outputEnd"] for job in jobs if job["command"] == context)
        last, before = before, written
        return 1 << 20 < before == last

    eventually(stalled, "the code's waiting")
    assert before < 16_000 * 1024
    received = 0
    while (message := ws.recv_data())[0] == websocket.ABNF.OPCODE_TEXT:
        event = json.loads(message[1])
        received += len(event["text"]) if event["type"] == "stdout" else 0
    assert (received, int.from_bytes(message[1][:2], "big")) == (16_000 * 1024, 1000)
    ws.close()
