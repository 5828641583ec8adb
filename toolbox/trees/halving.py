"""Work over two processes: numbered units, which a copy of this process takes a part of (fork(2)).

Most of what copying a small file takes is time of the processor. Only for programs with a single
thread.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import struct
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any
from typing import NoReturn

from toolbox.trees.errors import TreeError

WORTH = 16
"""Units from which on a second process is worth its start."""

MOST = 8192
"""Units at most: a pipe takes all of their numbers at once, as a rule (pipe(7))."""

_NUMBER = struct.Struct("!Q")

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

Units = Iterator[int]


def can_halve() -> bool:
    """Report whether a second process would have a core to itself."""
    return len(os.sched_getaffinity(0)) > 1


def halve(count: int, here: Callable[[Units], object], there: Callable[[Units], Any]) -> Any:
    """Call ``here(units)`` and, in a process that begins as a copy of this one, ``there(units)``;
    return what that returns. Each number below ``count`` comes to one of the two.

    Raises what either raises, and TreeError if the other process is killed. It never outlives this
    call, nor this process.
    """
    units, shared = _filled(count)
    answers, answer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        _serve(units, answer, parent, there)
    os.close(answer)
    try:
        with os.fdopen(answers, "rb") as file:
            here(chain(_numbers(units), range(shared, count)))
            data = file.read()
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(units)
        os.waitpid(pid, 0)
    if not data:
        raise TreeError("a process that took a part of the work was killed")
    result, error = pickle.loads(data)
    if error is not None:
        raise error
    return result


def _filled(count: int) -> tuple[int, int]:
    """Return a pipe from which each number is read once, and how many of them it has: a user with
    many pipes gets small ones.
    """
    units, queue = os.pipe()
    os.set_blocking(queue, False)
    size = os.write(queue, b"".join(map(_NUMBER.pack, range(count))))
    os.close(queue)
    return units, size // _NUMBER.size


def _numbers(units: int) -> Units:
    while data := os.read(units, _NUMBER.size):
        yield _NUMBER.unpack(data)[0]


def _serve(units: int, answer: int, parent: int, there: Callable[[Units], Any]) -> NoReturn:
    try:
        # Nobody would read what it does; a part of a tree would go on growing.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        try:
            data = pickle.dumps((there(_numbers(units)), None))
        except BaseException as error:
            # The other one would go on with the rest, in vain.
            for _ in _numbers(units):
                pass
            data = pickle.dumps((None, error))
        with os.fdopen(answer, "wb") as file:
            file.write(data)
    finally:
        os._exit(0)


def in_halves(count: int, work: Callable[[Iterable[int]], None]) -> None:
    """Call ``work(units)`` here and, if it is worth it, in another process, for what it changes on
    the disk. Raises as :func:`halve`.
    """
    if count < WORTH or not can_halve():
        work(range(count))
        return
    for start in range(0, count, MOST):
        part = partial(_from, start, work)
        halve(min(MOST, count - start), part, part)


def _from(start: int, work: Callable[[Iterable[int]], None], units: Units) -> None:
    work(start + unit for unit in units)
