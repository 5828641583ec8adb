"""One heap for all threads: memory that one has freed, another can use."""

from __future__ import annotations

import ctypes

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
