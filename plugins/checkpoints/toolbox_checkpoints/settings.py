"""Options of the section ``[checkpoints.local]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.settings.variables import expand_home


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the backend ``local``."""

    directory: Annotated[
        str,
        Meta(
            description="Directory of the checkpoints. On the file system of what they are made "
            "of, blocks are shared where it can (Btrfs, XFS). If empty, below $XDG_STATE_HOME, "
            "else in ~/.local/state."
        ),
    ] = ""
    keep: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Maximum checkpoints; another one deletes the oldest.",
        ),
    ] = 100
    max_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Maximum bytes of all checkpoints, in which shared files count once; more "
            "are refused (507). 0 for what the disk has.",
        ),
    ] = 20 * 1024**3


def data_directory(settings: LocalSettings) -> Path:
    """Return the directory in which checkpoints are kept."""
    if settings.directory:
        return expand_home(settings.directory)
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return expand_home(state) / "toolbox" / "checkpoints"
