"""The writer to a job's standard input, with real pipes and a real loop."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_process.engine.stdin_writer import MAX_PENDING
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.testing import eventually

from toolbox.sockets.loop import Loop
from toolbox.testing import DEADLINE

On = Callable[[Callable[[], Any]], Any]


class Pipe:
    """A small pipe with a writer to it."""

    def __init__(self, loop: Loop, own: bool = True) -> None:
        self.reading, self.writing = os.pipe()
        self.size = fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        self.writer = StdinWriter(loop, self.writing, own)

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.reading, size - len(data))
        return data

    def read_to_end(self) -> bytes:
        return b"".join(iter(lambda: os.read(self.reading, 65536), b""))

    def close(self) -> None:
        for fd in (self.reading, self.writing):
            if is_open(fd):
                os.close(fd)


def is_open(fd: int) -> bool:
    return Path(f"/proc/self/fd/{fd}").is_symlink()


@pytest.fixture
def pipe(loop: Loop, on: On) -> Iterator[Pipe]:
    made = Pipe(loop)
    yield made
    on(made.writer.abort)
    os.close(made.reading)


def drained(writer: StdinWriter) -> threading.Event:
    event = threading.Event()
    writer.when_drained(event.set)
    return event


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=20), st.integers(1, 5000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_arrives_in_order_then_the_end(loop: Loop, sizes: list[int], size: int) -> None:
    pipe = Pipe(loop)
    written = [os.urandom(count) for count in sizes]
    for data in written:
        pipe.writer.write(data)
    pipe.writer.close()
    read = []
    while piece := os.read(pipe.reading, size):
        read.append(piece)
    assert b"".join(read) == b"".join(written)
    assert pipe.writer.pending == 0
    os.close(pipe.reading)


def test_what_is_written_on_the_loop_goes_at_once(pipe: Pipe, on: On) -> None:
    on(lambda: pipe.writer.write(b"now"))
    os.set_blocking(pipe.reading, False)
    assert os.read(pipe.reading, 100) == b"now"
    assert pipe.writer.pending == 0


def test_what_another_thread_writes_goes_by_itself(pipe: Pipe) -> None:
    pipe.writer.write(b"soon")
    assert pipe.read(4) == b"soon"


def test_what_the_reader_has_no_room_for_waits(pipe: Pipe, on: On) -> None:
    """As much as the pipe takes is written, the rest when there is room; nothing blocks."""
    data = os.urandom(3 * pipe.size)
    on(lambda: pipe.writer.write(data))
    assert pipe.writer.pending == 2 * pipe.size
    event = drained(pipe.writer)
    on(lambda: None)
    assert not event.is_set()
    assert pipe.read(len(data)) == data
    assert event.wait(DEADLINE)
    assert pipe.writer.pending == 0


def test_a_waiting_writer_leaves_nothing_behind(pipe: Pipe, on: On) -> None:
    """It waits with a copy of the descriptor, which is closed when all is written."""
    before = len(os.listdir("/proc/self/fd"))
    on(lambda: pipe.writer.write(b"x" * (pipe.size + 1)))
    assert len(os.listdir("/proc/self/fd")) == before + 1
    event = drained(pipe.writer)
    pipe.read(pipe.size + 1)
    assert event.wait(DEADLINE)
    assert len(os.listdir("/proc/self/fd")) == before


def test_callbacks_are_called_once_when_nothing_waits(pipe: Pipe, on: On) -> None:
    calls: list[str] = []
    on(lambda: pipe.writer.when_drained(lambda: calls.append("at once")))
    eventually(lambda: calls == ["at once"], "the call")
    on(lambda: pipe.writer.write(b"x" * (pipe.size + 1)))
    pipe.writer.when_drained(lambda: calls.append("first"))
    pipe.writer.when_drained(lambda: calls.append("second"))
    on(lambda: None)
    assert calls == ["at once"]
    pipe.read(pipe.size + 1)
    eventually(lambda: len(calls) == 3, "the calls")
    on(lambda: pipe.writer.write(b"x"))
    on(lambda: None)
    assert calls == ["at once", "first", "second"]


def test_no_more_waits_than_the_bound(pipe: Pipe, on: On) -> None:
    on(lambda: pipe.writer.write(b"x" * MAX_PENDING))
    assert pipe.writer.pending == MAX_PENDING - pipe.size
    on(lambda: pipe.writer.write(b"y" * pipe.size))
    with pytest.raises(InputFull):
        pipe.writer.write(b"z")
    assert pipe.writer.pending == MAX_PENDING
    pipe.writer.close()
    data = pipe.read_to_end()
    assert data == b"x" * MAX_PENDING + b"y" * pipe.size


def test_a_message_over_the_bound_is_refused_as_a_whole(pipe: Pipe, on: On) -> None:
    with pytest.raises(InputFull):
        pipe.writer.write(b"x" * (MAX_PENDING + 1))
    assert pipe.writer.pending == 0
    on(lambda: pipe.writer.write(b"short"))
    assert pipe.read(5) == b"short"


def test_after_the_end_nothing_is_taken(pipe: Pipe, on: On) -> None:
    on(lambda: pipe.writer.write(b"x" * (pipe.size + 1)))
    pipe.writer.close()
    assert pipe.writer.closed
    with pytest.raises(InputClosed):
        pipe.writer.write(b"late")
    pipe.writer.close()
    assert pipe.read_to_end() == b"x" * (pipe.size + 1)
    eventually(lambda: not is_open(pipe.writing), "the end")
    reused = os.open("/dev/null", os.O_RDONLY)  # It may have the number now.
    pipe.writer.close()
    on(lambda: None)
    assert is_open(reused)
    os.close(reused)
    assert drained(pipe.writer).wait(DEADLINE)


def test_a_reader_that_leaves_ends_the_writer(loop: Loop, on: On) -> None:
    pipe = Pipe(loop)
    event = threading.Event()
    on(lambda: pipe.writer.write(b"x" * (pipe.size + 1)))
    pipe.writer.when_drained(event.set)
    on(lambda: None)
    assert not event.is_set()
    os.close(pipe.reading)
    assert event.wait(DEADLINE)
    assert (pipe.writer.closed, pipe.writer.pending) == (True, 0)
    assert not is_open(pipe.writing)
    with pytest.raises(InputClosed):
        pipe.writer.write(b"x")


def test_aborting_drops_what_waits(loop: Loop, on: On) -> None:
    pipe = Pipe(loop)
    on(lambda: pipe.writer.write(b"x" * (3 * pipe.size)))
    on(pipe.writer.abort)
    assert pipe.writer.pending == 0
    assert not is_open(pipe.writing)
    assert pipe.read_to_end() == b"x" * pipe.size
    on(pipe.writer.abort)
    os.close(pipe.reading)


def test_a_descriptor_of_another_is_left_open(loop: Loop, on: On) -> None:
    pipe = Pipe(loop, own=False)
    pipe.writer.write(b"x")
    pipe.writer.close()
    on(lambda: None)
    assert pipe.writer.closed
    assert pipe.read(1) == b"x"
    os.write(pipe.writing, b"mine")
    assert pipe.read(4) == b"mine"
    pipe.close()


def test_writing_goes_on_where_no_descriptor_is_left_to_wait_with(pipe: Pipe, on: On) -> None:
    data = os.urandom(3 * pipe.size)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def write() -> None:
        # No number is free below the limit, so the copy can't be made.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError) as caught:
                os.dup(pipe.writing)
            assert caught.value.errno == errno.EMFILE
            pipe.writer.write(data)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    on(write)
    assert pipe.read(len(data)) == data


def test_writers_of_several_threads_mix_no_message(loop: Loop) -> None:
    pipe = Pipe(loop)
    count = 200

    def write(message: bytes) -> None:
        for _ in range(count):
            pipe.writer.write(message)

    messages = [bytes([letter]) * 99 for letter in b"abcd"]
    threads = [threading.Thread(target=write, args=(message + b"\n",)) for message in messages]
    for thread in threads:
        thread.start()
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_to_end()))
    reader.start()
    for thread in threads:
        thread.join(DEADLINE)
    pipe.writer.close()
    reader.join(DEADLINE)
    lines = read[0].splitlines()
    assert sorted(lines) == sorted(messages * count)
    os.close(pipe.reading)


def test_callbacks_of_several_threads_are_all_called(pipe: Pipe) -> None:
    called = threading.Semaphore(0)

    def ask() -> None:
        for _ in range(200):
            pipe.writer.when_drained(called.release)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    for _ in range(800):
        assert called.acquire(timeout=DEADLINE)
