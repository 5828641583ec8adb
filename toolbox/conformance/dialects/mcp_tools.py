"""Tools over the Model Context Protocol: the file system server's, a shell's, and resources."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Table
from toolbox.conformance.dialects.mcp import META
from toolbox.conformance.dialects.mcp import PARAMS
from toolbox.conformance.dialects.mcp import RESOURCE
from toolbox.conformance.dialects.mcp import answer
from toolbox.conformance.dialects.mcp import headers_of
from toolbox.conformance.dialects.mcp import message
from toolbox.conformance.dialects.mcp import older
from toolbox.conformance.dialects.mcp import refused
from toolbox.conformance.dialects.mcp import stateless
from toolbox.conformance.matching import All
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds


def shows(text: Any) -> dict[str, Any]:
    """Return what the result of a tool has that shows a text."""
    return {"content": Holds({"type": "text", "text": text})}


def tool(name: str, has: Any = None, keep: dict[str, str] | None = None, **arguments: Any) -> Call:
    """Return the call of a tool."""
    call = {"name": name, "arguments": arguments}
    return stateless("tools/call", call, has=has, keep=keep or {})


def fails(name: str, **arguments: Any) -> Call:
    """Return the call of a tool that fails: a result for the model, no error of the protocol."""
    return tool(name, {"isError": True, **shows(str)}, **arguments)


def write(name: str, content: str) -> Call:
    """Return the call that writes a file."""
    return tool("write_file", path=f"{{dir}}/{name}", content=content)


def read(name: str, text: Any, **part: Any) -> Call:
    """Return the call that reads a file."""
    return tool("read_text_file", shows(text), path=f"{{dir}}/{name}", **part)


def edit(old: str, new: str, **options: bool) -> dict[str, Any]:
    """Return the arguments that edit a file."""
    return {"path": "{dir}/a", "edits": [{"oldText": old, "newText": new}], **options}


def listed(name: str, **arguments: Any) -> Call:
    """Return the call of a tool that lists the directory, in which ``a`` and ``b`` are."""
    return tool(name, shows(All((Has("[FILE] a"), Has("[DIR] b")))), path="{dir}", **arguments)


def case(name: str, *calls: Call) -> Case:
    """Return a case in a directory of its own."""
    return Case(name, (tool("create_directory", path="{dir}"), *calls))


def progress() -> Call:
    """Return a call whose progress is asked for: events, the last of which is the response."""
    params = {"name": "run_command", "arguments": {"command": "sleep 1.2; echo a"}}
    meta = {**META, "progressToken": "{id}"}
    note = {"method": "notifications/progress", "params": {"progressToken": "{id}"}}
    return Call(
        "POST",
        "",
        json=message("tools/call", {**params, "_meta": meta}),
        headers=headers_of("tools/call", params),
        has=All((Holds(note), Holds(answer(shows(Has("a\n")))))),
    )


def resource(uri: str, **has: Any) -> Call:
    """Return the call that reads a resource."""
    return stateless("resources/read", {"uri": uri}, has={"contents": Holds({"uri": uri, **has})})


def lacks(uri: str) -> Call:
    """Return the call for a resource that isn't there."""
    return refused("resources/read", PARAMS, {"uri": uri})


LINES = "one\ntwo\nthree\n"
MADE = (write("a", "12"), write("b/c.py", "x"))
REMOVE = tool("run_command", command="rm -rf {dir}")

