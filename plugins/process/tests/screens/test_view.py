"""The view of a terminal: its output is fed to the emulator only when and as far as needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox_process.emulator.screen import Screen
from toolbox_process.emulator.sequences import Emulator
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.views import timeline as timeline_module
from toolbox_process.engine.views.timeline import Timeline
from toolbox_process.engine.views.view import BEHIND
from toolbox_process.engine.views.view import TAIL
from toolbox_process.engine.views.view import TerminalView

KEPT = 8 * 1024 * 1024
SIZE = TerminalSize(24, 80)


class Terminal:
    """A view, and all that was written; work for other threads is done at once."""

    def __init__(self, directory: Path) -> None:
        self.spool = Spool(256 * 1024, KEPT, lambda _: directory, keep_head=False)
        self.submitted = 0
        self.view = TerminalView(self.spool, SIZE, "xterm", KEPT, self._submit)
        self.fed = 0

    def _submit(self, work: Callable[[], object]) -> None:
        self.submitted += 1
        work()

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), 64 * 1024):
            self.spool.append(data[start : start + 64 * 1024])
            self.view.grown()


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal(tmp_path)
    feed = Emulator.feed

    def counted(emulator: Emulator, data: bytes) -> None:
        made.fed += len(data)
        feed(emulator, data)

    monkeypatch.setattr(Emulator, "feed", counted)
    return made


def test_without_a_look_nothing_is_fed(terminal: Terminal) -> None:
    terminal.write(b"x" * (BEHIND - 1))
    assert terminal.fed == 0
    assert terminal.submitted == 0
    terminal.view.look()
    assert terminal.fed > 0


def test_a_look_twice_feeds_once(terminal: Terminal) -> None:
    terminal.write(b"hello")
    first = terminal.view.look()
    assert first is terminal.view.look()
    assert first.rows[0] == "hello"
    terminal.write(b"\r\nworld")
    assert terminal.view.look().rows[:2] == ["hello", "world"]
    assert terminal.fed == len(b"hello\r\nworld")


def test_of_much_that_scrolls_only_the_end_is_fed(terminal: Terminal) -> None:
    lines = b"".join(b"%d a line of \x1b[32moutput\x1b[m\r\n" % number for number in range(300_000))
    terminal.write(b"\x1b]0;at the start\x07\x1b[?1h" + lines)
    look = terminal.view.look()
    assert look.rows[-2:] == ["299999 a line of output", ""]
    assert look.scrollback[-1] == "299976 a line of output"
    assert len(look.scrollback) == 1000
    assert look.known
    assert (look.row, look.column) == (23, 0)
    # What outlasts the output is known all the same.
    assert look.title == "at the start"
    assert look.modes.application_cursor
    assert terminal.fed < len(lines) / 2
    assert terminal.submitted > 0


def test_a_program_that_never_clears_is_fed_whole(terminal: Terminal) -> None:
    """It draws here and there, so no output of it may be left out."""
    terminal.write(b"\x1b[?1049h\x1b[H\x1b[2Jonly once, at the top")
    draw = b"".join(
        b"\x1b[%d;5H%06d\x1b[K" % (number % 20 + 3, number) for number in range(150_000)
    )
    assert len(draw) > BEHIND
    terminal.write(draw)
    look = terminal.view.look()
    assert look.rows[0] == "only once, at the top"
    assert look.rows[2] == "    149980"
    assert look.known


def test_a_program_that_clears_is_fed_from_there(terminal: Terminal) -> None:
    frame = b"\x1b[H\x1b[2J" + b"".join(b"\x1b[%d;1H%s" % (row, b"x" * 70) for row in range(1, 24))
    terminal.write(b"\x1b[?1049h" + frame * 3000 + b"\x1b[24;1Hend")
    look = terminal.view.look()
    assert look.known
    assert look.alternate
    assert look.rows[0] == "x" * 70
    assert look.rows[23] == "end"
    assert terminal.fed < 3 * TAIL + BEHIND


def test_what_nobody_could_follow_is_told(tmp_path: Path) -> None:
    """More than the spool keeps came before another thread had time."""
    spool = Spool(256 * 1024, KEPT, lambda _: tmp_path, keep_head=False)
    view = TerminalView(spool, SIZE, "xterm", KEPT, lambda work: None)
    spool.append(b"\x1b[2J\x1b[Hat the top\x1b[5;1H")
    for _ in range(300):
        spool.append((b"\x1b[6;1H" + b"y" * 70) * 900)
        view.grown()
    assert spool.start > 0
    assert not view.look().known
    spool.append(b"\x1b[2J\x1b[Hall new")
    look = view.look()
    assert look.known
    assert look.rows[0] == "all new"


def test_sizes_are_those_of_the_moment(terminal: Terminal) -> None:
    terminal.write(b"0" * 100)
    terminal.view.resized(TerminalSize(30, 100))
    terminal.write(b"\r\n" + b"1" * 100)
    terminal.view.resized(TerminalSize(10, 50))
    look = terminal.view.look()
    assert look.size == TerminalSize(10, 50)
    assert len(look.rows) == 10
    assert look.rows[:4] == ["0" * 50, "0" * 20, "1" * 50, ""]


def test_marks_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_module, "MAX_MARKS", 64)
    monkeypatch.setattr(timeline_module, "MAX_SIZES", 8)
    timeline = Timeline(SIZE)
    for number in range(1, 1001):
        timeline.note_output(10 * number, float(number))
        timeline.note_size(10 * number, TerminalSize(number, 80))
    assert timeline.mark_at(9_999) == (10_000, 1000.0)
    assert timeline.mark_at(10_000) is None
    ends = [timeline.mark_at(offset) for offset in range(10_000)]
    assert len(set(ends)) <= 64
    assert all(end is not None and end[0] > offset for offset, end in enumerate(ends))
    assert timeline.size_at(0) == SIZE
    assert timeline.size_at(5) == SIZE
    assert timeline.last().size == TerminalSize(1000, 80)
    assert len(timeline.sizes_after(0)) <= 8


def test_marks_of_what_comes_together() -> None:
    timeline = Timeline(SIZE)
    timeline.note_output(10, 1.0)
    timeline.note_output(20, 1.001)
    timeline.note_output(30, 2.0)
    assert timeline.mark_at(0) == timeline.mark_at(19) == (20, 1.0)
    assert timeline.mark_at(20) == (30, 2.0)


def test_a_screen_of_one_cell() -> None:
    screen = Screen(1, 1)
    Emulator(screen).feed("a日\x1b[5;5H\x1b[2P\x1b[3@\tb\n".encode())
    assert len(screen.text()) == 1
