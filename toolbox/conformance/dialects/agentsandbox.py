"""The runtime of kubernetes-sigs/agent-sandbox."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks

DIRECTORY = "conformance-{id}"


def run(command: str, seconds: float | None = None, **has: Any) -> Call:
    """Return the call that runs a command."""
    body = {"command": command} | ({} if seconds is None else {"timeout_seconds": seconds})
    return Call("POST", "/execute", json=body, has=has)


def put(name: str, content: bytes) -> Call:
    """Return the call that uploads a file."""
    return Call("POST", "/upload", form={"file": (f"{{dir}}/{name}", content)})


def get(name: str, content: bytes) -> Call:
    """Return the call that downloads a file."""
    return Call("GET", f"/download/{{dir}}%2F{name}", content=content)


def exists(name: str, there: bool) -> Call:
    """Return the call that looks for a file."""
    return Call("GET", f"/exists/{{dir}}%2F{name}", has={"exists": there})


def v1(method: str, name: str, status: int | tuple[int, ...] = 200, **options: Any) -> Call:
    """Return a call of KEP-539.2."""
    return Call(method, f"/v1/files/{{dir}}%2F{name}", status=status, **options)


# Clients only look whether it is an error.
DONE = (200, 201, 204)
REMOVE = Call("DELETE", "/v1/files/{dir}?recursive=true", status=(*DONE, 404))

COMMANDS = (
    Case(
        "output and exit code",
        [
            run(
                "echo a; echo b >&2; exit 3",
                stdout="a\n",
                stderr="b\n",
                exit_code=3,
                timed_out=False,
            )
        ],
    ),
    Case("a program that is missing", [run("no-such-program", exit_code=127)]),
    # What was written until then tells why it took so long.
    Case("a time limit", [run("echo begun; sleep 600", 0.5, timed_out=True, stdout=Has("begun"))]),
    Case("a command in time", [run("echo a", 60, timed_out=False, exit_code=0)]),
    Case("text beyond ASCII", [run("printf '\u00e4\U0001f600'", stdout="\u00e4\U0001f600")]),
    Case("a body without a command", [Call("POST", "/execute", json={}, status=(400, 422))]),
    Case("health", [Call("GET", "/")]),
    Case("no token", [Call("POST", "/execute", json={"command": "true"}, status=401, open=True)]),
)
FILES = (
    Case("bytes survive", [put("a", bytes(range(256)) * 99), get("a", bytes(range(256)) * 99)]),
    Case("missing directories are made", [put("b/c", b"x"), get("b%2Fc", b"x")]),
    Case("what exists", [put("a", b"x"), exists("a", True), exists("b", False)]),
    Case(
        "a list",
        [
            put("a", b"12"),
            Call(
                "GET",
                "/list/{dir}",
                has=Holds({"name": "a", "size": 2, "type": "file", "mod_time": float}),
            ),
        ],
    ),
    Case(
        "a directory in a list",
        [
            put("b/c", b"x"),
            Call("GET", "/list/{dir}", has=Holds({"name": "b", "type": "directory"})),
        ],
    ),
    Case("commands see files", [put("a", b"seen"), run("cat {dir}/a", stdout="seen")]),
    Case("a file that is missing", [Call("GET", "/download/{dir}%2Fnone", status=404)]),
    # Of the root that the runtime was given.
    Case(
        "no way out", [Call("GET", "/download/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd", status=(400, 403))]
    ),
)
KEP = (
    Case(
        "bytes survive", [v1("PUT", "a", DONE, body=b"\0\xff"), v1("GET", "a", content=b"\0\xff")]
    ),
    Case("HEAD finds", [v1("PUT", "a", DONE, body=b"x"), v1("HEAD", "a"), v1("HEAD", "b", 404)]),
    Case(
        "a list",
        [
            v1("PUT", "a", DONE, body=b"12"),
            Call(
                "GET",
                "/v1/files/{dir}",
                has={
                    "entries": Holds(
                        {
                            "name": "a",
                            "size": 2,
                            "type": "file",
                            "modified_at": Has("T"),
                            "mode": str,
                        }
                    )
                },
            ),
        ],
    ),
    Case(
        "a deletion",
        [v1("PUT", "a", DONE, body=b"x"), v1("DELETE", "a", DONE), v1("HEAD", "a", 404)],
    ),
    Case(
        "a directory that is full",
        [
            v1("PUT", "b%2Fc", DONE, body=b"x"),
            v1("DELETE", "b", 409),
            v1("DELETE", "b?recursive=true", DONE),
            Call("GET", "/v1/files/{dir}", has={"entries": Lacks({"name": "b"})}),
        ],
    ),
    Case("no way out", [Call("PUT", "/v1/files/%2E%2E%2Fout", body=b"x", status=(400, 403))]),
    Case("health", [Call("GET", "/v1/health")]),
    Case("metadata", [Call("GET", "/v1/metadata", has={})]),
)

TABLES = (
    Table("commands", COMMANDS, DIRECTORY),
    Table("files", FILES, DIRECTORY, cleanup=(REMOVE,)),
    Table("kep-539.2", KEP, DIRECTORY, cleanup=(REMOVE,)),
)
