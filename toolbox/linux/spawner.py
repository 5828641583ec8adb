"""A thread that starts child processes with every core and a higher OOM score."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import subprocess
import threading
from collections.abc import Callable
from typing import Any
from typing import Generic
from typing import TypeVar

from toolbox.linux import children
from toolbox.linux.children import ChildProcess
from toolbox.linux.procfs import read

T = TypeVar("T")

TAGS = 64
"""Different OOM scores that children are given: 1/1000 of the memory apart."""

_SACRIFICE = 500
"""Added to the OOM score of children, of 1000: the kernel kills them before the service."""

_RLIMIT_LOCKS = 10
"""A limit that Linux has not enforced since 2.4.25 (setrlimit(2)) but that children inherit."""

_FIRST_NUMBER = 1 << 62


class _Order(Generic[T]):
    """A call for another thread, and its result once ``done`` is released."""

    __slots__ = ("call", "done", "error", "result")

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.result: T | None = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.result = self.call()
        except BaseException as error:
            self.error = error
        self.done.release()


class Spawner:
    """Starts children on its own thread, which has every core.

    A child inherits cores, ``oom_score_adj`` and limits (proc(5)) from its parent. A thread of a
    pinned service that changed its cores for the moment would be moved to and fro between them,
    which takes milliseconds where they are busy. Score and limit are the process's: they are set
    for the moment of the start, which needs no privilege, and so hold before the child can have
    children.
    """

    def __init__(self) -> None:
        # A queue and a lock for each start: a pool's futures take 25 us more of the processor.
        self._orders: queue.SimpleQueue[_Order[Any]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._started = False
        self._cores: set[int] = set()
        self._score = -1
        self._own = self._raised = 0
        self._locks = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def pin_to_one_core(self) -> None:
        """See :func:`toolbox.processes.pin_to_one_core`. To be called before :meth:`popen`."""
        cores = os.sched_getaffinity(0)
        if len(cores) > 1:
            self._cores = cores
            os.sched_setaffinity(0, {max(cores)})

    def _prepare(self) -> None:
        if self._cores:
            os.sched_setaffinity(0, self._cores)
        # Descriptors 0 to 2 are taken, as toolbox.linux.children needs it.
        while (fd := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
            pass
        os.close(fd)
        with contextlib.suppress(OSError):
            self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self._own = int(os.pread(self._score, 16, 0))
            # With room above for the tags, where there is any.
            self._raised = max(self._own + 1, min(self._own + _SACRIFICE, 1001 - TAGS))
        self._locks = resource.getrlimit(_RLIMIT_LOCKS)

    def _work(self) -> None:
        self._prepare()
        while True:
            self._orders.get().run()

    def _do(self, call: Callable[[], T]) -> T:
        """Return ``call()`` of the thread. Raises as that does, RuntimeError without a thread."""
        if not self._started:
            with self._starting:
                if not self._started:
                    threading.Thread(target=self._work, name="toolbox-spawner", daemon=True).start()
                    self._started = True
        order = _Order(call)
        self._orders.put(order)
        order.done.acquire()
        if order.error is not None:
            raise order.error
        return order.result  # type: ignore[return-value]

    def popen(
        self, arguments: list[str], number: int, options: dict[str, Any]
    ) -> subprocess.Popen[Any]:
        """Start a child as subprocess.Popen does. Raises as that does."""
        return self._do(
            lambda: self._marked(number, lambda: subprocess.Popen(arguments, **options))
        )

    def start(self, call: children.Call, number: int) -> ChildProcess | subprocess.Popen[bytes]:
        """Start a child as :func:`toolbox.linux.children.start` does. Raises as that does."""
        return self._do(lambda: self._marked(number, lambda: children.start(call)))

    def _marked(self, number: int, start: Callable[[], T]) -> T:
        # Before the start: set later, the first processes the child starts might not inherit it.
        self._set_score(min(1000, self._raised + number % TAGS))
        self._set_number(number)
        try:
            return start()
        finally:
            self._set_score(self._own)
            self._set_number(0)

    def _set_score(self, score: int) -> None:
        if self._score >= 0:
            # Twice for each start: contextlib.suppress would take 2 us of it.
            try:
                os.pwrite(self._score, b"%d" % score, 0)
            except OSError:
                pass

    def _set_number(self, number: int) -> None:
        soft, hard = self._locks
        try:
            resource.setrlimit(_RLIMIT_LOCKS, (_FIRST_NUMBER + number if number else soft, hard))
        except (OSError, ValueError):
            pass

    def read_tag(self, pid: int) -> int | None:
        """See :func:`toolbox.processes.read_tag`."""
        tag = int(read(f"/proc/{pid}/oom_score_adj")) - self._raised
        # Without room above, every child has the same score.
        room = self._score >= 0 and self._raised + TAGS <= 1001
        return tag if room and 0 <= tag < TAGS else None


def read_number(pid: int) -> int:
    """Return the ``number`` that :func:`toolbox.processes.popen` gave a process or an ancestor of
    it, 0 without one.

    Raises OSError, with an errno of :data:`toolbox.linux.procfs.GONE` if the process has ended.
    """
    for line in read(f"/proc/{pid}/limits").splitlines():
        if line.startswith(b"Max file locks"):
            soft = line.split()[3]
            return max(0, int(soft) - _FIRST_NUMBER) if soft.isdigit() else 0
    return 0
