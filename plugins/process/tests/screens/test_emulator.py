"""The emulator: what a program writes, and the screen that it leaves."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_process.emulator.screen import HISTORY
from toolbox_process.emulator.screen import MAX_COMBINED
from toolbox_process.emulator.screen import Screen
from toolbox_process.emulator.sequences import MAX_HELD
from toolbox_process.emulator.sequences import Emulator


def shown(data: str | bytes, rows: int = 4, columns: int = 10) -> Screen:
    """The screen after ``data``."""
    emulator = Emulator(Screen(rows, columns))
    emulator.feed(data.encode() if isinstance(data, str) else data)
    return emulator.screen


# Each line: what is written, the lines that are not empty at the end, row and column of the cursor.
DRAWN = {
    "text": ("abc\r\nd", ["abc", "d"], (1, 1)),
    "wraps late": ("0123456789", ["0123456789"], (0, 9)),
    "wraps": ("0123456789ab", ["0123456789", "ab"], (1, 2)),
    "does not wrap": ("\x1b[?7l0123456789ab", ["012345678b"], (0, 9)),
    "scrolls": ("1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"], (3, 1)),
    "line feed alone": ("ab\nc", ["ab", "  c"], (1, 3)),
    "backspace": ("abc\b\bX", ["aXc"], (0, 2)),
    "tab": ("a\tb", ["a       b"], (0, 9)),
    "tab stops": ("\x1b[3g\x1b[4G\x1bH\ra\tb", ["a  b"], (0, 4)),
    "position": ("\x1b[2;3HX", ["", "  X"], (1, 3)),
    "position beyond": ("\x1b[99;99HX", ["", "", "", "         X"], (3, 9)),
    "position at 0": ("\x1b[0;0HX", ["X"], (0, 1)),
    "moves": ("\x1b[2B\x1b[3C1\x1b[A2\x1b[4D3", ["", " 3  2", "   1"], (1, 2)),
    "next line": ("a\x1bEb\x1b[Ec\x1b[2Fd", ["d", "b", "c"], (0, 1)),
    "column and row": ("\x1b[4G1\x1b[3d2", ["   1", "", "    2"], (2, 5)),
    "erases to the end": ("aaa\r\nbbb\x1b[1;2H\x1b[J", ["a"], (0, 1)),
    "erases to the start": ("aaa\r\nbbb\x1b[2;2H\x1b[1J", ["", "  b"], (1, 1)),
    "erases all": ("aaa\r\nbbb\x1b[2J", [], (1, 3)),
    "erases lines": ("abcd\x1b[2G\x1b[K\r\nabcd\x1b[2G\x1b[1K", ["a", "  cd"], (1, 1)),
    "erases cells": ("abcdef\x1b[2G\x1b[3X", ["a   ef"], (0, 1)),
    "inserts cells": ("abcdef\x1b[2G\x1b[2@", ["a  bcdef"], (0, 1)),
    "deletes cells": ("abcdef\x1b[2G\x1b[2P", ["adef"], (0, 1)),
    "inserts lines": ("1\r\n2\r\n3\x1b[2H\x1b[L", ["1", "", "2", "3"], (1, 0)),
    "deletes lines": ("1\r\n2\r\n3\x1b[1H\x1b[2M", ["3"], (0, 0)),
    "a region": ("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3Hx\ny", ["1", "x", " y", "4"], (2, 2)),
    "scrolls a region down": ("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[2H\x1bM", ["1", "", "2", "4"], (1, 0)),
    "origin": ("\x1b[2;3r\x1b[?6h\x1b[1;1HX\x1b[9;1HY", ["", "X", "Y"], (2, 1)),
    "scrolls up": ("1\r\n2\r\n3\x1b[S", ["2", "3"], (2, 1)),
    "scrolls down": ("1\r\n2\x1b[2T", ["", "", "1", "2"], (1, 1)),
    "insert mode": ("abc\r\x1b[4hXY\x1b[4lZ", ["XYZbc"], (0, 3)),
    "repeats": ("ab\x1b[3b", ["abbbb"], (0, 5)),
    "saves the cursor": ("ab\x1b7\x1b[3;3Hx\x1b8c", ["abc", "", "  x"], (0, 3)),
    "draws lines": ("\x1b(0lqk\x1b(Bq", ["┌─┐q"], (0, 4)),
    "draws lines by shift": ("\x1b)0\x0ex\x0fx", ["│x"], (0, 2)),
    "colors": ("\x1b[1;38;5;3ma\x1b[38:2::1:2:3mb\x1b[m", ["ab"], (0, 2)),
    "unknown sequences": ("a\x1b[>4;2m\x1b[5 q\x1b[?u\x1b=\x1b[99zb", ["ab"], (0, 2)),
    "strings": ("a\x1bPq#0;2\x1b\\b\x1b_x\x1b\\c\x1b]52;c;aaaa\x07d", ["abcd"], (0, 4)),
    "a broken sequence": ("a\x1b[12\r\nb", ["a", "b"], (1, 1)),
    "a string cut by another sequence": ("\x1b]0;x\x1b[2CX", ["  X"], (0, 3)),
    "NUL, DEL and bell": ("a\0\x7f\x07b", ["ab"], (0, 2)),
    "tests the alignment": ("\x1b#8", ["E" * 10] * 4, (0, 0)),
    "resets": ("abc\x1b[2;3r\x1bcd", ["d"], (0, 1)),
    "wide": ("日本x", ["日本x"], (0, 5)),
    "wide at the edge": ("123456789日x", ["123456789", "日x"], (1, 3)),
    "wide at the edge, no wrap": ("\x1b[?7l123456789日", ["12345678日"], (0, 9)),
    "half of a wide is overwritten": ("日本\x1b[2Gx\x1b[3Gy", [" xy"], (0, 3)),
    "its first half": ("日本\rx", ["x 本"], (0, 1)),
    "half of a wide is deleted": ("日本\x1b[2G\x1b[P", [" 本"], (0, 1)),
    "a wide is pushed over the edge": ("12345678日\r\x1b[@", [" 12345678"], (0, 0)),
    "combining": ("e\u0301x\u0308", ["e\u0301x\u0308"], (0, 2)),
    "combining with a wide": ("日\u0301x", ["日\u0301x"], (0, 3)),
    "emoji": ("😀x👩\u200d💻", ["😀x👩\u200d💻"], (0, 7)),
    "hangul by parts": ("\u1112\u1161\u11abx", ["\u1112\u1161\u11abx"], (0, 3)),
}


@pytest.mark.parametrize("case", DRAWN)
def test_what_is_drawn(case: str) -> None:
    data, lines, cursor = DRAWN[case]
    screen = shown(data)
    assert [line.rstrip() for line in screen.text()] == lines + [""] * (4 - len(lines))
    assert (screen.y, min(screen.x, 9)) == cursor


@pytest.mark.parametrize("case", DRAWN)
def test_the_pieces_make_no_difference(case: str) -> None:
    data = DRAWN[case][0].encode()
    emulator = Emulator(Screen(4, 10))
    for position in range(len(data)):
        emulator.feed(data[position : position + 1])
    whole = shown(data)
    assert emulator.screen.text() == whole.text()
    assert (emulator.screen.y, emulator.screen.x) == (whole.y, whole.x)


def test_blanks_before_the_cursor() -> None:
    assert shown("a  \r\n日 $ ").text() == ["a", "日 $ ", "", ""]
    assert shown("$ \x1b[3;5H").text() == ["$", "", "    ", ""]


def test_the_alternate_screen() -> None:
    emulator = Emulator(Screen(3, 10))
    emulator.feed(b"shell\r\n$ \x1b[?1049h\x1b[H")
    assert (emulator.screen.alternate, emulator.screen.text()) == (True, ["", "", ""])
    emulator.feed(b"1\r\n2\r\n3\r\n4")
    assert emulator.screen.text() == ["2", "3", "4"]
    assert not emulator.screen.history, "what scrolls off the alternate screen is not kept"
    emulator.feed(b"\x1b[?1049lx")
    assert emulator.screen.text() == ["shell", "$ x", ""]


def test_modes_and_titles() -> None:
    screen = shown("\x1b[?1;25;2004h\x1b[?25l\x1b]0;a title ✓\x07")
    assert screen.modes.application_cursor
    assert screen.modes.bracketed_paste
    assert not screen.modes.cursor_visible
    assert screen.title == "a title ✓"
    assert shown("\x1b]2;by ST\x1b\\").title == "by ST"
    assert shown("\x1b]1;icon\x07").title == ""


def test_history() -> None:
    screen = shown("".join(f"{number}\r\n" for number in range(HISTORY + 100)))
    assert list(screen.history) == [str(number) for number in range(97, HISTORY + 97)]
    # What a region below the top scrolls is not above the screen.
    assert not shown("1\r\n2\r\n3\r\n4\x1b[2;4r\x1b[4;1H\n\n\n").history
    assert not shown("a\r\n\n\n\n\n\x1b[3J").history


def test_sizes() -> None:
    emulator = Emulator(Screen(4, 10))
    emulator.feed("1\r\n2\r\n3\r\n日日日日日".encode())
    emulator.screen.resize(2, 9)
    # The half that is left of a wide character is no character.
    assert emulator.screen.text() == ["3", "日日日日 "]
    assert list(emulator.screen.history) == ["1", "2"]
    emulator.screen.resize(3, 12)
    emulator.feed(b"\r\nx")
    assert emulator.screen.text() == ["3", "日日日日", "x"]
    # Blank lines below the cursor go first.
    emulator = Emulator(Screen(10, 10))
    emulator.feed(b"a\r\nb")
    emulator.screen.resize(3, 10)
    assert emulator.screen.text() == ["a", "b", ""]


def test_bytes_that_are_no_text() -> None:
    assert shown(b"a\xffb\xc3").text()[0] == "a\ufffdb"
    assert shown(b"\xc3(\xed\xa0\x80").text()[0].count("\ufffd") == 4


def test_memory_is_bounded() -> None:
    screen = shown("e" + "\u0301" * 10_000)
    assert len(screen.grid.lines[0].cells[0]) == MAX_COMBINED
    emulator = Emulator(Screen(4, 10))
    for _ in range(100):
        emulator.feed(b"\x1b]0;" if _ == 0 else b"x" * MAX_HELD)
    emulator.feed(b"\x07after")
    assert emulator.screen.text()[0] == "after"
    assert len(emulator._held) <= MAX_HELD
    for data in (
        b"\x1b[" + b"9" * 100_000 + b"H",
        b"\x1b[99999999b",
        b"\x1b[99999999S",
        b"x\x1b[99999b",
    ):
        emulator.feed(data)
    assert len(emulator.screen.grid.lines) == 4


def test_noise() -> None:
    noise = random.Random(1)
    emulator = Emulator(Screen(24, 80))
    for _ in range(30):
        emulator.feed(os.urandom(500))
        emulator.feed(bytes(noise.choices(b"\x1b\x9b[]PX()?;0123456789hlHJKrLMSTc#8\x07\n", k=500)))
        emulator.screen.resize(noise.randint(1, 30), noise.randint(1, 90))
    grid = emulator.screen.grid
    assert all(len(line.cells) == emulator.screen.columns for line in grid.lines)
    assert len(grid.lines) == emulator.screen.rows


PARTS = st.sampled_from(
    [
        *(
            "abc",
            "0123456789",
            "日本",
            "😀",
            "e\u0301",
            "\r",
            "\n",
            "\b",
            "\t",
            "\x1b[4h",
            "\x1b[4l",
        ),
        *(f"\x1b[{number}{final}" for number in (1, 3) for final in "@ABCDGJKLMPSTXZdb"),
        *("\x1b[2;3r", "\x1b[r", "\x1b[?6h", "\x1b[?7l", "\x1b[?7h", "\x1b[2;9H", "\x1b[H"),
        *("\x1b[?1049h", "\x1b[?1049l", "\x1b7", "\x1b8", "\x1bM", "\x1bD", "\x1bc"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PARTS, max_size=40), st.integers(1, 6), st.integers(1, 12))
def test_cells_stay_whole(parts: list[str], rows: int, columns: int) -> None:
    """Whatever comes, a wide character has two cells, and the cursor is on the screen."""
    screen = shown("".join(parts), rows, columns)
    for line in screen.grid.lines:
        assert len(line.cells) == columns
        for position, cell in enumerate(line.cells):
            if cell == "":
                assert position and line.cells[position - 1] != "", line.cells
    assert 0 <= screen.y < rows
    assert 0 <= screen.x <= columns


def test_what_is_skipped_leaves_its_modes() -> None:
    emulator = Emulator(Screen(4, 10))
    emulator.feed(b"old")
    emulator.skip(b"xyz\x1b[?1049h\x1b[?1h\x1b]2;title\x07\x1b[31mnoise\x1b[2;3Hmore\x1b[?2004h")
    screen = emulator.screen
    assert (screen.alternate, screen.title) == (True, "title")
    assert screen.modes.application_cursor
    assert screen.modes.bracketed_paste
    assert not screen.is_known()
    emulator.feed(b"\x1b[H" + b"0123456789" * 3)
    assert not screen.is_known(), "the last line may still show what was skipped"
    emulator.feed(b"ab\x1b[K")
    assert screen.is_known()
    emulator.skip(b"\x1b[?1049l")
    assert not screen.is_known()
    emulator.feed(b"\x1b[2J")
    assert screen.is_known()
