"""The memory of programs that a service has started."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from bench.servers import Server
from toolbox.processes import descendants


def started_by(server: Server) -> int:
    """Bytes that everything below the workers takes; what several share counts once."""
    _, *workers = server.processes()
    return sum(own(pid) for worker in workers for pid in descendants(worker))


def own(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.partition("Pss:")[2].split()[0]) * 1024
    return 0


class Watched:
    """The most of it at one time."""

    def __init__(self, server: Server) -> None:
        self.peak = 0
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, started_by(self._server))
