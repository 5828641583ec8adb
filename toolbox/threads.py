"""Pools of threads that go on with those they have where the system gives no more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class Pool(ThreadPoolExecutor):
    """A ThreadPoolExecutor for which a shortage of threads or memory is only a shorter pool.

    The standard one raises from ``submit`` what it has queued all the same: a program that takes
    all processes there may be (a thread is one, pids.max in cgroups(7)) would end the accept loop,
    and with it every session.
    """

    def start(self) -> None:
        """Start the first thread, so that there is always one."""
        self.submit(int)

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise
