"""The reasons for which a tree can't be copied, packed or removed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_REASONS = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is exceeded",
}


class TreeError(Exception):
    """A tree can't be dealt with; the message is for people."""


class Cancelled(TreeError):
    """Nobody wants the result any more."""


@contextlib.contextmanager
def described(work: str) -> Iterator[None]:
    """Turn each OSError of the block into a TreeError that begins with ``work``."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        reason = _REASONS.get(code) or os.strerror(code)
        # The name, but not the path: clients see the message, and the path is the machine's.
        name = Path(os.fsdecode(error.filename)).name if _has_name(error) else ""
        raise TreeError(f"{work}: {reason}" + (f" ({name[:80]!r})" if name else "")) from error


def _has_name(error: OSError) -> bool:
    return isinstance(error.filename, str | bytes) and error.errno not in _REASONS
