"""E2B's envd: processes over the Connect protocol, and the machine."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from toolbox.conformance import streams
from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import All
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks

TOKEN = "X-Access-Token"
FRAMES = {"Content-Type": streams.FRAMES, "Connect-Protocol-Version": "1"}

PROCESS = "process.Process"

STATUSES: dict[str, int | tuple[int, ...]] = {
    "not_found": 404,
    "already_exists": 409,
    "unimplemented": (404, 501),
}


def unary(procedure: str, has: Any = None, error: str = "", **message: Any) -> Call:
    """Return the call of a procedure; with ``error`` it fails with that code."""
    status = STATUSES[error] if error else 200
    if error:
        has = {"code": error, "message": str}
    return Call("POST", f"/{procedure}", json=message, status=status, has=has)


def framed(call: Call, token: str) -> Call:
    """Return a call with its message in a frame."""
    body = streams.frame(json.dumps(call.json).encode())
    return dataclasses.replace(call, json=None, body=body)


def stream(
    procedure: str,
    message: Any,
    *has: Any,
    first: int = 0,
    headers: Mapping[str, str] = FRAMES,
) -> Call:
    """Return a call whose response is a stream that has all of ``has``."""
    return Call(
        "POST",
        f"/{procedure}",
        json=message,
        headers=headers,
        has=All(has),
        made=framed,
        first=first,
    )


def ends(code: str = "ok") -> Holds:
    """Return what a stream has whose last frame has this error, or none."""
    return Holds({"end": code})


def config(command: str, **more: Any) -> dict[str, Any]:
    """Return the message that starts a shell, whose tag is the case's."""
    shell = {"cmd": "/bin/sh", "args": ["-c", command], **more.pop("process", {})}
    return {"process": shell, "tag": "{id}", **more}


def start(command: str, *has: Any, headers: Mapping[str, str] = FRAMES, **more: Any) -> Call:
    """Return the call that runs a command to its end."""
    return stream(f"{PROCESS}/Start", config(command, **more), *has, headers=headers)


def begin(command: str, **more: Any) -> Call:
    """Return the call that starts a command and leaves it."""
    return stream(f"{PROCESS}/Start", config(command, **more), started(), first=1)


def started() -> Holds:
    """Return what a stream has first."""
    return Holds({"event": {"start": {"pid": int}}})