FILES = (
    case("text survives", write("a", "\u00e4\n"), read("a", "\u00e4\n")),
    case("the first lines", write("a", LINES), read("a", Has("one\ntwo"), head=2)),
    case("the last lines", write("a", LINES), read("a", Has("three"), tail=1)),
    # One that fails must not hide the others.
    case(
        "several files",
        write("a", "first"),
        tool(
            "read_multiple_files",
            shows(All((Has("first"), Has("none")))),
            paths=["{dir}/a", "{dir}/none"],
        ),
    ),
    case(
        "an image",
        write("a.png", "PNG"),
        tool(
            "read_media_file",
            {"content": Holds({"type": "image", "data": "UE5H", "mimeType": "image/png"})},
            path="{dir}/a.png",
        ),
    ),
    case(
        "an edit",
        write("a", LINES),
        tool("edit_file", shows(All((Has("-two"), Has("+2")))), **edit("two", "2")),
        read("a", "one\n2\nthree\n"),
    ),
    # A model looks at the difference before it changes anything.
    case(
        "an edit that is only shown",
        write("a", LINES),
        tool("edit_file", shows(Has("+2")), **edit("two", "2", dryRun=True)),
        read("a", LINES),
    ),
    # Half an edit is worse than none.
    case(
        "an edit without a place",
        write("a", LINES),
        fails("edit_file", **edit("four", "4")),
        read("a", LINES),
    ),
    case("a list", *MADE, listed("list_directory")),
    case("a list with sizes", *MADE, listed("list_directory_with_sizes", sortBy="size")),
    case("a tree", *MADE, tool("directory_tree", shows(Has('"c.py"')), path="{dir}")),
    case(
        "a search",
        *MADE,
        tool("search_files", shows(Has("{dir}/b/c.py")), path="{dir}", pattern="**/*.py"),
    ),
    case("metadata", write("a", "12345"), tool("get_file_info", shows(Has("5")), path="{dir}/a")),
    case(
        "a move",
        write("a", "x"),
        tool("move_file", source="{dir}/a", destination="{dir}/b"),
        read("b", "x"),
        fails("read_text_file", path="{dir}/a"),
    ),
    case("a file that is missing", fails("read_text_file", path="{dir}/none")),
    # The model can do better, which it can't after an error of the protocol.
    case("arguments that make no sense", fails("read_text_file", path=["{dir}"])),
    case(
        "of the older revision",
        write("a", "x"),
        older(
            "tools/call",
            {"name": "read_text_file", "arguments": {"path": "{dir}/a"}},
            has=shows("x"),
        ),
    ),
)
SHELL = (
    Case("output", [tool("run_command", shows(Has("3\n")), command="echo $((1 + 2))")]),
    # A command that fails is a result, and no failure of the tool.
    Case(
        "an exit code",
        [tool("run_command", {"structuredContent": {"exitCode": 7}}, command="exit 7")],
    ),
    Case(
        "a directory and an environment",
        [
            tool(
                "run_command",
                shows(Has("/usr 1")),
                command='echo "$PWD $A"',
                cwd="/usr",
                env={"A": "1"},
            )
        ],
    ),
    # Or else an agent waits forever for what asks a question.
    Case("a time limit", [fails("run_command", command="sleep 600", timeout=1)]),
    Case(
        "the background",
        [
            tool(
                "start_command",
                keep={"job": "result.structuredContent.jobId"},
                command="read x; echo got $x",
            ),
            tool("send_input", jobId="{job}", text="it\n"),
            tool(
                "get_output",
                {"structuredContent": {"output": "got it\n", "done": True, "exitCode": 0}},
                jobId="{job}",
                wait=60,
            ),
        ],
    ),
    # exec, so that the signal reaches the program itself.
    Case(
        "the end of a command",
        [
            tool(
                "start_command",
                keep={"job": "result.structuredContent.jobId"},
                command="exec sleep 600",
            ),
            tool("kill", jobId="{job}"),
            tool("get_output", {"structuredContent": {"done": True}}, jobId="{job}", wait=60),
        ],
    ),
    Case("a command that there is not", [fails("get_output", jobId="{id}")]),
    Case("progress", [progress()]),
)
RESOURCES = (
    Case("a list", [stateless("resources/list", has={"resources": list})]),
    Case(
        "templates",
        [
            stateless(
                "resources/templates/list",
                has={"resourceTemplates": Holds({"uriTemplate": str, "name": str})},
            )
        ],
    ),
    case("text", write("a", "\u00e4"), resource("file://{dir}/a", text="\u00e4")),
    # What isn't UTF-8 comes in base64.
    case(
        "bytes",
        tool("run_command", command=r"printf '\377\0' > {dir}/b"),
        resource("file://{dir}/b", blob="/wA="),
    ),
    Case("a file that is missing", [lacks("file:///{id}")]),
    Case("another scheme", [lacks("http://{id}/a")]),
    Case(
        "of the older revision",
        [older("resources/read", {"uri": "file:///{id}"}, error=RESOURCE)],
    ),
)

TABLES = (
    Table("files", FILES, cleanup=(REMOVE,)),
    Table("shell", SHELL),
    Table("resources", RESOURCES, cleanup=(REMOVE,)),
)
