"""The events of a process: its start, its output, its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from toolbox.linux.clock import awake
from toolbox_e2b.connect.call import Call
from toolbox_e2b.connect.streams import Events
from toolbox_e2b.engines import Chunk
from toolbox_e2b.engines import Job
from toolbox_e2b.errors import DeadlineExceeded
from toolbox_e2b.process.models import DataEvent
from toolbox_e2b.process.models import EndEvent
from toolbox_e2b.process.models import Event
from toolbox_e2b.process.models import EventResponse
from toolbox_e2b.process.models import KeepAlive
from toolbox_e2b.process.models import StartEvent
from toolbox_e2b.process.processes import Process

PIECE = 32 * 1024
"""Bytes of output in one event."""

LOOK = 0.5
"""Seconds between looks whether the client is still there."""

SIGNALED = 128
"""The group ``process`` adds it to a signal's number, as shells do."""


def follow(process: Process, call: Call, offset: int, ends: float | None) -> Events:
    """Yield the events of a process with its output from ``offset`` on.

    Raises DeadlineExceeded at the time ``ends``, or if the process was ended because its time was
    over, and ClientGone.
    """
    yield EventResponse(event=Event(start=StartEvent(pid=process.pid)))
    job = process.job
    with _news(job) as news:
        spoken = awake()
        while True:
            # Before the look at the output: what comes after it sets the event again.
            news.clear()
            done = job.done.is_set()  # Before the output: what is read after the end is complete.
            while (chunk := job.spool.read(offset, PIECE)).data:
                yield EventResponse(event=Event(data=_data(chunk, process)))
                offset, spoken = chunk.end, awake()
            if done:
                yield EventResponse(event=Event(end=_end(job)))
                return
            _wait(news, call, ends)
            if awake() - spoken >= call.keepalive:
                yield EventResponse(event=Event(keepalive=KeepAlive()))
                spoken = awake()


@contextmanager
def _news(job: Job) -> Iterator[threading.Event]:
    """Make an event that is set whenever there is more of ``job``. Raises TooManyFollowers."""
    news = threading.Event()
    listener = news.set
    job.follow(listener)
    try:
        yield news
    finally:
        job.unfollow(listener)


def _wait(news: threading.Event, call: Call, ends: float | None) -> None:
    left = LOOK if ends is None else min(LOOK, ends - awake())
    if news.wait(max(0.0, left)):
        return
    call.check()
    if ends is not None and awake() >= ends:
        raise DeadlineExceeded("the time of the stream is over")


def _data(chunk: Chunk, process: Process) -> DataEvent:
    # A terminal has one stream for both (tty(4)).
    if process.terminal:
        return DataEvent(pty=chunk.data)
    return DataEvent(stderr=chunk.data) if chunk.stream else DataEvent(stdout=chunk.data)


def _end(job: Job) -> EndEvent:
    """Return the end in the words of Go, which clients show to their users."""
    code = job.exit_code or 0
    if job.reason == "timeout":
        raise DeadlineExceeded("the process was ended because its time was over")
    # A shell that exits with 137 by itself was not killed, whatever its status says.
    if code > SIGNALED and job.reason != "exited":
        number = code - SIGNALED
        status = f"signal: {(signal.strsignal(number) or str(number)).lower()}"
        return EndEvent(exit_code=-1, status=status, error=status)
    status = f"exit status {code}"
    return EndEvent(exit_code=code, exited=True, status=status, error=status if code else None)