def wrote(text: str, kind: str = "stdout") -> Holds:
    """Return what a stream has that shows output, the first of its kind."""
    # As much of it as is the same whatever comes after.
    data = text.encode()[: len(text.encode()) // 3 * 3]
    return Holds({"event": {"data": {kind: Has(base64.b64encode(data).decode())}}})


def terminal(cols: int, rows: int) -> Call:
    """Return the call that starts a shell on a terminal, as clients do."""
    shell = {"cmd": "/bin/bash", "args": ["-i", "-l"], "cwd": "{dir}"}
    message = {"process": shell, "pty": {"size": {"cols": cols, "rows": rows}}, "tag": "{id}"}
    return stream(f"{PROCESS}/Start", message, started(), first=1)


def ended(**has: Any) -> Holds:
    """Return what a stream has about the end of its process."""
    return Holds({"event": {"end": has}})


def typed(text: str, kind: str = "pty") -> Call:
    """Return the call that sends input."""
    data = base64.b64encode(text.encode()).decode()
    return unary(f"{PROCESS}/SendInput", process=MINE, input={kind: data})


MINE = {"tag": "{id}"}
KILL = unary(f"{PROCESS}/SendSignal", process=MINE, signal="SIGNAL_SIGKILL")
REMOVE = unary("filesystem.Filesystem/Remove", path="{dir}")
LISTED = {"tag": "{id}", "pid": int, "config": {"cmd": "/bin/sh"}}
MAKE = unary("filesystem.Filesystem/MakeDir", path="{dir}")
# In the end under another name: until then it isn't all there.
SIZE = "stty size > b; mv b a\n"
NONE = {"process": {"tag": "none-{id}"}}


def shown(content: bytes) -> Call:
    """Return the call for the file that a process writes."""
    return Call("GET", "/files?path={dir}/a", content=content, until=True)


def listed(has: Any) -> Call:
    """Return the call for the processes that run."""
    return dataclasses.replace(unary(f"{PROCESS}/List", has), until=True)


PROCESSES = (
    Case("output", [start("echo abc", started(), wrote("abc\n"), ended(exited=True), ends())]),
    Case("errors", [start("echo abc >&2", wrote("abc\n", "stderr"), ends())]),
    Case("an exit code", [start("exit 3", ended(exitCode=3, exited=True), ends())]),
    # Clients tell a program that was killed from one that failed by these words.
    Case("a signal", [start("kill -9 $$", ended(exitCode=-1, status="signal: killed"), ends())]),
    Case(
        "a directory and an environment",
        [
            start(
                'echo "$PWD $A"',
                wrote("/usr 1\n"),
                process={"cwd": "/usr", "envs": {"A": "1"}},
            )
        ],
    ),
    # The header is the process's time, not only the request's.
    Case(
        "a time limit",
        [
            start(
                "sleep 600",
                ends("deadline_exceeded"),
                headers={**FRAMES, "Connect-Timeout-Ms": "500"},
            )
        ],
    ),
    # cat ends only if the end of its input arrives, too.
    Case(
        "input and its end",
        [
            MAKE,
            begin("cat > {dir}/b; mv {dir}/b {dir}/a", stdin=True),
            typed("typed", "stdin"),
            unary(f"{PROCESS}/CloseStdin", process=MINE),
            shown(b"typed"),
        ],
    ),
    # Clients disconnect from a command, and connect to it later.
    Case(
        "it runs on without a client",
        [MAKE, begin("echo x > {dir}/b; mv {dir}/b {dir}/a; sleep 600"), shown(b"x\n")],
    ),
    # Output from now on: what was before it is not repeated.
    Case(
        "connect",
        [
            begin("while :; do echo tick; sleep 0.05; done"),
            stream(f"{PROCESS}/Connect", {"process": MINE}, started(), wrote("tic"), first=2),
        ],
    ),
    Case("a list", [begin("sleep 600"), listed({"processes": Holds(LISTED)})]),
    Case(
        "the end by a signal",
        [
            begin("sleep 600"),
            KILL,
            # Without any the list is left out.
            begin("sleep 600", tag="other-{id}"),
            listed({"processes": Lacks(LISTED)}),
            unary(f"{PROCESS}/SendSignal", process={"tag": "other-{id}"}, signal="SIGNAL_SIGKILL"),
        ],
    ),
    # By a file: a terminal's output has prompts and echoes in it.
    Case("a terminal", [MAKE, terminal(91, 33), typed(SIZE), shown(b"33 91\n")]),
    # Typed only after the change, so that the new size is the one shown.
    Case(
        "a terminal's size changes",
        [
            MAKE,
            terminal(91, 33),
            unary(f"{PROCESS}/Update", process=MINE, pty={"size": {"cols": 81, "rows": 25}}),
            typed(SIZE),
            shown(b"25 81\n"),
        ],
    ),
    Case("no such process", [unary(f"{PROCESS}/SendSignal", error="not_found", **NONE, signal=9)]),
    # The status of a stream is 200; clients read the code in its last frame only.
    Case("no such process to follow", [stream(f"{PROCESS}/Connect", NONE, ends("not_found"))]),
    Case("no program", [stream(f"{PROCESS}/Start", {"process": {}}, ends("invalid_argument"))]),
    # The frame promises nine bytes and has one.
    Case(
        "a broken frame",
        [
            Call(
                "POST",
                f"/{PROCESS}/Start",
                body=b"\0\0\0\0\x09{",
                headers=FRAMES,
                has=ends("invalid_argument"),
            )
        ],
    ),
    Case("no such procedure", [unary(f"{PROCESS}/Nothing", error="unimplemented")]),
    # Such as protobuf's own encoding, which a server may lack but must refuse.
    Case(
        "another content type",
        [
            Call(
                "POST",
                f"/{PROCESS}/List",
                body=b"{}",
                headers={"Content-Type": "text/plain"},
                status=415,
            )
        ],
    ),
    Case(
        "no token",
        [Call("POST", f"/{PROCESS}/List", json={}, status=401, has={"code": str}, open=True)],
    ),
)
MACHINE = (
    Case("health", [Call("GET", "/health", status=(200, 204))]),
    Case("metrics", [Call("GET", "/metrics", has={"cpu_count": int, "mem_total": int})]),
    Case("variables", [Call("GET", "/envs", has={})]),
)

TABLES = (
    Table("process", PROCESSES, token_header=TOKEN, cleanup=(KILL, REMOVE)),
    Table("machine", MACHINE, token_header=TOKEN),
)
