"""The tools of the group ``files``."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from .client import McpClient

LINES = "".join(f"line {number}\n" for number in range(1, 101))


@pytest.fixture
def work(mcp: McpClient, tmp_path: Path) -> Path:
    """A directory of the test's own."""
    return tmp_path


def test_parts_of_a_file(mcp: McpClient, work: Path) -> None:
    file = work / "lines"
    file.write_text(LINES)
    assert mcp.text("read_text_file", path=str(file)) == LINES
    assert mcp.text("read_text_file", path=str(file), head=2) == "line 1\nline 2\n"
    assert mcp.text("read_text_file", path=str(file), tail=2) == "line 99\nline 100\n"
    assert mcp.text("read_text_file", path=str(file), start=50, head=1) == "line 50\n"
    assert mcp.text("read_text_file", path=str(file), tail=1000) == LINES
    assert mcp.text("read_text_file", path=str(file), head=1000, tail=None) == LINES
    assert "tail can't" in mcp.failure("read_text_file", path=str(file), head=1, tail=1)
    assert "fewer than 102" in mcp.failure("read_text_file", path=str(file), start=102)
    file.write_text("no newline")
    assert mcp.text("read_text_file", path=str(file), tail=1) == "no newline"
    file.write_bytes(b"\xff caf\xc3\xa9")
    assert mcp.text("read_text_file", path=str(file)) == "\ufffd café"
    file.write_bytes(b"")
    assert mcp.text("read_text_file", path=str(file), tail=3) == ""
    file.write_bytes(b"\0")
    assert "not a text file" in mcp.failure("read_text_file", path=str(file))
    assert "directory" in mcp.failure("read_text_file", path=str(work))


def test_a_long_file_can_be_read_on(mcp: McpClient, work: Path) -> None:
    file = work / "long"
    file.write_text("é" * 40 + "\n")
    with file.open("a") as more:
        more.write("0123456789\n" * 20_000)
    found, start = "", 1
    while start:
        text = mcp.text("read_text_file", path=str(file), start=start)
        assert len(text.encode()) < 101_000
        part, _, note = text.partition("[...")
        found, start = found + part, int(note.rpartition("start=")[2].split()[0]) if note else 0
    assert found == file.read_text()
    assert mcp.text("read_text_file", path=str(file)).startswith("é" * 40 + "\n0123456789\n")
    assert mcp.text("read_text_file", path=str(file), tail=19_000).startswith("[... only the last")
    file.write_text("é" * 100_000 + "\nend\n")
    assert "line 1 is longer than one result" in mcp.text("read_text_file", path=str(file))
    assert mcp.text("read_text_file", path=str(file), start=2) == "end\n"


def test_several_files(mcp: McpClient, work: Path) -> None:
    (work / "one").write_text("1")
    (work / "two").write_text("2")
    paths = [str(work / name) for name in ("one", "missing", "two")]
    one, missing, two = mcp.text("read_multiple_files", paths=paths).split("\n---\n")
    assert (one, two) == (f"{paths[0]}:\n1\n", f"{paths[2]}:\n2\n")
    assert missing.startswith(f"{paths[1]}: Error - file not found")


def test_media(mcp: McpClient, work: Path) -> None:
    for name, kind in (("a.png", "image"), ("a.wav", "audio")):
        (work / name).write_bytes(b"\x89data")
        (block,) = mcp.call("read_media_file", path=str(work / name))["content"]
        assert block["type"] == kind
        assert base64.b64decode(block["data"]) == b"\x89data"
    odd = work / "ä b.zip"
    odd.write_bytes(b"PK")
    (block,) = mcp.call("read_media_file", path=str(odd))["content"]
    assert block["resource"]["uri"].endswith("/%C3%A4%20b.zip")
    assert base64.b64decode(block["resource"]["blob"]) == b"PK"
    with odd.open("wb") as large:
        large.truncate(6 << 20)
    assert "larger than 5.00 MB" in mcp.failure("read_media_file", path=str(odd))


