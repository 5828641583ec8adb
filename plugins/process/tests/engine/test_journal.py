"""Journals of sessions: what was written, cut at every byte, and what a worker reads of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.journals import command as command_module
from toolbox_process.engine.journals import session as module
from toolbox_process.engine.journals.command import Journal
from toolbox_process.engine.journals.command import JournaledSpool
from toolbox_process.engine.journals.session import FRAME
from toolbox_process.engine.journals.session import LOST
from toolbox_process.engine.journals.session import ROOM
from toolbox_process.engine.journals.session import SESSION
from toolbox_process.engine.journals.session import Journals
from toolbox_process.engine.journals.session import SessionJournal
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.state import StateDirectory
from toolbox_process.sessions.replaying import read_heads
from toolbox_process.sessions.replaying import read_session_id
from toolbox_process.sessions.replaying import replay

TOTAL = 1 << 20

LONGEST_END = (-(2**31), max(Reason, key=lambda reason: len(reason.value)))


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Journals]:
    made = Journals(StateDirectory(str(tmp_path / "state"), lasting=True), TOTAL)
    yield made
    made.close()


@pytest.fixture
def session(journals: Journals) -> Iterator[SessionJournal]:
    made = journals.open("the session")
    made.create()
    yield made
    made.remove()


def directory_of(journals: Journals) -> Path:
    (state,) = journals.directory.paths()
    (directory,) = state.iterdir()
    return directory


def output(directory: Path, number: int = 1) -> list[tuple[int, bytes]]:
    """The output of one command, as a later worker reads it."""
    spool = Spool(TOTAL, TOTAL, lambda passed: directory)
    (head,) = [head for head in read_heads(directory) if head.number == number]
    replay(directory, head, spool)
    return [(chunk.stream, chunk.data) for chunk in spool.chunks()]


def size_of(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("0*"))


def left(journals: Journals) -> int:
    """The room that is left, found by taking it."""
    low, high = 0, TOTAL
    while low < high:
        middle = (low + high + 1) // 2
        if journals.reserve(middle):
            journals.release(middle)
            low = middle
        else:
            high = middle - 1
    return low


WRITES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([OUT, ERR]), st.binary(min_size=1, max_size=200)),
    max_size=40,
)


@given(WRITES, st.integers(64, 4096))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read(
    journals: Journals, writes: list[tuple[int, int, bytes]], file_size: int
) -> None:
    """Commands in turn, in files that are followed by the next: whatever runs is there whole."""
    session = journals.open("s")
    session.create()
    commands = [Journal.begin(session, f"id-{number}", f"text {number} é\0") for number in range(3)]
    written: list[bytearray] = [bytearray() for _ in commands]
    for number, stream, data in writes:
        commands[number].append(data, stream)
        written[number] += data
    commands[1].finish(3, Reason.SIGNAL)
    directory = directory_of(journals)
    heads = read_heads(directory)
    assert [(head.number, head.id, head.text) for head in heads] == [
        (number, f"id-{number - 1}", f"text {number - 1} é\0") for number in (1, 2, 3)
    ]
    assert [head.exit_code for head in heads] == [None, 3, None]
    assert [head.reason for head in heads] == [None, Reason.SIGNAL, None]
    assert not any(head.cut for head in heads)
    for number, expected in enumerate(written, 1):
        assert b"".join(data for _, data in output(directory, number)) == expected
    assert left(journals) == TOTAL - size_of(directory)
    session.remove()
    assert left(journals) == TOTAL
    assert not directory.exists()


def test_streams_keep_their_order(session: SessionJournal, journals: Journals) -> None:
    command = Journal.begin(session, "id", "text")
    for stream, data in ((OUT, b"1"), (ERR, b"2"), (ERR, b"3"), (OUT, b"4")):
        command.append(data, stream)
    assert output(directory_of(journals)) == [(OUT, b"1"), (ERR, b"23"), (OUT, b"4")]


def test_the_session_is_known_by_its_id(session: SessionJournal, journals: Journals) -> None:
    directory = directory_of(journals)
    assert read_session_id(directory) == "the session"
    (directory / SESSION).write_text("[1]")
    with pytest.raises(ValueError):
        read_session_id(directory)
    (directory / SESSION).unlink()
    with pytest.raises(OSError):
        read_session_id(directory)


def test_a_journal_cut_at_any_byte_is_read_as_far_as_it_goes(
    session: SessionJournal, journals: Journals, tmp_path: Path
) -> None:
    """The kernel may end a write early for a process that is killed (write(2))."""
    directory = directory_of(journals)
    (file,) = directory.glob("0*")
    expected = b"abcdefgh" * 2
    states: list[tuple[int, int, int]] = []  # Size of the file, bytes of output, ends.
    for number in range(2):
        command = Journal.begin(session, f"c{number}", "text")
        states.append((file.stat().st_size, 8 * number, number))
        for data in (b"abc", b"defgh"):
            command.append(data, number % 2)
        command.finish(number, Reason.EXITED)
        states.append((file.stat().st_size, 8 * number + 8, number + 1))
    cut = tmp_path / "cut"
    shutil.copytree(directory, cut)
    for length in range(states[-1][0], -1, -1):
        os.truncate(cut / file.name, length)
        heads = read_heads(cut)
        assert [head.id for head in heads] == [f"c{number}" for number in range(len(heads))]
        text = b"".join(data for head in heads for _, data in output(cut, head.number))
        assert expected.startswith(text)
        complete = [state for state in states if state[0] <= length]
        _, written, ends = complete[-1] if complete else (0, 0, 0)
        assert len(heads) >= (len(complete) + 1) // 2
        assert len(text) >= written
        codes = [head.exit_code for head in heads if head.exit_code is not None]
        assert codes == list(range(len(codes)))
        assert len(codes) >= ends
    assert heads == []


def test_files_that_are_forgotten_give_their_room_back(
    session: SessionJournal, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files are kept, so a command that is running is in them as long as it may be."""
    monkeypatch.setattr(module, "FILE", 1000)
    monkeypatch.setattr(command_module, "LIMIT", 500)
    directory = directory_of(journals)
    waiting = Journal.begin(session, "waits", "for its turn")
    for number in range(50):
        command = Journal.begin(session, f"id-{number}", "text")
        command.append(b"x" * 100, OUT)
        command.append(b"y" * 100, ERR)
        found = read_heads(directory)
        assert found[0].id == "waits"
        assert found[-1].id == f"id-{number}"
        assert output(directory, number + 2) == [(OUT, b"x" * 100), (ERR, b"y" * 100)]
        command.finish(number, Reason.EXITED)
        assert read_heads(directory)[-1].exit_code == number
        assert len(list(directory.glob("0*"))) <= 2
        assert left(journals) == TOTAL - size_of(directory)
    assert len(found) < 20, "older ones are forgotten"
    waiting.append(b"at last", OUT)
    assert output(directory, 1) == [(OUT, b"at last")]


def test_a_command_that_ran_is_not_begun_again(
    session: SessionJournal, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILE", 1000)
    first = Journal.begin(session, "first", "text")
    first.append(b"1", OUT)
    first.finish(0, Reason.EXITED)
    for number in range(30):
        Journal.begin(session, f"id-{number}", "text").append(b"x" * 200, OUT)
    assert "first" not in [head.id for head in read_heads(directory_of(journals))]


def test_of_a_long_output_the_beginning_is_kept(
    session: SessionJournal, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_module, "LIMIT", 2 * (FRAME.size + 10))
    command = Journal.begin(session, "id", "text")
    directory = directory_of(journals)
    for letter in b"ab":
        command.append(bytes([letter]) * 10, OUT)
    assert not read_heads(directory)[0].cut
    for letter in b"cd":
        command.append(bytes([letter]) * 10, OUT)
    kept = (OUT, b"a" * 10 + b"b" * 10)
    assert read_heads(directory)[0].cut
    assert output(directory) == [kept, (ERR, LOST)]
    size = size_of(directory)
    command.append(b"e", OUT)
    assert size_of(directory) == size, "it says so once"
    command.finish(0, Reason.EXITED)
    (head,) = read_heads(directory)
    assert (head.cut, head.exit_code, head.reason) == (True, 0, Reason.EXITED)


@pytest.mark.parametrize(("exit_code", "reason"), [(0, Reason.EXITED), LONGEST_END])
@pytest.mark.parametrize("room", [0, 1, FRAME.size + 1])
def test_an_end_has_room_where_nothing_else_has(
    session: SessionJournal,
    journals: Journals,
    file_size_limit: Callable[[int], AbstractContextManager[None]],
    exit_code: int,
    reason: Reason,
    room: int,
) -> None:
    """Frames that don't fit are not there in part, and what follows is read."""
    command = Journal.begin(session, "id", "text")
    command.append(b"kept", OUT)
    directory = directory_of(journals)
    size = size_of(directory)
    with file_size_limit(size + room):
        command.append(b"lost", OUT)
        assert size_of(directory) == size
        assert read_heads(directory)[0].cut
        command.finish(exit_code, reason)
        assert size_of(directory) == size
    (head,) = read_heads(directory)
    assert (head.text, head.exit_code, head.reason, head.cut) == ("text", exit_code, reason, True)
    assert output(directory) == [(OUT, b"kept"), (ERR, LOST)]
    assert left(journals) == TOTAL - size_of(directory)
    Journal.begin(session, "next", "text").append(b"more", OUT)
    assert output(directory, 2) == [(OUT, b"more")]


def test_every_end_fits_into_its_room() -> None:
    for reason in Reason:
        assert len(json.dumps([-(2**31), reason.value, False])) <= ROOM


def test_the_total_is_not_exceeded(tmp_path: Path) -> None:
    journals = Journals(StateDirectory(str(tmp_path), lasting=True), 500)
    one, other = journals.open("one"), journals.open("other")
    for session in (one, other):
        session.create()
    command = Journal.begin(one, "id", "text")
    for _ in range(10):
        command.append(b"x" * 50, OUT)
    (state,) = journals.directory.paths()
    assert sum(size_of(directory) for directory in state.iterdir()) <= 500
    assert read_heads(state / "00000001")[0].cut
    assert not journals.reserve(500 - size_of(state / "00000001") + 1)
    Journal.begin(other, "no room", "text" * 100).append(b"x", OUT)
    assert read_heads(state / "00000002") == []
    one.remove()
    Journal.begin(other, "id", "text").append(b"y", OUT)
    assert [head.id for head in read_heads(state / "00000002")] == ["id"]
    journals.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_directory_there_is_no_journal_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    journals = Journals(StateDirectory(str(tmp_path / "file"), lasting=True), TOTAL)
    for number in range(2):
        session = journals.open(str(number))
        session.create()
        command = Journal.begin(session, "id", "text")
        command.append(b"x", OUT)
        command.finish(0, Reason.EXITED)
        session.remove()
    assert len(caplog.records) == 1
    assert left(journals) == TOTAL


def test_what_was_removed_is_not_written_any_more(
    session: SessionJournal, journals: Journals, caplog: pytest.LogCaptureFixture
) -> None:
    command = Journal.begin(session, "id", "text")
    directory = directory_of(journals)
    before = len(os.listdir("/proc/self/fd"))
    session.remove()
    assert len(os.listdir("/proc/self/fd")) == before - 1
    reused = os.open("/dev/null", os.O_RDONLY)  # It may have the number now.
    session.create()
    session.remove()
    command.append(b"x", OUT)
    command.finish(0, Reason.EXITED)
    Journal.begin(session, "late", "text")
    os.close(reused)
    assert caplog.records == [], "it is not even tried"
    assert not directory.exists()
    assert left(journals) == TOTAL


def test_a_journaled_spool_is_written_to_both(
    session: SessionJournal, journals: Journals, tmp_path: Path
) -> None:
    spool = JournaledSpool(
        1 << 20, 1 << 30, lambda passed: tmp_path, Journal.begin(session, "id", "text")
    )
    spool.append(b"out")
    size = size_of(directory_of(journals))
    spool.append(b"", ERR)
    assert size_of(directory_of(journals)) == size
    spool.append(b"err", ERR)
    found = [(chunk.stream, chunk.data) for chunk in spool.chunks()]
    assert found == output(directory_of(journals)) == [(OUT, b"out"), (ERR, b"err")]
