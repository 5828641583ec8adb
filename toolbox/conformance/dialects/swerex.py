"""SWE-ReX's remote runtime."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import Has


def raises(name: str) -> dict[str, Any]:
    """Return what a response has that makes the client raise a class of that name."""
    return {"swerexception": {"class_path": Has(name), "message": str, "extra_info": dict}}


def call(path: str, /, error: str = "", has: Any = None, **body: Any) -> Call:
    """Return a call; with ``error`` it fails with an exception of that class."""
    if error:
        return Call("POST", f"/{path}", json=body, status=511, has=raises(error))
    return Call("POST", f"/{path}", json=body, has=has)


def execute(command: str | list[str], error: str = "", has: Any = None, **options: Any) -> Call:
    """Return the call that runs a command outside of sessions."""
    shell = isinstance(command, str)
    return call("execute", error, has, command=command, shell=shell, **options)


def act(command: str, error: str = "", has: Any = None, **options: Any) -> Call:
    """Return the call that runs a command in the session."""
    body = {"action_type": "bash", "session": "{id}", "command": command, "timeout": 60}
    return call("run_in_session", error, has, **{**body, **options})


def says(output: str, code: int | None = 0) -> dict[str, Any]:
    """Return what an observation has."""
    return {"output": output, "exit_code": code}


def session(name: str, *steps: Step) -> Case:
    """Return a case in a session of its own."""
    return Case(name, (call("create_session", session="{id}", session_type="bash"), *steps))


CLOSE = Call("POST", "/close_session", json={"session": "{id}"}, status=(200, 511))

COMMANDS = (
    Case("it is alive", [Call("GET", "/is_alive", has={"is_alive": True})]),
    Case("words", [execute(["printf", "%s|", "a b", "$x"], has={"stdout": "a b|$x|"})]),
    Case(
        "a shell",
        [
            execute(
                "echo a; echo b >&2; exit 3", has={"stdout": "a\n", "stderr": "b\n", "exit_code": 3}
            )
        ],
    ),
    Case(
        "streams merged",
        [
            execute(
                "echo a; echo b >&2",
                merge_output_streams=True,
                has={"stdout": "a\nb\n", "stderr": ""},
            )
        ],
    ),
    Case("an environment", [execute("echo $A", env={"A": "1 2"}, has={"stdout": "1 2\n"})]),
    Case("a directory", [execute("pwd", cwd="/usr", has={"stdout": "/usr\n"})]),
    Case("a time limit", [execute("sleep 600", "CommandTimeoutError", timeout=0.5)]),
    Case("a checked exit code", [execute("exit 2", "NonZeroExitCodeError", check=True)]),
    Case("a program that is missing", [execute(["no-such-program"], "FileNotFoundError")]),
    Case("an empty command", [execute("", has={"exit_code": 0})]),
    # A client whose connection broke can't know how far its command has come.
    Case(
        "sent again",
        [
            Call(
                "POST",
                "/execute",
                json={"command": "echo x >> {dir}; cat {dir}", "shell": True},
                headers={"X-Request-ID": "{id}"},
                has={"stdout": "x\n"},
            ),
            Call(
                "POST",
                "/execute",
                json={"command": "echo x >> {dir}; cat {dir}", "shell": True},
                headers={"X-Request-ID": "{id}"},
                has={"stdout": "x\n"},
            ),
            execute("rm -f {dir}"),
        ],
    ),
    Case("no token", [Call("GET", "/is_alive", status=(401, 403), open=True)]),
)
SESSIONS = (
    session("output", act("echo hello", has=says("hello\n"))),
    # Prompts, marks and echoes are none of the command's.
    session("nothing is added or lost", act("printf '\\n  x'", has=says("\n  x"))),
    session("state stays", act("cd /usr; x=5"), act("pwd; echo $x", has=says("/usr\n5\n"))),
    session("many lines", act("\n echo a\n\n echo b\n", has=says("a\nb\n"))),
    session("a here-document", act("cat <<E\nx y\nE", has=says("x y\n"))),
    session("a loop", act("for i in 1 2\ndo echo $i\ndone", has=says("1\n2\n"))),
    session("only a comment", act("# echo x", has=says(""))),
    session("a silent exit code", act("(exit 7)", check="silent", has=says("", 7))),
    session("an ignored exit code", act("false", check="ignore", has=says("", None))),
    session("a checked exit code", act("false", "NonZeroExitCodeError")),
    # The shell must not wait for the rest of it.
    session(
        "incorrect syntax", act("(a", "BashIncorrectSyntaxError"), act("echo x", has=says("x\n"))
    ),
    session(
        "a time limit and an interrupt",
        act("sleep 600", "CommandTimeoutError", timeout=0.5),
        call("run_in_session", action_type="bash_interrupt", session="{id}"),
        act("echo back", has=says("back\n")),
    ),
    session(
        "an interactive program",
        act(
            "cat",
            is_interactive_command=True,
            expect=["cat: .*"],
            timeout=0.5,
            error="CommandTimeoutError",
        ),
        act("typed", is_interactive_command=True, expect=["typed"], has={"expect_string": "typed"}),
    ),
    session(
        "a name is used once",
        call("create_session", "SessionExistsError", session="{id}", session_type="bash"),
    ),
    session(
        "closed is gone",
        call("close_session", session="{id}"),
        act("true", "SessionDoesNotExistError"),
        call("close_session", "SessionDoesNotExistError", session="{id}"),
    ),
)
FILES = (
    Case(
        "text survives",
        [
            call("write_file", path="{dir}/a/b", content="\u00e4\n"),
            call("read_file", path="{dir}/a/b", has={"content": "\u00e4\n"}),
        ],
    ),
    Case(
        "an encoding",
        [
            call("write_file", path="{dir}/a", content="\u00e4"),
            call("read_file", path="{dir}/a", encoding="latin-1", has={"content": "\u00c3\u00a4"}),
        ],
    ),
    Case("a file that is missing", [call("read_file", "FileNotFoundError", path="{dir}/none")]),
    Case(
        "an upload",
        [
            Call(
                "POST",
                "/upload",
                form={"file": ("f", b"x"), "target_path": "{dir}/u", "unzip": "false"},
            ),
            call("read_file", path="{dir}/u", has={"content": "x"}),
        ],
    ),
)

TABLES = (
    Table("commands", COMMANDS, token_header="X-API-Key"),
    Table("sessions", SESSIONS, token_header="X-API-Key", cleanup=(CLOSE,)),
    Table("files", FILES, token_header="X-API-Key", cleanup=(execute(["rm", "-rf", "{dir}"]),)),
)
