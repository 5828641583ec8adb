from __future__ import annotations

import gc
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from toolbox.sockets.loop import HANGUP
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import OUT
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer


def on(loop: Loop, call: Callable[[], object]) -> None:
    """Run ``call`` on the loop and wait for it."""
    done = threading.Event()
    loop.call_soon(lambda: (call(), done.set()))
    assert done.wait(30)


def test_calls_run_on_the_loop_in_their_order(loop: Loop) -> None:
    seen: list[tuple[int, bool]] = []
    for number in range(100):
        loop.call_soon(lambda number=number: seen.append((number, loop.here)))  # type: ignore[misc]
    on(loop, lambda: None)
    assert seen == [(number, True) for number in range(100)]
    assert not loop.here


def test_calls_made_on_the_loop_run_too(loop: Loop) -> None:
    done = threading.Event()

    def again(left: int) -> None:
        if left:
            loop.call_soon(lambda: again(left - 1))
        else:
            done.set()

    loop.call_soon(lambda: again(10))
    assert done.wait(30)


def test_no_call_of_any_thread_is_forgotten(loop: Loop) -> None:
    counts = [0] * 4

    def call(number: int) -> None:
        for _ in range(500):
            called = threading.Event()
            loop.call_soon(called.set)
            assert called.wait(30)
            counts[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [500] * 4


def test_timers_run_when_they_are_due_and_in_that_order(loop: Loop) -> None:
    seen: list[str] = []
    last = threading.Event()
    began = time.monotonic()
    loop.call_later(0.2, lambda: (seen.append("late"), last.set()))
    loop.call_later(0.1, lambda: seen.append("early"))
    loop.call_later(0.15, lambda: seen.append("never")).cancel()
    assert last.wait(30)
    assert seen == ["early", "late"]
    assert time.monotonic() - began >= 0.2


def test_a_callback_that_fails_leaves_the_others_alone(loop: Loop) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    loop.call_soon(fail)
    on(loop, lambda: None)


def test_what_is_readable_is_told_until_it_is_removed(loop: Loop) -> None:
    reader, writer = os.pipe()
    seen: list[bytes] = []
    arrived = threading.Event()

    def read(events: int) -> None:
        seen.append(os.read(reader, 1))
        arrived.set()

    on(loop, lambda: loop.add(reader, IN, read))
    os.write(writer, b"a")
    assert arrived.wait(30)
    on(loop, lambda: loop.remove(reader))
    os.write(writer, b"b")
    on(loop, lambda: None)
    on(loop, lambda: None)
    assert seen == [b"a"]
    os.close(reader)
    os.close(writer)


def test_an_event_of_a_closed_descriptor_is_not_told_to_one_of_the_same_number(loop: Loop) -> None:
    pairs = [os.pipe() for _ in range(2)]
    told: list[int] = []
    replaced: list[int] = []

    def replace(other: int) -> Callable[[int], None]:
        def callback(events: int) -> None:
            # The first of the two that are reported together closes the other, and opens a pipe
            # that gets its number and has nothing to read.
            if replaced:
                return
            loop.remove(other)
            os.close(other)
            reader, writer = os.pipe()
            assert reader == other
            replaced.extend((reader, writer))
            loop.add(reader, IN, told.append)

        return callback

    readers = [pair[0] for pair in pairs]

    def add() -> None:
        loop.add(readers[0], IN, replace(readers[1]))
        loop.add(readers[1], IN, replace(readers[0]))
        for _, writer in pairs:
            os.write(writer, b"x")

    on(loop, add)
    on(loop, lambda: None)
    on(loop, lambda: None)
    assert replaced
    assert told == []
    kept = next(reader for reader in readers if reader != replaced[0])
    on(loop, lambda: (loop.remove(kept), loop.remove(replaced[0])))
    for fd in (kept, *replaced, *(writer for _, writer in pairs)):
        os.close(fd)


def test_a_call_after_the_end_writes_into_nobody_s_file() -> None:
    ended = Loop()
    ended.start()
    ended.stop()
    pipes = [os.pipe2(os.O_NONBLOCK) for _ in range(4)]  # They get the numbers it had.
    ended.call_soon(lambda: None)
    for reader, writer in pipes:
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
        os.close(reader)
        os.close(writer)


def test_whoever_wakes_a_loop_that_ends_finds_a_reader() -> None:
    """A broken pipe would end the thread that stops the service."""
    written: list[int] = []
    loop = Loop()

    class Lock:
        """In its place another thread may be that wakes the loop, just before it ends."""

        def __enter__(self) -> None:
            if loop.here:
                written.append(os.write(loop._wake_write, b"\0"))

        def __exit__(self, *error: object) -> None:
            pass

    loop._wake_lock = Lock()  # type: ignore[assignment]
    loop.start()
    loop.stop()
    assert written == [1]


def test_a_cancelled_timer_keeps_nothing(loop: Loop) -> None:
    """The time limit of code that took a moment may be hours away."""

    class Kept:
        def call(self) -> None:
            raise AssertionError

    def timers() -> int:
        return sum(isinstance(thing, Timer) for thing in gc.get_objects())

    loop.call_later(1800, lambda: None)  # It is due before the others, and not cancelled.
    before = timers()
    seen = []
    for _ in range(1000):
        kept = Kept()
        seen.append(weakref.ref(kept))
        loop.call_later(3600, kept.call).cancel()
        del kept
    on(loop, lambda: None)
    assert not any(reference() for reference in seen)
    assert timers() - before < 200


def test_timers_that_are_not_cancelled_stay_when_many_are(loop: Loop) -> None:
    due = threading.Semaphore(0)
    for number in range(300):
        timer = loop.call_later(0.2, due.release)
        if number % 3:
            timer.cancel()
    assert all(due.acquire(timeout=30) for _ in range(100))
    on(loop, lambda: None)
    assert not due.acquire(blocking=False)


def test_a_call_that_calls_again_starves_nothing(loop: Loop) -> None:
    """Calls made by calls run in the next round, after descriptors and timers."""
    reader, writer = os.pipe()
    over = threading.Event()
    readable = threading.Event()

    def again() -> None:
        if not over.is_set():
            loop.call_soon(again)

    loop.call_soon(again)
    on(loop, lambda: loop.add(reader, IN, lambda events: (os.read(reader, 1), readable.set())))
    os.write(writer, b"x")
    assert readable.wait(30)
    due = threading.Event()
    loop.call_later(0.01, due.set)
    assert due.wait(30)
    over.set()
    on(loop, lambda: loop.remove(reader))
    os.close(reader)
    os.close(writer)


def test_what_is_waited_for_can_change(loop: Loop) -> None:
    mine, other = socket.socketpair()
    seen: list[int] = []
    called = threading.Semaphore(0)

    def note(events: int) -> None:
        seen.append(events)
        loop.modify(mine.fileno(), 0)
        called.release()

    on(loop, lambda: loop.add(mine.fileno(), IN, note))
    on(loop, lambda: None)
    assert seen == []
    on(loop, lambda: loop.modify(mine.fileno(), IN | OUT))
    assert called.acquire(timeout=30)
    other.send(b"x")
    on(loop, lambda: None)
    assert seen == [OUT]
    on(loop, lambda: loop.modify(mine.fileno(), IN))
    assert called.acquire(timeout=30)
    assert seen == [OUT, IN]
    other.close()
    assert called.acquire(timeout=30), "a hang-up is reported whatever is waited for"
    assert seen[2] & HANGUP
    on(loop, lambda: loop.remove(mine.fileno()))
    on(loop, lambda: loop.remove(mine.fileno()))
    mine.close()


def test_calls_made_before_the_end_run_and_later_ones_do_not() -> None:
    seen: list[int] = []
    loop = Loop()
    for number in range(10):
        loop.call_soon(lambda number=number: seen.append(number))  # type: ignore[misc]
    loop.start()
    loop.stop()
    loop.call_soon(lambda: seen.append(-1))
    assert seen == list(range(10))


def test_timers_run_in_the_order_of_their_times(loop: Loop) -> None:
    seen: list[int] = []

    def add() -> None:
        for seconds in (-100, -300, -200):  # All are due.
            loop.call_later(seconds, lambda seconds=seconds: seen.append(seconds))  # type: ignore[misc]

    on(loop, add)
    on(loop, lambda: None)
    assert seen == [-300, -200, -100]


def test_timers_of_the_same_time_run_in_the_order_they_were_set(loop: Loop) -> None:
    seen: list[int] = []

    def add() -> None:
        for number in range(20):
            loop.call_later(-1, lambda number=number: seen.append(number))  # type: ignore[misc]

    on(loop, add)
    on(loop, lambda: None)
    assert seen == list(range(20))


def test_an_ended_loop_leaves_no_descriptor() -> None:
    def run() -> None:
        loop = Loop()
        loop.start()
        loop.stop()

    run()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run()
    assert len(os.listdir("/proc/self/fd")) == before
