"""Daytona's commands and code."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import Has


def run(command: str, status: int = 200, has: Any = None, **options: Any) -> Call:
    """Return the call that runs a command."""
    body = {"command": command, **options}
    return Call("POST", "/process/execute", json=body, status=status, has=has)


def code(source: str, language: str = "python", **has: Any) -> Call:
    """Return the call that runs a program."""
    body = {"code": source, "language": language}
    return Call("POST", "/process/code-run", json=body, has=has)


def ends(result: str, code: int = 0) -> dict[str, Any]:
    """Return what a command's response has."""
    return {"exitCode": code, "result": result}


PROCESS = Table(
    "process",
    (
        # Agents read both of every command.
        Case("output and exit code", [run("echo a; exit 3", has=ends("a\n", 3))]),
        Case("both streams in one result", [run("echo a; echo b >&2", has=ends("a\nb\n"))]),
        Case("a shell's syntax", [run("x=4; echo $((x*2)) | cat", has=ends("8\n"))]),
        Case("a working directory", [run("pwd", cwd="/usr", has=ends("/usr\n"))]),
        Case("variables", [run("echo $A", envs={"A": "1 2"}, has=ends("1 2\n"))]),
        # As shells have them: clients tell by the number what happened.
        Case("a program that is missing", [run("no-such-program", has={"exitCode": 127})]),
        Case("a signal's exit code", [run("kill -9 $$", has={"exitCode": 137})]),
        Case(
            "text beyond ASCII",
            [run("printf '\u00e4\u20ac\U0001f600'", has=ends("\u00e4\u20ac\U0001f600"))],
        ),
        # JSON can't hold them; the response must still be valid.
        Case("bytes that are no text", [run("printf '\\377'", has={"exitCode": 0})]),
        Case(
            "a long output",
            [
                run(
                    "seq 100000 | tail -n 99999 | head -c 500000 | wc -c",
                    has={"result": Has("500000")},
                )
            ],
        ),
        # Clients look for the word, not for the code.
        Case(
            "a time limit",
            [run("sleep 600", timeout=1, status=408, has={"message": Has("timeout")})],
        ),
        Case("an empty command", [run("", status=400, has={"message": str})]),
        Case(
            "a body that is no JSON",
            [
                Call("POST", "/process/execute", body=b"{", status=400, has={"message": str}),
            ],
        ),
        Case(
            "a command of the wrong type",
            [
                Call("POST", "/process/execute", json={"command": 1}, status=400),
            ],
        ),
        # A command without one would be anybody's.
        Case(
            "no token",
            [
                Call("POST", "/process/execute", json={"command": "true"}, status=401, open=True),
            ],
        ),
        Case("Python", [code("print(6 * 7)", exitCode=0, result="42\n")]),
        Case("Python's exit code", [code("raise SystemExit(5)", exitCode=5)]),
        Case("Python's traceback", [code("1 / 0", exitCode=1, result=Has("ZeroDivisionError"))]),
        # A mistake of the client: no 5xx, at which it would try again.
        Case(
            "an unknown language",
            [
                Call(
                    "POST", "/process/code-run", json={"code": "x", "language": "none"}, status=400
                ),
            ],
        ),
    ),
)

TABLES = (PROCESS,)