def edits(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"oldText": old, "newText": new} for old, new in pairs]


def test_edits_are_applied_in_order_or_not_at_all(mcp: McpClient, work: Path) -> None:
    file = work / "code.py"
    before = "def f():\n    if x:\n        return 1\n    return 2\n"
    file.write_text(before)
    diff = mcp.text(
        "edit_file", path=str(file), edits=edits(("return 1", "return 3"), ("return 3", "pass"))
    )
    assert file.read_text() == before.replace("return 1", "pass")
    name = str(file).lstrip("/")
    assert diff == (
        f"```diff\n--- a/{name}\n+++ b/{name}\n@@ -1,4 +1,4 @@\n def f():\n     if x:\n"
        "-        return 1\n+        pass\n     return 2\n```"
    )
    after = file.read_text()
    error = mcp.failure("edit_file", path=str(file), edits=edits(("pass", "x"), ("nowhere", "y")))
    assert error == "Could not find exact match for edit:\nnowhere"
    assert file.read_text() == after
    dry = mcp.text("edit_file", path=str(file), edits=edits(("pass", "x")), dryRun=True)
    assert "+        x\n" in dry
    assert file.read_text() == after
    assert "change nothing" in mcp.text("edit_file", path=str(file), edits=edits(("x", "x")))


def test_edits_forgive_indentation(mcp: McpClient, work: Path) -> None:
    file = work / "code.py"
    file.write_text("class A:\n    def f(self):\n        return 1\n\n    x = 1\n")
    given = edits(("def f(self):\n    return 1", "def g(self):\n    if y:\n        return 2"))
    mcp.text("edit_file", path=str(file), edits=given)
    # The second line is moved as it is in the edit; the third has no counterpart and stays.
    assert file.read_text() == (
        "class A:\n    def g(self):\n    if y:\n        return 2\n\n    x = 1\n"
    )


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\n", "a\nb", "c\nd", b"c\r\nd\r\n"),
        (b"a\r\nb\n", "b", "c", b"a\r\nc\n"),
        (b"a\nb\n", "a\r\nb", "c\r\nd", b"c\nd\n"),
        (b"a", "a", "$& \\1", b"$& \\1"),
    ],
)
def test_edits_keep_newlines(
    mcp: McpClient, work: Path, before: bytes, old: str, new: str, after: bytes
) -> None:
    file = work / "file"
    file.write_bytes(before)
    mcp.text("edit_file", path=str(file), edits=edits((old, new)))
    assert file.read_bytes() == after


def test_files_that_an_edit_would_damage_are_refused(mcp: McpClient, work: Path) -> None:
    file = work / "file"
    for content, reason in ((b"a\xff", "not UTF-8"), (b"a\0", "not a text file")):
        file.write_bytes(content)
        assert reason in mcp.failure("edit_file", path=str(file), edits=edits(("a", "b")))
        assert file.read_bytes() == content


def test_directories(mcp: McpClient, work: Path) -> None:
    mcp.text("create_directory", path=str(work / "d/e"))
    mcp.text("create_directory", path=str(work / "d/e"))
    mcp.text("write_file", path=str(work / "d/small"), content="x")
    mcp.text("write_file", path=str(work / "d/large"), content="x" * 2048)
    assert mcp.text("list_directory", path=str(work / "d")) == (
        "[DIR] e\n[FILE] large\n[FILE] small"
    )
    sizes = mcp.text("list_directory_with_sizes", path=str(work / "d"), sortBy="size")
    assert sizes.index("large") < sizes.index("small")
    assert sizes.endswith("Total: 2 files, 1 directories\nCombined size: 2.00 KB")
    info = mcp.structured("get_file_info", path=str(work / "d/large"))
    assert (info["type"], info["size"]) == ("file", 2048)
    mcp.text("move_file", source=str(work / "d/small"), destination=str(work / "moved"))
    assert (work / "moved").read_text() == "x"
    source, destination = str(work / "moved"), str(work / "d/large")
    assert "exists" in mcp.failure("move_file", source=source, destination=destination)


