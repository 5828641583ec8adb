"""Daytona's terminals."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.cases import Talk
from toolbox.conformance.matching import Holds

ONE = "/process/pty/{id}"


def create(**options: Any) -> Call:
    """Return the call that creates a terminal."""
    has = {"sessionId": "{id}"}
    return Call("POST", "/process/pty", json={"id": "{id}", **options}, status=201, has=has)


def types(text: str, sees: str) -> Talk:
    """Return the conversation in which ``text`` is typed and ``sees`` is written."""
    return Talk(f"{ONE}/connect", f"{text}\n", sees)


def resize(cols: int, rows: int, **options: Any) -> Call:
    """Return the call that changes the size."""
    return Call("POST", f"{ONE}/resize", json={"cols": cols, "rows": rows}, **options)


def case(name: str, *steps: Step, **options: Any) -> Case:
    """Return a case in a terminal of its own."""
    return Case(name, (create(**options), *steps))


TABLES = (
    Table(
        "pty",
        (
            case("a new one is found", Call("GET", ONE, has={"id": "{id}", "active": True})),
            case(
                "it is listed", Call("GET", "/process/pty", has={"sessions": Holds({"id": "{id}"})})
            ),
            case(
                "an id is used once", Call("POST", "/process/pty", json={"id": "{id}"}, status=409)
            ),
            case("its size", Call("GET", ONE, has={"cols": 100, "rows": 30}), cols=100, rows=30),
            case(
                "its directory",
                types("pwd; echo e''nd", "end"),
                Call("GET", ONE, has={"cwd": "/usr"}),
                cwd="/usr",
            ),
            # The text that is expected is not in what is typed, which the terminal echoes.
            case("what is typed runs", types("echo a$((6*7))b", "a42b")),
            case("programs see a terminal", types("test -t 1 && echo y''es", "yes")),
            case("programs see its size", types("stty size", "30 100"), cols=100, rows=30),
            case("variables", types("echo =$GREETING=", "=hello="), envs={"GREETING": "hello"}),
            case(
                "a new size",
                resize(90, 20, has={"cols": 90, "rows": 20}),
                types("stty size", "20 90"),
            ),
            # Clients lose connections, and come back.
            case(
                "it goes on without a client",
                types("x=17; echo s''et", "set"),
                types("echo =$x=", "=17="),
            ),
            # A shell that is still starting would end by it. Nothing is forked once it says that it
            # is ready: a child may lose the signal before it is another program.
            case(
                "Ctrl-C",
                types("sh -c 'echo rea\"\"dy; exec sleep 600'", "ready"),
                types("\x03echo ba''ck", "back"),
            ),
            case("it is deleted", Call("DELETE", ONE), Call("GET", ONE, status=404)),
            # Programs divide by it.
            case("a size that is none", resize(0, 0, status=400)),
            Case("an unknown one", [Call("GET", ONE, status=404), Call("DELETE", ONE, status=404)]),
            Case("no token", [Call("GET", "/process/pty", status=401, open=True)]),
        ),
        cleanup=(Call("DELETE", ONE, status=(200, 404)),),
    ),
)
