"""The reader of a job's pipes, with real pipes and a real loop."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import socket
import termios
import threading
from array import array
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.engine import pipe_reader
from toolbox_process.engine.pipe_reader import FAIR
from toolbox_process.engine.pipe_reader import READ
from toolbox_process.engine.pipe_reader import WIDE
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.testing import eventually

from toolbox.logs.masking import Mask
from toolbox.sockets.loop import Loop
from toolbox.testing import DEADLINE

On = Callable[[Callable[[], Any]], Any]

NEVER = 3600.0
"""Seconds no test takes."""

SECRET = "open-sesame"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(1 << 20, 1 << 30, lambda passed: tmp_path)


@pytest.fixture
def make(loop: Loop, spool: Spool, on: On) -> Iterator[Callable[..., PipeReader]]:
    """Make readers that are closed at the end."""
    made: list[PipeReader] = []

    def make(idle: float = NEVER, limit: float = NEVER, mask: Mask | None = None) -> PipeReader:
        made.append(PipeReader(loop, spool, idle, limit, mask))
        return made[-1]

    yield make
    for reader in made:
        on(reader.close)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writing end is closed at the end, if the test hasn't."""
    reading, writing = os.pipe()
    yield reading, writing
    close(writing)


def close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError as error:
        assert error.errno == errno.EBADF


def is_open(fd: int) -> bool:
    return Path(f"/proc/self/fd/{fd}").is_symlink()


def content(spool: Spool) -> list[tuple[int, bytes]]:
    return [(chunk.stream, chunk.data) for chunk in spool.chunks()]


def waiting(fd: int) -> int:
    """Bytes in a pipe (FIONREAD, ioctl_tty(2))."""
    count = array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def text(spool: Spool) -> bytes:
    return b"".join(chunk.data for chunk in spool.chunks())


def drain(reader: PipeReader, on: On) -> threading.Event:
    """Begin to drain; the event is set when that is over."""
    over = threading.Event()
    on(lambda: reader.drain(over.set))
    return over


