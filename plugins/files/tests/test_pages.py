"""Searching and reading by pages, with budgets: ``/x/files/grep``, ``glob`` and ``lines``."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_files.helpers import page_main
from toolbox_files.helpers import search_main
from toolbox_files.helpers.expressions import compile_expression
from toolbox_files.helpers.expressions import needed_text
from toolbox_files.helpers.page_main import PageTask
from toolbox_files.helpers.search_main import OutOfTime
from toolbox_files.helpers.search_main import Task
from toolbox_files.page_models import LinesQuery
from toolbox_files.read.lines import LinePlace
from toolbox_files.read.lines import LineReader

from toolbox.processes import descendants
from toolbox.testing import Service

MiB = 1024 * 1024


def get(service: Service, operation: str, path: Path | str, **query: Any) -> Any:
    params = {"path": str(path), **query}
    answer = service.http.get(f"/x/files/{operation}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(service: Service, operation: str, path: Path | str, **query: Any) -> list[Any]:
    """All pages of a search, each by the cursor of the one before."""
    found = [get(service, operation, path, **query)]
    while cursor := found[-1].get("cursor"):
        assert found[-1]["truncated"]
        found.append(get(service, operation, path, **{**query, "cursor": cursor}))
    assert not found[-1]["truncated"]
    return found


def refusal(service: Service, operation: str, **query: Any) -> tuple[int, str]:
    answer = service.http.get(f"/x/files/{operation}", params=query)
    return answer.status_code, answer.json()["code"]


def places(page: Any) -> list[tuple[str, int]]:
    return [(match["file"].rpartition("/")[2], match["line"]) for match in page["matches"]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Names that sort differently as texts and as paths."""
    top = tmp_path / "tree"
    for name in ("a/x", "a/y/z", "a-b", "a.txt", "b/é", "b/日", "c"):
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("one\nneedle 1\nthree\nneedle 2\n")
    return top


# Lines by expression


def test_context_is_merged_as_grep_merges_it(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(
        "".join(f"{'hit' if n in (1, 4, 6, 20, 30) else 'line'} {n}\n" for n in range(31))
    )
    for context in (0, 1, 2, 3, 40):
        page = get(service, "grep", file, pattern="^hit", context=context)
        command = ["grep", "-n", f"-C{context}", "--no-group-separator", "^hit", str(file)]
        expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        ours = ""
        for match in page["matches"]:
            before, after = match.get("before", []), match.get("after", [])
            for index, text in enumerate([*before, match["content"], *after]):
                mark = ":" if index == len(before) else "-"
                ours += f"{match['line'] - len(before) + index}{mark}{text}\n"
        assert ours == expected


def test_a_match_has_its_column_and_its_part_of_a_long_line(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "long").write_text("日本" + "x" * 3000 + "needle" + "y" * 3000)
    (tmp_path / "short").write_bytes(b"caf\xe9 \xf0\x9f\x8e\x89 needle\r\n")
    (tmp_path / "binary").write_bytes(b"\0 needle")
    long, short = get(service, "grep", tmp_path, pattern="need(le)", width=20)["matches"]
    assert (long["column"], long["content"], long["cut"]) == (3003, "xxxxneedleyyyyyyyyyy", True)
    assert short == {
        "file": f"{tmp_path}/short",
        "line": 1,
        "column": 8,
        "content": "caf\ufffd \U0001f389 needle",
    }


def test_a_search_may_be_literal_ignore_case_and_choose_files(
    service: Service, tmp_path: Path
) -> None:
    for name in ("a.py", "a.txt", "src/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("f(X)\nF(x)\n")

    def found(**query: Any) -> list[tuple[str, int]]:
        return places(get(service, "grep", tmp_path, **query))

    assert found(pattern="f(X)", literal=True, glob="*.txt") == [("a.txt", 1)]
    assert found(pattern="f(x)", literal=True, ignoreCase=True, glob="src/*") == [
        ("b.py", 1),
        ("b.py", 2),
    ]
    assert found(pattern=r"^F\(", glob="**/*.{py,md}") == [("a.py", 2), ("b.py", 2)]
    assert found(pattern="f.*X", glob="/b.py") == []


TOKENS = [
    "a",
    "b",
    ".",
    "a*",
    "b+",
    "(ab|b)",
    "[ab]",
    r"\d",
    "^",
    "$",
    "é",
    "c?",
    r"\.",
    "a{2}",
    "|",
]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=5).map("".join),
    st.lists(st.text("abcé.1", max_size=6), max_size=8),
    st.booleans(),
)
def test_the_needed_text_leaves_out_no_match(
    pattern: str, lines: list[str], ignore_case: bool
) -> None:
    expression = compile_expression(pattern, False, ignore_case)
    needed = needed_text(expression)
    for line in lines:
        if expression.search(line):
            assert needed in line.encode()


