"""Edits by the protocol's positions."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolbox_lsp.models import Position
from toolbox_lsp.models import Range
from toolbox_lsp.models import TextEdit
from toolbox_lsp.operations.editing import EditedFile
from toolbox_lsp.operations.editing import apply_edits
from toolbox_lsp.operations.editing import write

from toolbox.errors import Conflict


def edit(line: int, start: int, end: int, text: str, end_line: int | None = None) -> TextEdit:
    last = line if end_line is None else end_line
    return TextEdit(Range(Position(line, start), Position(last, end)), text)


@pytest.mark.parametrize(
    ("text", "edits", "after"),
    [
        ("abc\n", [edit(0, 1, 2, "X")], "aXc\n"),
        # All positions refer to the old text, in any order of the edits.
        ("abc\nabc\n", [edit(1, 0, 1, "long"), edit(0, 0, 1, "")], "bc\nlongbc\n"),
        # Characters are UTF-16 code units.
        ("\U0001f600a\n", [edit(0, 2, 3, "b")], "\U0001f600b\n"),
        ("\u00e9a\n", [edit(0, 1, 2, "b")], "\u00e9b\n"),
        # Insertions at one place keep their order.
        ("ab", [edit(0, 1, 1, "1"), edit(0, 1, 1, "2")], "a12b"),
        # Past the end of a line is its end, past the last line the end of the text.
        ("ab\r\ncd", [edit(0, 9, 9, "!")], "ab!\r\ncd"),
        ("ab\ncd", [edit(0, 0, 0, "all", end_line=9)], "all"),
        ("a\rb\rc", [edit(1, 0, 1, "B")], "a\rB\rc"),
        # No line ends by the protocol, though they are for Python.
        ("a\x0cb\u2028c\nd", [edit(1, 0, 1, "D")], "a\x0cb\u2028c\nD"),
        ("", [edit(0, 0, 0, "new")], "new"),
        ("same", [], "same"),
    ],
)
def test_apply_edits(text: str, edits: list[TextEdit], after: str) -> None:
    assert apply_edits(text, edits) == after


def test_edits_that_overlap_are_refused() -> None:
    with pytest.raises(Conflict):
        apply_edits("abcd", [edit(0, 0, 2, "x"), edit(0, 1, 3, "y")])
    with pytest.raises(Conflict):
        apply_edits("abcd", [edit(0, 3, 1, "x")])


@given(st.text(), st.text(st.characters(exclude_characters="\r\n")), st.text(), st.text())
def test_any_word_can_be_replaced(head: str, before: str, word: str, tail: str) -> None:
    """Edits by positions of the protocol replace exactly the text that they mean."""
    word = word.replace("\r", "").replace("\n", "")
    head = head.replace("\r", "")
    column, width = (len(each.encode("utf-16-le")) // 2 for each in (before, word))
    edits = [edit(head.count("\n") + 1, column, column + width, "NEW")]
    text = f"{head}\n{before}{word}\n{tail}"
    assert apply_edits(text, edits) == f"{head}\n{before}NEW\n{tail}"


def read(*paths: Path) -> list[EditedFile]:
    """Return the files with their status, and a long new content."""
    return [EditedFile(path, path.stat(), path.name.encode() * 300_000) for path in paths]


def test_f_a3_a_full_disk_leaves_all_files_as_they_were(tmp_path: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted; as root it can")
    try:
        one, two = tmp_path / "one", tmp_path / "two"
        one.write_bytes(b"old")
        two.write_bytes(b"old")
        with pytest.raises(OSError, match="two") as caught:
            write(read(one, two))
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(two))
        assert (one.read_bytes(), two.read_bytes()) == (b"old", b"old")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_file_that_has_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    edited = read(file)
    file.write_bytes(b"of somebody else")
    with pytest.raises(Conflict):
        write(edited)
    assert file.read_bytes() == b"of somebody else"
