"""Daytona's files."""

from __future__ import annotations

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks

FOLDER = Call("POST", "/files/folder?path={dir}&mode=0755", status=201)


def put(name: str, content: bytes) -> Call:
    """Return the call that uploads a file."""
    path = f"/files/upload?path={{dir}}/{name}"
    return Call("POST", path, form={"file": ("file", content)})


def get(name: str, content: bytes | None = None, status: int = 200) -> Call:
    """Return the call that downloads a file."""
    return Call("GET", f"/files/download?path={{dir}}/{name}", content=content, status=status)


def info(name: str, /, status: int = 200, **has: object) -> Call:
    """Return the call for the metadata of a file."""
    return Call("GET", f"/files/info?path={{dir}}/{name}", status=status, has=has or None)


def case(name: str, *steps: Step) -> Case:
    """Return a case in a directory of its own."""
    return Case(name, (FOLDER, *steps))


DATA = bytes(range(256)) * 1000

TABLES = (
    Table(
        "files",
        (
            # Every byte, so that neither text nor line ends are taken for granted.
            case("bytes survive", put("a", DATA), get("a", DATA)),
            case("an empty file", put("a", b""), get("a", b"")),
            case("a second upload replaces", put("a", b"first"), put("a", b"2"), get("a", b"2")),
            case("missing directories are made", put("b/c/d", b"x"), get("b/c/d", b"x")),
            case("a name with spaces", put("a%20b%26c", b"x"), get("a%20b%26c", b"x")),
            case("metadata", put("a", b"12345"), info("a", name="a", size=5, isDir=False)),
            case("metadata of a directory", info("", isDir=True)),
            case(
                "a list",
                put("a", b"1"),
                put("b", b"22"),
                Call("GET", "/files?path={dir}", has=Holds({"name": "b", "size": 2})),
            ),
            # Clients make directories without a look whether they are there.
            case("a directory that exists", FOLDER),
            case(
                "a directory's mode",
                Call("POST", "/files/folder?path={dir}/m&mode=0700", status=201),
                info("m", permissions=Has("700")),
            ),
            case(
                "permissions",
                put("a", b"x"),
                Call("POST", "/files/permissions?path={dir}/a&mode=0600"),
                info("a", permissions=Has("600")),
            ),
            case(
                "a move",
                put("a", b"x"),
                Call("POST", "/files/move?source={dir}/a&destination={dir}/b"),
                get("b", b"x"),
                info("a", status=404),
            ),
            case(
                "a deletion",
                put("a", b"x"),
                Call("DELETE", "/files?path={dir}/a", status=204),
                info("a", status=404),
                Call("GET", "/files?path={dir}", has=Lacks({"name": "a"})),
            ),
            case(
                "names that match",
                put("one.txt", b""),
                put("two.md", b""),
                Call(
                    "GET",
                    "/files/search?path={dir}&pattern=*.txt",
                    has={"files": Holds(Has("one.txt"))},
                ),
            ),
            case(
                "lines that match",
                put("a", b"one\ntwo words\n"),
                Call(
                    "GET",
                    "/files/find?path={dir}&pattern=words",
                    has=Holds({"line": 2, "content": Has("two words")}),
                ),
            ),
            # All of them, as editors do.
            case(
                "text that is replaced",
                put("a", b"old old"),
                Call(
                    "POST",
                    "/files/replace",
                    has=Holds({"success": True}),
                    json={"files": ["{dir}/a"], "pattern": "old", "newValue": "new"},
                ),
                get("a", b"new new"),
            ),
            case("a file that is missing", get("none", status=404), info("none", status=404)),
            # A client would save the error's text as the file.
            case("a directory can't be downloaded", get("", status=400)),
            case("no token", Call("GET", "/files?path={dir}", status=401, open=True)),
        ),
        cleanup=(Call("DELETE", "/files?path={dir}&recursive=true", status=(204, 404)),),
    ),
)