def test_most_patterns_have_a_needed_text() -> None:
    for pattern, needed in (("needle", "needle"), (r"def (a|b)_run\(", "_run("), ("a|b", "")):
        assert needed_text(compile_expression(pattern, False, False)) == needed.encode()


# Pages


@pytest.mark.parametrize("budget", [{"limit": 1}, {"limit": 3}, {"bytes": 1}, {"bytes": 200}])
def test_pages_are_parts_of_the_whole(service: Service, tree: Path, budget: dict[str, int]) -> None:
    whole = get(service, "grep", tree, pattern="needle")["matches"]
    assert len(whole) == 14
    parts = pages(service, "grep", tree, pattern="needle", **budget)
    assert len(parts) > 4
    assert [match for part in parts for match in part["matches"]] == whole
    files = get(service, "glob", tree, pattern="**", type="any")["files"]
    expected = subprocess.run(
        f"find {tree} -mindepth 1 | LC_ALL=C sort -t/", shell=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert sorted(files) == sorted(expected)
    parts = pages(service, "glob", tree, pattern="**", type="any", **budget)
    assert [file for part in parts for file in part["files"]] == files


def test_pages_stay_in_place_while_files_change(service: Service, tree: Path) -> None:
    first = get(service, "grep", tree, pattern="needle", limit=3)
    assert places(first) == [("x", 2), ("x", 4), ("z", 2)]
    (tree / "a" / "x").unlink()
    (tree / "0").write_text("needle")
    (tree / "a" / "y" / "zz").write_text("needle")
    rest = get(service, "grep", tree, pattern="needle", limit=100, cursor=first["cursor"])
    # The new file after the place, not the one before; and nothing twice or left out.
    assert places(rest)[:3] == [("z", 4), ("zz", 1), ("a-b", 2)]
    assert len(rest["matches"]) == 1 + 1 + 5 * 2
    # The very directory of the place becomes a file.
    (tree / "a" / "y" / "z").unlink()
    (tree / "a" / "y" / "zz").unlink()
    (tree / "a" / "y").rmdir()
    (tree / "a" / "y").write_text("needle")
    rest = get(service, "grep", tree, pattern="needle", cursor=first["cursor"])
    assert places(rest)[:2] == [("a-b", 2), ("a-b", 4)]


def test_a_cursor_belongs_to_its_query(service: Service, tree: Path) -> None:
    query = {"path": str(tree), "pattern": "needle", "limit": 2}
    cursor = get(service, "grep", tree, pattern="needle", limit=2)["cursor"]
    refused = 400, "INVALID_CURSOR"
    for change in ({"pattern": "other"}, {"path": f"{tree}/a"}, {"gitignore": False}):
        assert refusal(service, "grep", **{**query, **change, "cursor": cursor}) == refused
    assert refusal(service, "glob", **{**query, "cursor": cursor}) == refused
    assert refusal(service, "lines", path=f"{tree}/c", cursor=cursor) == refused
    # Budgets may change from page to page.
    assert refusal(service, "grep", **{**query, "limit": 0}) == (400, "BAD_REQUEST")
    assert len(get(service, "grep", tree, pattern="needle", cursor=cursor)["matches"]) == 12


def test_a_forged_cursor_is_refused(service: Service, tree: Path) -> None:
    query = {"path": str(tree), "pattern": "needle"}
    cursor = get(service, "grep", tree, pattern="needle", limit=2)["cursor"]
    data = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    other = bytes(data).replace(b'"x"', b'"y"')
    assert other != data
    place = base64.urlsafe_b64encode(b'[["..","..","etc"],1]').decode()
    forged = [
        base64.urlsafe_b64encode(other).decode().rstrip("="),
        place,
        cursor[:-1],
        cursor + "AA",
    ]
    forged += ["x", "=", "%", "\U0001f600", "A" * 5000, "null", "[]", cursor.swapcase()]
    for text in forged:
        for operation in ("grep", "glob", "lines"):
            wanted = {**query, "cursor": text}
            if operation == "lines":
                wanted = {"path": f"{tree}/c", "cursor": text}
            assert refusal(service, operation, **wanted) == (400, "INVALID_CURSOR"), text


def test_many_files_in_pages(service: Service, tmp_path: Path) -> None:
    for number in range(3000):
        directory = tmp_path / f"{number % 7}"
        directory.mkdir(exist_ok=True)
        (directory / f"file-{number}.txt").write_text(f"number {number}\n")
    files = [
        name
        for page in pages(service, "glob", tmp_path, pattern="*/*.txt", limit=400, bytes=MiB)
        for name in page["files"]
    ]
    assert len(files) == len(set(files)) == 3000
    found = pages(service, "grep", tmp_path, pattern=r"^number \d+$", limit=700, bytes=MiB)
    assert [len(page["matches"]) for page in found] == [700, 700, 700, 700, 200]


# What is left out


def test_ignored_files_are_those_of_git(service: Service, tmp_path: Path) -> None:
    top = tmp_path / "repository"
    names = [
        "a.log",
        "keep.log",
        "build/out.py",
        "src/a.py",
        "src/a.log",
        "src/gen/b.py",
        "local.txt",
    ]
    for name in [*names, "src/gen/kept.py", "node_modules/m/index.js"]:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("needle")
    (top / ".gitignore").write_text("*.log\n!keep.log\nbuild/\nnode_modules\n")
    (top / "src" / ".gitignore").write_text("gen/*\n!gen/kept.py\n!a.log\n")
    subprocess.run(["git", "init", "-q", top], check=True)
    (top / ".git" / "info" / "exclude").write_text("local.txt\n")
    command = ["git", "-C", str(top), "ls-files", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    found = get(service, "glob", top, pattern="**")["files"]
    assert {name.removeprefix(f"{top}/") for name in found} == set(listed)
    found = get(service, "grep", top, pattern="needle")["matches"]
    # Without the two files of rules themselves.
    assert {match["file"].removeprefix(f"{top}/") for match in found} == {
        name for name in listed if not name.endswith(".gitignore")
    }
    # In another working tree of the repository, too, where .git is a file.
    git = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "src/.gitignore"], check=True)
    subprocess.run([*git, "commit", "-qm", "rules"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", tmp_path / "other"], check=True)
    (tmp_path / "other" / "local.txt").touch()
    (tmp_path / "other" / "seen.txt").touch()
    found = get(service, "glob", tmp_path / "other", pattern="*.txt")["files"]
    assert found == [f"{tmp_path}/other/seen.txt"]
    # The rules above a directory are those for it, too.
    below = get(service, "glob", top / "src" / "gen", pattern="*")["files"]
    assert below == [f"{top}/src/gen/kept.py"]
    everything = get(service, "grep", top, pattern="needle", gitignore=False, skip=["m"])["matches"]
    assert {Path(match["file"]).name for match in everything} == {
        Path(name).name for name in names
    } | {"kept.py"}


def test_links_are_not_followed_and_types_are_chosen(service: Service, tmp_path: Path) -> None:
    (tmp_path / "directory" / "below").mkdir(parents=True)
    (tmp_path / "directory" / "file").write_text("x")
    (tmp_path / "link").symlink_to("directory")

    def found(**query: Any) -> list[str]:
        files = get(service, "glob", tmp_path, **query)["files"]
        return [name.removeprefix(f"{tmp_path}/") for name in files]

    assert found(pattern="**") == ["directory/file", "link"]
    assert found(pattern="**/*", type="directory") == ["directory", "directory/below"]
    assert found(pattern="*", type="any") == ["directory", "link"]
    assert found(pattern="directory/{file,other}") == ["directory/file"]
    assert found(pattern="link/**") == ["link"]
    os.mkfifo(tmp_path / "fifo")
    for operation in ("grep", "lines"):
        query = {"path": f"{tmp_path}/fifo", "pattern": "x"}
        if operation == "lines":
            del query["pattern"]
        assert refusal(service, operation, **query) == (400, "INVALID_FILE_PATH")


def test_bad_input_is_refused(service: Service, tmp_path: Path) -> None:
    path = str(tmp_path)
    for operation in ("grep", "glob"):
        query = {"path": path, "pattern": "x"}
        assert refusal(service, operation, **{**query, "path": f"{path}/no"})[0] == 404
        assert refusal(service, operation, **{**query, "path": "a\0b"}) == (
            400,
            "INVALID_FILE_PATH",
        )
        for name, value in (("limit", 0), ("bytes", 0), ("seconds", 0), ("limit", 10**30)):
            assert refusal(service, operation, **query, **{name: value})[0] == 400
        assert refusal(service, operation, **{**query, "pattern": ""})[0] == 400
        assert refusal(service, operation, **{**query, "pattern": "[" * 3}) == (
            400,
            "INVALID_PATTERN",
        )
    for pattern in ("a(", "*", "(?P<a", "a{99999999999}", "(?i", "\\", "(" * 5000):
        query = {"path": path, "pattern": pattern}
        assert refusal(service, "grep", **query) == (400, "INVALID_PATTERN")
    assert refusal(service, "glob", path=path, pattern="{a,b}" * 9) == (400, "INVALID_PATTERN")
    assert refusal(service, "grep", path=path, pattern="x", context=101)[0] == 400
    assert refusal(service, "lines", path=path) == (400, "INVALID_FILE_PATH")
    assert refusal(service, "lines", path=f"{path}/no") == (404, "FILE_NOT_FOUND")
    assert refusal(service, "lines", path=path, offset=0)[0] == 400


# Time


def helpers(service: Service) -> list[int]:
    (worker,) = service.workers()
    found = []
    for pid in descendants(worker):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"helpers.page_main" in command:
            found.append(pid)
    return found


def test_an_expression_that_takes_for_ever_ends_in_time(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("match a!\n" + "a" * 5000 + "!\n")
    query = {"pattern": r"(a+)+$|^match", "seconds": 0.5}
    page = get(service, "grep", tmp_path, **query)
    assert (places(page), page["truncated"]) == ([("a", 1)], "time")
    # A page that comes no further has no cursor: the next one would end in the same place.
    page = get(service, "grep", tmp_path, **query, cursor=page["cursor"])
    assert page == {"matches": [], "truncated": "time"}


def test_a_client_that_goes_away_ends_the_search(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a" * 5000 + "!\n")
    query = urlencode({"path": tmp_path, "pattern": "(a+)+$", "seconds": 600})
    head = f"GET /x/files/grep?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}"
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(f"{head}\r\n\r\n".encode())
        service.wait_for(lambda: helpers(service), "the helper")
    service.wait_for(lambda: not helpers(service), "the end of the helper")


def test_no_result_is_written_twice_when_the_time_is_up(tmp_path: Path) -> None:
    """The time may be up right after a write."""
    for number in range(2000):
        (tmp_path / f"{number:04}").touch()
    written: list[bytes] = []

    def write(data: bytes) -> None:
        written.append(data)
        if len(written) == 1:
            raise OutOfTime

    task = Task(kind="names", root=str(tmp_path), shown=str(tmp_path), pattern="*")
    assert search_main.run(task, write) == search_main.TRUNCATED_BY_TIME
    names = b"".join(written).splitlines()
    assert len(names) == len(set(names)) > 100


PROGRAM = """
import sys, time
from toolbox_files.helpers import search_main

class Late:
    def __del__(self):
        # The time is up while an object is deleted: Python drops what is raised here.
        time.sleep(60)

def results(task):
    late = Late()
    del late
    while True:
        pass
    yield ""

search_main.names = results
search_main.begin_time(0.2)
task = search_main.Task(kind="names", root="/", shown="/", pattern="*")
sys.exit(search_main.run(task, print))
"""


def test_the_end_of_the_time_is_not_missed() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=100)
    assert done.returncode == search_main.TRUNCATED_BY_TIME
    assert b"Exception ignored" in done.stderr


@pytest.mark.parametrize("kind", ["grep", "glob"])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_page_out_of_time_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, at: int
) -> None:
    """The time is up wherever the walk is."""
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("needle\nneedle\n")
    walk = page_main.walk

    def interrupted(*arguments: Any) -> Any:
        for number, entry in enumerate(walk(*arguments)):
            if number == at:
                raise OutOfTime
            yield entry

    def run(after: Any) -> tuple[list[Any], Any]:
        written: list[bytes] = []
        task = PageTask(
            kind=kind,
            root=str(tmp_path),
            shown=".",
            pattern="needle" if kind == "grep" else "*",
            limit=1000,
            bytes=MiB,
            width=100,
            after=after,
        )
        page_main.run(task, written.append)
        *values, end = map(json.loads, b"".join(written).splitlines())
        return values, end

    whole, end = run(None)
    assert (end["truncated"], end["at"]) == ("", None)
    with monkeypatch.context() as patch:
        patch.setattr(page_main, "walk", interrupted)
        first, end = run(None)
    assert end["truncated"] == ("time" if at < 5 else "")
    rest = run(end["at"])[0] if end["truncated"] else []
    assert first + rest == whole


# Lines by number


def test_lines_are_numbered(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one\ntwo\n\n\xffour")
    assert get(service, "lines", file) == {
        "lines": [
            {"line": 1, "content": "one"},
            {"line": 2, "content": "two"},
            {"line": 3, "content": ""},
            {"line": 4, "content": "\ufffdour"},
        ],
        "truncated": "",
        "total": 4,
        "finalNewline": False,
    }
    part = get(service, "lines", file, offset=2, limit=1)
    assert part["lines"] == [{"line": 2, "content": "two"}]
    assert (part["truncated"], part["total"], "finalNewline" in part) == ("limit", 4, False)
    assert get(service, "lines", file, offset=5) == {"lines": [], "truncated": "", "total": 4}
    assert get(service, "lines", file, offset=10**12)["total"] == 4


@pytest.mark.parametrize(
    ("content", "total"), [(b"", 0), (b"\n", 1), (b"a", 1), (b"a\n", 1), (b"a\n\n", 2), (b"\na", 2)]
)
@pytest.mark.parametrize("offset", [1, 2, 3, 9])
def test_the_number_of_lines(
    service: Service, tmp_path: Path, content: bytes, total: int, offset: int
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    page = get(service, "lines", file, offset=offset)
    assert (page["total"], len(page["lines"])) == (total, max(0, total + 1 - offset))


def test_line_endings_and_binary_files(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one\r\ntwo\r\nlast")
    page = get(service, "lines", file)
    assert [line["content"] for line in page["lines"]] == ["one", "two", "last"]
    assert page["crlf"] is True
    file.write_bytes(b"one\r\ntwo\n")
    assert "crlf" not in get(service, "lines", file)
    file.write_bytes(b"\0")
    assert refusal(service, "lines", path=str(file)) == (422, "BINARY_FILE")


@settings(deadline=None, max_examples=60)
@given(st.text("a\né\r", max_size=60), st.integers(1, 4), st.integers(1, 60))
def test_pages_of_lines_are_the_file(text: str, limit: int, budget: int) -> None:
    name = os.memfd_create("lines")
    try:
        os.write(name, text.encode())
        query = LinesQuery(path="x", limit=limit, bytes=budget)
        found: list[str] = []
        place: LinePlace | None = LinePlace(1)
        while place is not None:
            os.lseek(name, 0, os.SEEK_SET)
            page, place = LineReader(name, query, bool).read(place)
            found += [line.content for line in page.lines]
            expected = text.removesuffix("\n").split("\n") if text else []
            assert page.total == len(expected)
    finally:
        os.close(name)
    assert found == [line.removesuffix("\r") for line in expected] or text.endswith("\r")


def test_a_page_goes_on_in_a_file_that_has_changed(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("".join(f"line {number}\n" for number in range(1, 11)))
    first = get(service, "lines", file, limit=3)
    again = get(service, "lines", file, limit=2, cursor=first["cursor"])
    assert [line["line"] for line in again["lines"]] == [4, 5]
    file.write_text("a longer first line\n" + "".join(f"line {n}\n" for n in range(2, 11)))
    again = get(service, "lines", file, limit=2, cursor=first["cursor"])
    assert [line["content"] for line in again["lines"]] == ["line 4", "line 5"]


def test_a_line_of_any_length_takes_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "long"
    with file.open("wb") as target:
        for _ in range(64):
            target.write(b"x" * MiB)
        target.write(b"\nlast")
    tracemalloc.start()
    try:
        with file.open("rb") as source:
            query = LinesQuery(path="x", width=10)
            page, _ = LineReader(source.fileno(), query, bool).read(LinePlace(1))
        assert tracemalloc.get_traced_memory()[1] < 8 * MiB
    finally:
        tracemalloc.stop()
    assert [(line.content, line.cut) for line in page.lines] == [("x" * 10, True), ("last", False)]


def test_a_search_of_a_long_line_sees_its_first_part(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"x" * 3 * MiB + b"\n" + b"y" * MiB * 3 + b" needle\nneedle\n")
    assert places(get(service, "grep", file, pattern="x"))[0] == ("long", 1)
    assert places(get(service, "grep", file, pattern="^needle")) == [("long", 3)]
    page = get(service, "grep", file, pattern="^needle", context=1, width=5)
    assert page["matches"][0]["before"] == ["yyyyy"]
    assert re.fullmatch(
        "x+", get(service, "grep", file, pattern="x$", limit=1)["matches"][0]["content"]
    )


# Many files


def test_every_one_of_100000_files_is_found_once(service: Service, tmp_path: Path) -> None:
    directories, names = 200, 500
    for directory in (tmp_path / f"{number:03}" for number in range(directories)):
        directory.mkdir()
        for number in range(names):
            (directory / f"{number:03}.txt").write_bytes(b"one\nneedle\n")
    expected = [
        f"{directory:03}/{name:03}.txt" for directory in range(directories) for name in range(names)
    ]
    found = pages(service, "glob", tmp_path, pattern="**/*.txt", limit=10_000, bytes=8 * MiB)
    assert len(found) > 1
    paths = [os.path.relpath(file, tmp_path) for page in found for file in page["files"]]
    assert paths == expected
    found = pages(service, "grep", tmp_path, pattern="^needle$", limit=10_000, bytes=8 * MiB)
    assert len(found) > 1
    matches = [match for page in found for match in page["matches"]]
    assert [os.path.relpath(match["file"], tmp_path) for match in matches] == expected
    assert {match["line"] for match in matches} == {2}
