"""Daytona's repositories, without a remote on a network."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.dialects.files import put
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks

HERE = {"path": "{dir}"}
INIT = Call("POST", "/git/init", json={**HERE, "initial_branch": "main"}, status=201)
STATUS = "/git/status?path={dir}"
BRANCHES = "/git/branches?path={dir}"
HISTORY = "/git/history?path={dir}"


def post(name: str, /, status: int | tuple[int, ...] = 200, **body: Any) -> Call:
    """Return the call of an operation on the repository."""
    return Call("POST", f"/git/{name}", json={**HERE, **body}, status=status)


def commit(message: str) -> tuple[Call, ...]:
    """Return the calls that commit all files."""
    body = {**HERE, "message": message, "author": "An Author", "email": "author@example.com"}
    made = Call("POST", "/git/commit", json=body, has={"hash": str}, keep={"hash": "hash"})
    return post("add", files=["."]), made


FIRST = (put("a", b"one\n"), *commit("First"))


def case(name: str, *steps: Step) -> Case:
    """Return a case in a repository of its own."""
    return Case(name, (INIT, *steps))


TABLES = (
    Table(
        "git",
        (
            case(
                "a new repository",
                put("a", b"x"),
                Call(
                    "GET", STATUS, has={"currentBranch": "main", "fileStatus": Holds({"name": "a"})}
                ),
            ),
            case(
                "a file that is added",
                put("a", b"x"),
                post("add", files=["a"]),
                Call("GET", STATUS, has={"fileStatus": Holds({"name": "a", "staging": "Added"})}),
            ),
            case("a commit", *FIRST, Call("GET", STATUS, has={"fileStatus": []})),
            case(
                "a changed file",
                *FIRST,
                put("a", b"two\n"),
                Call(
                    "GET", STATUS, has={"fileStatus": Holds({"name": "a", "worktree": "Modified"})}
                ),
            ),
            case(
                "the history",
                *FIRST,
                Call(
                    "GET",
                    HISTORY,
                    has=Holds(
                        {
                            "hash": "{hash}",
                            "author": "An Author",
                            "email": "author@example.com",
                            "message": Has("First"),
                        }
                    ),
                ),
            ),
            case(
                "a second commit is first",
                *FIRST,
                put("b", b"x"),
                *commit("Second"),
                Call("GET", HISTORY, has=Holds({"hash": "{hash}", "message": Has("Second")})),
            ),
            case("branches", *FIRST, Call("GET", BRANCHES, has={"branches": Holds("main")})),
            case(
                "a new branch",
                *FIRST,
                post("branches", 201, name="topic"),
                Call("GET", BRANCHES, has={"branches": Holds("topic")}),
            ),
            case(
                "a checkout",
                *FIRST,
                post("branches", 201, name="topic"),
                post("checkout", branch="topic"),
                Call("GET", STATUS, has={"currentBranch": "topic"}),
            ),
            # A checkout that only moves the name would show the other branch's commits.
            case(
                "branches are apart",
                *FIRST,
                post("branches", 201, name="topic"),
                post("checkout", branch="topic"),
                put("b", b"x"),
                *commit("On topic"),
                post("checkout", branch="main"),
                Call("GET", HISTORY, has=Lacks({"message": Has("On topic")})),
            ),
            case(
                "a branch is deleted",
                *FIRST,
                post("branches", 201, name="topic"),
                post("checkout", branch="main"),
                Call("DELETE", "/git/branches", json={**HERE, "name": "topic"}, status=204),
                Call("GET", BRANCHES, has={"branches": Lacks("topic")}),
            ),
            # Of a path on the server: it needs no network.
            case(
                "a clone of a directory",
                *FIRST,
                Call("POST", "/git/clone", json={"url": "{dir}", "path": "{dir}/clone"}),
                Call("GET", "/git/status?path={dir}/clone", has={"currentBranch": "main"}),
            ),
            case(
                "a branch that is missing", *FIRST, post("checkout", (400, 404, 409), branch="none")
            ),
            # An empty commit would be a surprise later.
            case(
                "nothing to commit",
                *FIRST,
                Call(
                    "POST",
                    "/git/commit",
                    status=(400, 409),
                    json={**HERE, "message": "m", "author": "a", "email": "e@example.com"},
                ),
            ),
            Case("what is no repository", [Call("GET", STATUS, status=(400, 404))]),
            Case("no token", [Call("GET", STATUS, status=401, open=True)]),
        ),
        cleanup=(Call("DELETE", "/files?path={dir}&recursive=true", status=(204, 404)),),
    ),
)