def test_every_byte_is_read_to_the_end(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make()
    on(lambda: reader.add(pipe[0], ERR))
    data = os.urandom(3 * READ + 17)
    with open(pipe[1], "wb", buffering=0, closefd=False) as file:
        for start in range(0, len(data), 1000):
            file.write(data[start : start + 1000])
    over = drain(reader, on)
    assert not over.is_set(), "the pipe is still open and not yet silent for long"
    os.close(pipe[1])
    assert over.wait(DEADLINE)
    assert text(spool) == data
    assert {stream for stream, _ in content(spool)} == {ERR}
    assert not is_open(pipe[0])


def test_a_pipe_that_is_found_full_is_widened(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader, other = make(), os.pipe()
    data = os.urandom(READ + 1)
    # Both have their bytes before anything is read.
    os.write(pipe[1], data[:READ])
    os.write(other[1], b"x")
    on(lambda: (reader.add(pipe[0], OUT), reader.add(other[0], ERR)))
    eventually(lambda: spool.end == READ + 1, "the output")
    assert fcntl.fcntl(other[1], fcntl.F_GETPIPE_SZ) == READ, "little output takes no more room"
    assert fcntl.fcntl(pipe[1], fcntl.F_GETPIPE_SZ) == WIDE
    os.write(pipe[1], data[READ:])
    os.close(pipe[1])
    os.close(other[1])
    assert drain(reader, on).wait(DEADLINE)
    assert b"".join(piece for stream, piece in content(spool) if stream == OUT) == data


def test_listeners_see_each_byte_of_much_output_once(
    make: Any, tmp_path: Path, loop: Loop, on: On, pipe: tuple[int, int]
) -> None:
    """Also what is no longer in the memory of the spool, read as it is told and later."""
    spool = Spool(4096, 1 << 30, lambda passed: tmp_path)
    reader = PipeReader(loop, spool, NEVER, NEVER)
    seen = bytearray()

    def look() -> None:
        while (chunk := spool.read(len(seen), 30_000)).data:
            seen.extend(chunk.data)

    on(lambda: (reader.listen(look), reader.add(pipe[0], OUT)))
    data = os.urandom(20 * READ + 17)
    with open(pipe[1], "wb", buffering=0, closefd=False) as file:
        for start in range(0, len(data), READ):
            file.write(data[start : start + READ])
    os.close(pipe[1])
    assert drain(reader, on).wait(DEADLINE)
    assert bytes(seen) == data
    assert text(spool) == data


def test_nothing_is_added_at_an_end_without_output(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make()
    on(lambda: reader.add(pipe[0], OUT))
    os.close(pipe[1])
    assert drain(reader, on).wait(DEADLINE)
    assert spool.end == 0


def test_no_pipe_at_all_is_drained_at_once(make: Any, on: On) -> None:
    assert drain(make(), on).is_set()


def test_all_pipes_have_to_end(make: Any, spool: Spool, on: On) -> None:
    reader = make()
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    on(lambda: (reader.add(out, OUT), reader.add(err, ERR)))
    os.write(err_end, b"e")
    os.write(out_end, b"o")
    over = drain(reader, on)
    os.close(out_end)
    eventually(lambda: not is_open(out), "the first end")
    assert not over.is_set()
    os.close(err_end)
    assert over.wait(DEADLINE)
    assert sorted(content(spool)) == [(OUT, b"o"), (ERR, b"e")]


def test_what_was_written_before_a_drain_is_there_when_it_returns(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    """More than one read gives, although the pipe stays open and reading was paused."""
    reader = make()
    data = os.urandom(3 * READ + 100)
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 8 * READ)
    on(lambda: (reader.add(pipe[0], OUT), reader.pause(True)))
    os.write(pipe[1], data)
    drain(reader, on)
    assert text(spool) == data


def test_one_pipe_that_never_ends_does_not_hold_up_the_loop(
    make: Any, spool: Spool, loop: Loop, on: On
) -> None:
    reading, writing = os.pipe()
    reader = make()
    stopped = threading.Event()

    def write() -> None:
        while not stopped.is_set():
            os.write(writing, b"y" * READ)
        os.close(writing)

    writer = threading.Thread(target=write)
    on(lambda: reader.add(reading, OUT))
    writer.start()

    def read_now() -> int:
        before = spool.end
        reader.read_now()
        return spool.end - before

    counts: list[int] = []

    def has_read() -> bool:
        counts.extend(on(read_now) for _ in range(50))
        return max(counts) > 0

    try:
        eventually(has_read, "a turn of its own")
        assert max(counts) <= FAIR * READ
    finally:
        stopped.set()
        writer.join(DEADLINE)


def test_a_pipe_that_stays_open_is_waited_for_until_it_is_silent(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make(idle=0.05)
    on(lambda: reader.add(pipe[0], OUT))
    assert drain(reader, on).wait(DEADLINE)
    assert is_open(pipe[0])
    os.write(pipe[1], b"from the background")
    eventually(lambda: text(spool) == b"from the background", "what came later")


def test_a_pipe_that_is_never_silent_is_waited_for_no_longer_than_the_limit(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make(idle=0.2, limit=0.4)
    on(lambda: reader.add(pipe[0], OUT))
    stopped = threading.Event()

    def write() -> None:
        while not stopped.wait(0.01):
            os.write(pipe[1], b"y")

    writer = threading.Thread(target=write)
    writer.start()
    assert drain(reader, on).wait(DEADLINE)
    stopped.set()
    writer.join(DEADLINE)


def test_draining_ends_once(make: Any, on: On, pipe: tuple[int, int], loop: Loop) -> None:
    reader = make(idle=0.01)
    ends: list[None] = []
    on(lambda: reader.add(pipe[0], OUT))
    on(lambda: reader.drain(lambda: ends.append(None)))
    eventually(lambda: ends, "the silence")
    os.close(pipe[1])
    eventually(lambda: not is_open(pipe[0]), "the end")
    ticked = threading.Event()
    loop.call_later(0.05, ticked.set)
    assert ticked.wait(DEADLINE)
    assert ends == [None]


def test_a_paused_pipe_makes_its_writer_wait(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make()
    on(lambda: (reader.add(pipe[0], OUT), reader.pause(True), reader.pause(True)))
    os.set_blocking(pipe[1], False)
    written = 0
    with pytest.raises(BlockingIOError):
        while True:
            written += os.write(pipe[1], b"x" * 4096)
    on(lambda: None)
    assert spool.end == 0
    on(lambda: (reader.pause(False), reader.pause(False)))
    eventually(lambda: spool.end == written, "the rest")
    os.write(pipe[1], b"more")
    eventually(lambda: spool.end == written + 4, "more")


def test_a_pipe_added_during_a_pause_waits_too(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make()
    on(lambda: (reader.pause(True), reader.add(pipe[0], OUT)))
    os.write(pipe[1], b"x")
    on(lambda: None)
    on(lambda: None)
    assert spool.end == 0
    on(lambda: reader.pause(False))
    eventually(lambda: spool.end == 1, "the rest")


def test_listeners_are_called_after_output_and_not_once_they_left(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make()
    seen: list[int] = []
    others: list[int] = []

    def listen() -> None:
        seen.append(spool.end)

    def leave() -> None:
        others.append(spool.end)
        reader.unlisten(leave)  # While it is being called.

    on(lambda: (reader.listen(leave), reader.listen(listen), reader.add(pipe[0], OUT)))
    os.write(pipe[1], b"12")
    eventually(lambda: seen[-1:] == [2], "the call")
    os.write(pipe[1], b"3")
    eventually(lambda: seen[-1:] == [3], "the second call")
    assert others == [2]
    on(lambda: (reader.unlisten(listen), reader.unlisten(listen), reader.notify()))
    os.write(pipe[1], b"4")
    eventually(lambda: spool.end == 4, "the last")
    assert seen[-1] == 3


def test_a_descriptor_of_another_is_left_open(
    make: Any, on: On, pipe: tuple[int, int], spool: Spool
) -> None:
    reader = make()
    on(lambda: reader.add(pipe[0], OUT, own=False))
    os.write(pipe[1], b"x")
    os.close(pipe[1])
    assert drain(reader, on).wait(DEADLINE)
    assert text(spool) == b"x"
    assert is_open(pipe[0])
    os.close(pipe[0])


def test_each_descriptor_is_read_in_its_own_bursts(make: Any, spool: Spool, on: On) -> None:
    """Otherwise the last one added would decide for all."""
    reader = make()
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    seen: list[int] = []
    on(lambda: reader.listen(lambda: seen.append(spool.end)))
    on(lambda: reader.pause(True))
    burst = 4
    on(lambda: reader.add(pairs[0][0].detach(), OUT, burst=burst))
    on(lambda: reader.add(pairs[1][0].detach(), OUT, burst=1))
    packet = b"x" * 4095  # One read gives no more than a packet.
    for _ in range(burst):
        pairs[0][1].send(packet)
    on(lambda: reader.pause(False))
    eventually(lambda: spool.end == burst * len(packet), "the packets")
    assert seen[0] == burst * len(packet)
    for _ in range(2):
        pairs[1][1].send(packet)
    eventually(lambda: spool.end == (burst + 2) * len(packet), "the others")
    assert seen[1:3] == [(burst + 1) * len(packet), (burst + 2) * len(packet)]
    for _, other in pairs:
        other.close()


def test_the_end_of_a_terminal_is_no_loss(make: Any, spool: Spool, on: On) -> None:
    """Linux reports EIO once the last process has closed the other side (tty_ioctl(4))."""
    master, slave = pty.openpty()
    reader = make()
    on(lambda: reader.add(master, OUT, burst=16))
    os.write(slave, b"x" * 100)
    eventually(lambda: spool.end == 100, "the output")
    os.close(slave)
    assert drain(reader, on).wait(DEADLINE)
    assert text(spool) == b"x" * 100
    assert not is_open(master)


def test_what_can_not_be_read_is_noted(make: Any, spool: Spool, on: On) -> None:
    """A socket that was reset fails with ECONNRESET: the log has a note in its place."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        mine = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    reader = make()
    mine.send(b"unread")  # Data not read when a socket is closed resets the connection (RFC 2525).
    eventually(lambda: len(other.recv(100, socket.MSG_PEEK)) == 6, "the data")
    other.close()
    on(lambda: reader.add(mine.detach(), OUT))
    assert drain(reader, on).wait(DEADLINE)
    note = b"\n[... what came after this could not be read: Connection reset by peer ...]\n"
    assert content(spool) == [(ERR, note)]


def test_a_secret_is_hidden_across_reads_and_streams(
    make: Any, spool: Spool, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe_reader, "HOLD", NEVER)
    reader = make(mask=Mask((), lambda: [SECRET]))
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    on(lambda: (reader.add(out, OUT), reader.add(err, ERR)))
    for fd, piece in (
        (out_end, b"<op"),
        (err_end, b"open)"),
        (out_end, b"en-sesa"),
        (out_end, b"me>"),
    ):
        os.write(fd, piece)
        eventually(lambda: not waiting(out) and not waiting(err), "the read")
    on(lambda: None)
    assert content(spool) == [(OUT, b"<"), (ERR, b"open)"), (OUT, b"***>")]
    for fd in (out_end, err_end):
        os.close(fd)


@pytest.mark.parametrize("ends", [True, False])
def test_the_beginning_of_a_secret_is_shown_after_silence(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int], ends: bool
) -> None:
    reader = make(mask=Mask((), lambda: [SECRET]))
    seen: list[bytes] = []
    on(lambda: (reader.listen(lambda: seen.append(text(spool))), reader.add(pipe[0], OUT)))
    os.write(pipe[1], f"say {SECRET}, open".encode())
    if ends:
        os.close(pipe[1])
    eventually(lambda: seen[-1:] == [b"say ***, open"], "the rest, and a call after it")


def test_a_drain_shows_what_was_held_back(
    make: Any, spool: Spool, on: On, pipe: tuple[int, int]
) -> None:
    reader = make(mask=Mask((), lambda: [SECRET]))
    on(lambda: reader.add(pipe[0], OUT))
    os.write(pipe[1], b"open-")
    os.close(pipe[1])
    shown: list[bytes] = []
    on(lambda: reader.drain(lambda: shown.append(text(spool))))
    eventually(lambda: shown, "the end")
    assert shown == [b"open-"]


def test_a_name_is_shown_as_another(make: Any, spool: Spool, on: On, pipe: tuple[int, int]) -> None:
    reader = make()
    assert reader.renamed(b"/tmp/x: line 1") == b"/tmp/x: line 1"
    on(lambda: (reader.rename(b"/tmp/x", b"bash"), reader.add(pipe[0], ERR)))
    os.write(pipe[1], b"/tmp/x: line 1: no /tmp/x\n")
    eventually(lambda: text(spool) == b"bash: line 1: no bash\n", "the error")


def test_closing_twice_closes_once(make: Any, on: On, pipe: tuple[int, int]) -> None:
    reader = make()
    on(lambda: reader.add(pipe[0], OUT))
    on(reader.close)
    assert not is_open(pipe[0])
    reused = os.open("/dev/null", os.O_RDONLY)  # It has the number now.
    on(reader.close)
    assert is_open(reused)
    os.close(reused)
    with pytest.raises(BrokenPipeError):
        os.write(pipe[1], b"x")
