"""The spool against a plain copy of all that was written to it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_process.engine import stream_changes
from toolbox_process.engine.blocks import BLOCKS
from toolbox_process.engine.blocks import RECENT
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool

from toolbox.testing import DEADLINE

MEMORY = 64
BLOCK = 2 * MEMORY
LIMIT = BLOCKS * BLOCK

Limit = Callable[[int], AbstractContextManager[None]]

each_example_in_one_directory = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Model:
    """Everything that was appended, and the stream of each byte."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.data = bytearray()
        self.streams = bytearray()

    def append(self, size: int, stream: int = OUT) -> None:
        # No period that could make one position look like another.
        data = os.urandom(size)
        self.spool.append(data, stream)
        self.data += data
        self.streams += bytes([stream]) * size
        assert self.spool.end == len(self.data)

    def check(self, chunk: Chunk, offset: int, size: int) -> None:
        """Check a chunk that was read at ``offset``."""
        assert chunk.offset >= offset
        assert len(chunk.data) <= size
        assert chunk.data == self.data[chunk.offset : chunk.end]
        if chunk.data:
            assert set(self.streams[chunk.offset : chunk.end]) == {chunk.stream}
        else:
            assert chunk.offset == max(offset, len(self.data))

    def gaps(self, size: int = 1 << 20) -> list[tuple[int, int]]:
        """Read everything; the parts that are not kept."""
        found, offset = [], 0
        while True:
            chunk = self.spool.read(offset, size)
            self.check(chunk, offset, size)
            if chunk.offset > offset:
                found.append((offset, chunk.offset))
            if not chunk.data:
                assert chunk.offset == len(self.data)
                return found
            offset = chunk.end


def make(directory: Path, limit: int = LIMIT, keep_head: bool = True) -> Model:
    return Model(Spool(MEMORY, limit, lambda passed: directory, keep_head))


def no_directory(passed: int) -> Path:
    raise OSError(errno.ENOSPC, "No space left on device")


def directories(directory: Path, passed: int) -> Path:
    """One directory twice, then none."""
    return directory if passed < 2 else no_directory(passed)


WRITES = st.lists(
    st.tuples(st.integers(1, 3 * BLOCK), st.sampled_from([OUT, ERR])), min_size=1, max_size=80
)


@given(WRITES, st.integers(1, 2 * BLOCK), st.booleans())
@each_example_in_one_directory
def test_what_is_read_is_what_was_written(
    tmp_path: Path, writes: list[tuple[int, int]], size: int, keep_head: bool
) -> None:
    model = make(tmp_path, keep_head=keep_head)
    largest = 0
    for count, stream in writes:
        model.append(count, stream)
        largest = max(largest, count)
        kept = model.spool.size()
        assert kept.on_disk + kept.in_memory <= LIMIT + 2 * largest
        assert kept.in_memory <= MEMORY
        assert not (kept.in_memory and kept.on_disk), "memory went to the first file"
    gaps = model.gaps(size)
    assert sum(end - begin for begin, end in gaps) == len(model.data) - sum(model.spool.size()[:2])
    if len(model.data) <= LIMIT - BLOCK:
        assert gaps == []
    if gaps:
        ((begin, end),) = gaps
        assert (begin > 0) == keep_head
        assert len(model.data) - end >= LIMIT - 4 * max(BLOCK, largest)
        assert (model.spool.start == 0) == keep_head


@given(WRITES, st.integers(0, 12 * BLOCK), st.integers(1, 2 * BLOCK))
@each_example_in_one_directory
def test_reading_begins_at_any_offset(
    tmp_path: Path, writes: list[tuple[int, int]], offset: int, size: int
) -> None:
    model = make(tmp_path)
    for count, stream in writes:
        model.append(count, stream)
    model.check(model.spool.read(offset, size), offset, size)


