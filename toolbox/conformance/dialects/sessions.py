"""Daytona's sessions: shells that keep their state."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks

ONE = "/process/session/{id}"

CLIENT = {"X-Daytona-SDK-Version": "0.226.1", "Accept": "application/json"}
"""Headers of a present client: servers give older ones the two streams as one, with marks."""

CREATE = Call("POST", "/process/session", json={"sessionId": "{id}"}, status=201)


def run(command: str, **has: Any) -> Call:
    """Return the call that runs a command and waits for it."""
    return Call(
        "POST",
        f"{ONE}/exec",
        json={"command": command},
        headers=CLIENT,
        has=has,
        keep={"cmd": "cmdId"},
    )


def start(command: str) -> Call:
    """Return the call that runs a command and doesn't wait."""
    body = {"command": command, "runAsync": True}
    return Call("POST", f"{ONE}/exec", json=body, status=202, keep={"cmd": "cmdId"})


def shows(text: str) -> Call:
    """Return the call that waits until the last command has written ``text``."""
    return Call(
        "GET", f"{ONE}/command/{{cmd}}/logs", headers=CLIENT, has={"output": Has(text)}, until=True
    )


def case(name: str, *steps: Step) -> Case:
    """Return a case in a session of its own."""
    return Case(name, (CREATE, *steps))


TABLES = (
    Table(
        "sessions",
        (
            case("a new one is found", Call("GET", ONE, has={"sessionId": "{id}"})),
            case("it is listed", Call("GET", "/process/session", has=Holds({"sessionId": "{id}"}))),
            # A second client must not get the first one's shell.
            case(
                "an id is used once",
                Call("POST", "/process/session", json={"sessionId": "{id}"}, status=409),
            ),
            case("an exit code", run("(exit 4)", exitCode=4)),
            case("output", run("echo out", exitCode=0, output=Has("out"))),
            case("streams apart", run("echo a; echo b >&2", stdout=Has("a"), stderr=Has("b"))),
            # Without these a session is nothing but commands.
            case("a variable stays", run("x=5"), run("echo =$x=", output=Has("=5="))),
            case("a directory stays", run("cd /usr"), run("pwd", output=Has("/usr"))),
            case(
                "a command is found",
                run("echo found"),
                Call("GET", f"{ONE}/command/{{cmd}}", has={"id": "{cmd}", "exitCode": 0}),
            ),
            case(
                "a command in the background",
                start("echo begun; sleep 0.1; echo done"),
                shows("done"),
            ),
            case(
                "its end is seen",
                start("(exit 6)"),
                Call("GET", f"{ONE}/command/{{cmd}}", has={"exitCode": 6}, until=True),
            ),
            # A program that asks would otherwise wait forever.
            case(
                "input",
                start("read line; echo got $line"),
                Call("POST", f"{ONE}/command/{{cmd}}/input", json={"data": "this\n"}, status=204),
                shows("got this"),
            ),
            case("an unknown command", Call("GET", f"{ONE}/command/none", status=404)),
            case(
                "it is deleted",
                Call("DELETE", ONE, status=204),
                Call("GET", ONE, status=404),
                Call("GET", "/process/session", has=Lacks({"sessionId": "{id}"})),
            ),
            Case("an unknown one", [Call("GET", ONE, status=404), Call("DELETE", ONE, status=404)]),
            Case("no token", [Call("GET", "/process/session", status=401, open=True)]),
        ),
        cleanup=(Call("DELETE", ONE, status=(204, 404)),),
    ),
)
