"""One heap for all threads: memory that one has freed, another can use."""

from __future__ import annotations

import ctypes
import gc
import time

_M_ARENA_MAX = -8
"""mallopt(3): the most heaps there may be."""


def share_one_heap() -> None:
    """Keep glibc from making a heap for each thread. To be called before there are threads.

    It makes up to eight for each core, so that threads needn't wait for each other. Here they hold
    the GIL when they allocate, and each heap keeps the most its thread ever needed: a few megabytes
    a thread. Other C libraries have no such heaps.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def collect_nothing() -> None:
    """Look for no garbage until :func:`share_memory`. Each look of a start goes through all objects
    made so far, and finds next to nothing: a tenth of the start's CPU time.
    """
    gc.disable()


def share_memory() -> None:
    """Never look through what there is for garbage again, only through what comes.

    A look writes to each object, which takes the page from those that the master shares with its
    workers. Not even once: in the garbage of a start it found nothing to give back, in 20 ms.
    """
    gc.freeze()
    gc.enable()


class Settling:
    """The first second after a start, in which its garbage stays: to look for it takes 20 ms, and
    the first requests would wait for that.
    """

    def __init__(self) -> None:
        self._end = time.monotonic() + 1

    def tend(self) -> None:
        """Share the memory, once that second is over, if nothing is collected yet."""
        if not gc.isenabled() and time.monotonic() > self._end:
            gc.collect()  # The garbage of requests, with what they had read.
            share_memory()