@given(WRITES, st.integers(1, 3 * BLOCK))
@each_example_in_one_directory
def test_files_that_fill_up_lose_nothing_they_took(
    tmp_path: Path, file_size_limit: Limit, writes: list[tuple[int, int]], limit: int
) -> None:
    """A write that is cut short is not half there: the data goes on in memory, as a whole."""
    model = Model(Spool(MEMORY, LIMIT, lambda passed: directories(tmp_path, passed)))
    with file_size_limit(limit):
        for count, stream in writes:
            model.append(count, stream)
    kept = model.spool.size()
    largest = max(count for count, _ in writes)
    assert kept.in_memory <= BLOCKS * MEMORY + 2 * max(largest, MEMORY)
    gaps = model.gaps()
    # One of what memory has no room for, and one of what is over the limit in all.
    assert len(gaps) <= 2
    assert not gaps or gaps[0][0] > 0, "the head is kept"
    if len(model.data) <= BLOCKS * MEMORY:
        assert gaps == []
    if len(model.data) <= LIMIT - BLOCK:
        assert sum(end - begin for begin, end in gaps) + kept.in_memory + kept.on_disk == len(
            model.data
        )


@pytest.mark.parametrize("limit", [10, MEMORY, MEMORY + 10, 100])
def test_a_file_that_is_full_is_followed_by_memory(
    tmp_path: Path, file_size_limit: Limit, limit: int
) -> None:
    """Wherever it is full: while it takes over what was in memory, or in a later write."""
    passed_over: list[int] = []

    def directory(passed: int) -> Path:
        passed_over.append(passed)
        return directories(tmp_path, passed)

    model = Model(Spool(MEMORY, LIMIT, directory))
    with file_size_limit(limit):
        for size in (40, 40, 30, 30, 30, 30, 30):
            model.append(size)
            assert model.gaps() == []
    assert passed_over == [0, 1, 2]
    assert model.spool.size().on_disk <= 2 * limit


@pytest.mark.parametrize("size", [1, MEMORY - 1, MEMORY, MEMORY + 1])
def test_memory_holds_what_fits_and_no_byte_more(tmp_path: Path, size: int) -> None:
    model = make(tmp_path)
    model.append(size)
    on_disk = size if size > MEMORY else 0
    assert model.spool.size() == (on_disk, size - on_disk, 1 if on_disk else 0)
    model.append(MEMORY - size if size < MEMORY else 1)
    assert model.gaps() == []