def test_trees(mcp: McpClient, work: Path) -> None:
    for path in ("a/b/c.py", "node_modules/x/y.js", "d/.git/config", "d/e.txt"):
        file = work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    os.symlink(work, work / "a/loop")
    excluded = ["node_modules", ".git", "**/*.txt"]
    for path in (str(work), f"{work}/"):
        tree = json.loads(mcp.text("directory_tree", path=path, excludePatterns=excluded))
        assert tree == [
            {
                "name": "a",
                "type": "directory",
                "children": [
                    {
                        "name": "b",
                        "type": "directory",
                        "children": [{"name": "c.py", "type": "file"}],
                    },
                    {"name": "loop", "type": "directory", "children": []},
                ],
            },
            {"name": "d", "type": "directory", "children": []},
        ]


@pytest.mark.parametrize(
    ("pattern", "excluded", "found"),
    [
        ("*.py", [], ["top.py"]),
        ("**/*.py", [], ["a/b/deep.py", "a/one.py", "top.py"]),
        ("**/*.py", ["b"], ["a/one.py", "top.py"]),
        ("**/*.py", ["a/**"], ["top.py"]),
        ("a/**/*.py", [], ["a/b/deep.py", "a/one.py"]),
        ("a/*.{py,js}", [], ["a/one.js", "a/one.py"]),
        ("**/b", [], ["a/b"]),
        ("a/?ne.[jk]s", [], ["a/one.js"]),
        ("nothing", [], []),
    ],
)
def test_searches(
    mcp: McpClient, work: Path, pattern: str, excluded: list[str], found: list[str]
) -> None:
    for path in ("top.py", "a/one.py", "a/one.js", "a/b/deep.py"):
        file = work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    result = mcp.structured(
        "search_files", path=str(work), pattern=pattern, excludePatterns=excluded
    )
    assert sorted(result["files"]) == [str(work / name) for name in found]
    assert result["truncated"] is False


def test_lines_are_found_by_an_expression(mcp: McpClient, work: Path) -> None:
    (work / "a.py").write_text("one\nneedle 1\nthree\nfour\n")
    (work / "b.txt").write_text("Needle 2\n")
    (work / "c.log").write_text("needle 3\n")
    (work / ".gitignore").write_text("*.log\n")
    found = mcp.text("search_text", path=str(work), pattern=r"^needle \d", context=1)
    assert found == f"{work}/a.py-1-one\n{work}/a.py:2:needle 1\n{work}/a.py-3-three"
    found = mcp.text("search_text", path=str(work), pattern="needle", glob="*.txt", ignoreCase=True)
    assert found == f"{work}/b.txt:1:Needle 2"
    assert mcp.text("search_text", path=str(work), pattern="nothing") == "No matches found"
    found = mcp.text("search_text", path=str(work), pattern="[a-z]", limit=1)
    assert found.startswith(f"{work}/.gitignore:1:*.log\n[... there may be more")
    assert "malformed" in mcp.failure("search_text", path=str(work), pattern="(")
    assert "not found" in mcp.failure("search_text", path=f"{work}/no", pattern="x")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{a,b}" * 10, "more than 100 patterns"),
        ("/".join(["**"] * 60), "at most 50 names"),
        ("[", "malformed"),
        ("", "length >= 1"),
        ("x" * 5000, "length <= 4000"),
    ],
)
def test_patterns_that_would_take_forever(mcp: McpClient, pattern: str, reason: str) -> None:
    assert reason in mcp.failure("search_files", path=".", pattern=pattern)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"path": 1},
        {"path": ""},
        {"path": "a\0b"},
        {"path": "a", "head": -1},
        {"path": "a", "head": 10**30},
        {"path": "a", "head": 1.5},
        {"path": "a", "tale": 1},
        {"path": "x" * 100_000},
    ],
)
def test_wrong_arguments_are_explained(mcp: McpClient, arguments: dict[str, object]) -> None:
    assert len(mcp.failure("read_text_file", **arguments)) < 500 + len(str(arguments))
