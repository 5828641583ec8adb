"""The loop's stand-in on the thread that waits: what it hasn't finished goes on, on the loop."""

from __future__ import annotations

import os
import threading

import pytest

from toolbox.sockets.brief_loop import BriefLoop
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop

PATIENCE = 60


def test_what_is_ready_is_dispatched_on_the_caller_s_thread(loop: Loop) -> None:
    brief, end, seen = BriefLoop(loop), threading.Event(), []
    reading, writing = os.pipe()

    def read(events: int) -> None:
        seen.append((os.read(reading, 10), threading.get_ident()))
        brief.remove(reading)
        end.set()

    brief.add(reading, IN, read)
    os.write(writing, b"now")
    brief.run(end, seconds=PATIENCE)
    assert seen == [(b"now", threading.get_ident())]
    os.close(reading)
    os.close(writing)


def test_what_is_left_goes_on_on_the_loop(loop: Loop) -> None:
    brief, seen, here = BriefLoop(loop), threading.Event(), []
    reading, writing = os.pipe()

    def read(events: int) -> None:
        here.append(loop.here)
        brief.remove(reading)
        seen.set()

    brief.add(reading, IN, read)
    brief.run(threading.Event(), seconds=0.01)
    os.write(writing, b"later")
    assert seen.wait(PATIENCE)
    assert here == [True]
    os.close(reading)
    os.close(writing)


def test_calls_and_timers_wait_for_the_loop(loop: Loop) -> None:
    brief, done, seen = BriefLoop(loop), threading.Event(), []
    brief.call_soon(lambda: seen.append(("first", loop.here)))
    brief.call_soon(lambda: seen.append(("second", loop.here)))
    brief.call_later(0, lambda: (seen.append(("timer", loop.here)), done.set()))
    brief.call_later(0, lambda: seen.append(("canceled", loop.here))).cancel()
    assert not seen
    brief.run(threading.Event(), wait=False)
    assert done.wait(PATIENCE)
    assert seen == [("first", True), ("second", True), ("timer", True)]
    again = threading.Event()
    brief.call_soon(again.set)
    assert again.wait(PATIENCE)


def test_a_callback_that_raises_leaves_nothing_unwatched(loop: Loop) -> None:
    brief, seen, calls = BriefLoop(loop), threading.Event(), []
    reading, writing = os.pipe()

    def read(events: int) -> None:
        calls.append(events)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        brief.remove(reading)
        seen.set()

    brief.add(reading, IN, read)
    os.write(writing, b"x")
    with pytest.raises(RuntimeError, match="a bug"):
        brief.run(threading.Event(), seconds=PATIENCE)
    assert seen.wait(PATIENCE)
    os.close(reading)
    os.close(writing)