def test_a_small_limit_needs_no_disk() -> None:
    model = Model(Spool(MEMORY, BLOCKS * MEMORY, no_directory))
    for _ in range(20 * BLOCKS):
        model.append(MEMORY // 2)
    ((begin, end),) = model.gaps()
    assert begin == MEMORY
    assert len(model.data) - end >= (BLOCKS - 2) * MEMORY
    assert model.spool.size().files == 0


def test_files_are_unnamed_and_closed(tmp_path: Path) -> None:
    def count_files() -> int:
        return sum(
            str(os.readlink(entry.path)).startswith(str(tmp_path))
            for entry in os.scandir("/proc/self/fd")
            if entry.is_symlink() and os.path.lexists(entry.path)
        )

    model = make(tmp_path)
    for _ in range(100):
        model.append(BLOCK)
    files = model.spool.size().files
    assert 0 < files <= BLOCKS + 1
    assert count_files() == files
    assert list(tmp_path.iterdir()) == []
    model.spool.discard()
    assert count_files() == 0
    other = make(tmp_path)
    other.append(BLOCK)
    assert count_files() == 1
    del other  # A spool nobody refers to any more.
    assert count_files() == 0


def test_chunks_are_what_was_there_at_the_beginning(tmp_path: Path) -> None:
    model = make(tmp_path)
    model.append(100)
    chunks = model.spool.chunks(size=30)
    found = [next(chunks)]
    model.append(5)
    found += chunks
    assert [len(chunk.data) for chunk in found] == [30, 30, 30, 15]
    assert b"".join(chunk.data for chunk in found) == model.data
    assert list(model.spool.chunks(offset=105)) == []


def test_a_chunk_ends_where_the_stream_changes(tmp_path: Path) -> None:
    spool = Spool(MEMORY, LIMIT, lambda passed: tmp_path)
    for data, stream in ((b"e", ERR), (b"", OUT), (b"f", ERR), (b"out", OUT), (b"!", ERR)):
        spool.append(data, stream)
    assert list(spool.chunks()) == [(0, ERR, b"ef"), (2, OUT, b"out"), (5, ERR, b"!")]
    assert spool.read(3, 100) == (3, OUT, b"ut")
    assert spool.read(6, 100) == (6, ERR, b"")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_changes_of_the_stream_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(stream_changes, "MAX_CHANGES", 8)
    model = make(tmp_path, limit=1 << 20)
    for number in range(100):
        model.append(size, number % 2)
        ((begin, end),) = model.gaps() or [(0, 0)]
        assert begin == 0
        assert model.spool.start == end
        assert len(model.data) - end >= 5 * size or end == 0
        assert (end > 0) == (number > 8)
    assert end >= 90 * size


def test_bytes_whose_stream_is_forgotten_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_changes, "MAX_CHANGES", 8)
    model = make(tmp_path)
    for number in range(12):
        model.append(BLOCK, number % 2)
    kept = len(model.data) - model.spool.start
    assert model.spool.size() == (kept, 0, kept // BLOCK)


def test_what_was_discarded_stays_gone_and_offsets_continue(tmp_path: Path) -> None:
    model = make(tmp_path)
    for number in range(10):
        model.append(BLOCK, number % 2)
    spool = model.spool
    spool.discard()
    assert spool.size() == (0, 0, 0)
    for number in range(10):
        model.append(BLOCK, number % 2)
        assert spool.start == spool.end
        assert spool.read(0, 100) == (spool.end, ERR, b"")
    assert spool.size() == (0, 0, 0)
    assert [(chunk.offset, chunk.data) for chunk in spool.chunks()] == [(spool.end, b"")]
    spool.discard()


def test_discarding_waits_for_the_last_holder(tmp_path: Path) -> None:
    model = make(tmp_path)
    model.append(100)
    with model.spool.held():
        with model.spool.held():
            model.spool.discard()
        assert model.gaps() == []
    assert model.spool.size() == (0, 0, 0)
    with model.spool.held():
        pass
    other = make(tmp_path)
    other.append(10)
    with pytest.raises(ZeroDivisionError), other.spool.held():
        raise ZeroDivisionError
    assert other.gaps() == [], "nobody discarded it"


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_was_appended_last_is_read_like_all_before(tmp_path: Path, forgotten: bool) -> None:
    model = Model(Spool(MEMORY, 1 << 30, lambda passed: tmp_path))
    for size in (RECENT + 1, 10, 2 * RECENT, RECENT + 7):
        model.append(size)
        if forgotten:
            model.spool.forget_recent()
        end = len(model.data)
        for offset in (0, max(0, end - size - 1), end - size, end - size + 1, end - 1, end):
            for count in (1, size - 1, size, size + 1):
                chunk = model.spool.read(offset, count)
                assert chunk.data == model.data[offset : offset + count]


@pytest.mark.parametrize("slow", [False, True])
def test_readers_keep_up_or_see_a_gap(tmp_path: Path, slow: bool) -> None:
    """A reader on another thread, while the middle is dropped under it."""
    spool = Spool(MEMORY, LIMIT, lambda passed: tmp_path)
    written = b"".join(b"%07d\n" % number for number in range(20_000))
    written_half, done = threading.Event(), threading.Event()
    problems: list[Any] = []

    def read() -> None:
        offset = 0
        if slow:
            written_half.wait(DEADLINE)
        while offset < len(written):
            finished = done.is_set()
            chunk = spool.read(offset, 1000)
            if chunk.data != written[chunk.offset : chunk.end] or chunk.offset < offset:
                problems.append((offset, chunk))
            if finished and not chunk.data:
                break
            offset = chunk.end

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, len(written), 100):
        spool.append(written[start : start + 100])
        if start == len(written) // 2:
            written_half.set()
    written_half.set()
    done.set()
    reader.join(DEADLINE)
    assert not reader.is_alive()
    assert problems == []
