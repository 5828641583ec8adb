"""Paths of clients, and on the wire (:mod:`toolbox.filenames`)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox.linux.mounts import types_of
from toolbox_checkpoints.errors import CheckpointConflict
from toolbox_checkpoints.errors import CheckpointPathNotFound
from toolbox_checkpoints.errors import InvalidCheckpointPath

MAX_NAME = 255
"""Maximum bytes of a name on Linux (NAME_MAX)."""

OF_KERNEL = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "cpuset", "resctrl"),
        *("debugfs", "tracefs", "securityfs", "selinuxfs", "smackfs", "bpf", "configfs"),
        *("efivarfs", "pstore", "binder", "binfmt_misc", "fusectl", "mqueue", "nsfs", "rpc_pipefs"),
    )
)
"""Types of file systems without files: what is read there is made up, what is written, obeyed."""


def to_text(path: str) -> str:
    """Return a path as the text that clients see."""
    return decode_name(os.fsencode(path))


def to_name(text: str) -> str:
    """Return the path that a client sent. Raises InvalidCheckpointPath."""
    if "\0" in text:
        raise InvalidCheckpointPath("a path can't contain a NUL byte")
    try:
        return os.fsdecode(encode_name(text))
    except UnicodeEncodeError:
        raise InvalidCheckpointPath("a path can't contain a lone surrogate") from None


def existing(text: str, base: Path, store: Path) -> str:
    """Return the directory, without links, of which a checkpoint is to be made.

    Raises InvalidCheckpointPath and CheckpointPathNotFound.
    """
    # Once, now: a restore is of this directory, wherever links lead then.
    path = os.path.realpath(base / to_name(text))
    if not os.path.isdir(path):  # noqa: PTH112
        if os.path.lexists(path):
            raise InvalidCheckpointPath(f"{text[:200]} is not a directory")
        raise CheckpointPathNotFound(f"{text[:200]} doesn't exist")
    if path == "/":
        # A restore would remove what this machine and this service need meanwhile.
        raise InvalidCheckpointPath("the root directory can't be a checkpoint")
    _refuse_kernel(Path(path), text)
    _refuse_store(path, store)
    return path


def new(text: str, base: Path, store: Path) -> str:
    """Return the directory to which a checkpoint is to be forked.

    Raises InvalidCheckpointPath, CheckpointPathNotFound and CheckpointConflict.
    """
    path = base / to_name(text)
    if path.name in ("", "..") or len(os.fsencode(path.name)) > MAX_NAME:
        raise InvalidCheckpointPath(f"{text[:200]} doesn't end with a name, or with a long one")
    parent = Path(os.path.realpath(path.parent))
    if not parent.is_dir():
        raise CheckpointPathNotFound(f"the directory of {text[:200]} doesn't exist")
    # To make a directory there may mean something else, such as a cgroup.
    _refuse_kernel(parent, text)
    target = parent / path.name
    _refuse_store(str(target), store)
    if os.path.lexists(target):
        if target.is_symlink() or not target.is_dir():
            raise CheckpointConflict(f"{text[:200]} exists and is not a directory")
        if any(target.iterdir()):
            raise CheckpointConflict(f"{text[:200]} is not empty")
    return str(target)


def relative(text: str) -> str:
    """Return a path in the directory of a checkpoint. Raises InvalidCheckpointPath."""
    parts = [part for part in re.split("/+", to_name(text)) if part not in ("", ".")]
    if text.startswith("/") or ".." in parts:
        raise InvalidCheckpointPath(f"{text[:200]} is not relative to the directory")
    return "/".join(parts)


def overlap(one: str, other: str) -> bool:
    """Report whether one of two directories is, or is in, the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _refuse_kernel(path: Path, text: str) -> None:
    for kind in OF_KERNEL.intersection(types_of(path)):
        raise InvalidCheckpointPath(
            f"{text[:200]} is on a file system of the kernel ({kind}), which has no files to keep"
        )


def _refuse_store(path: str, store: Path) -> None:
    if Path(path).is_relative_to(os.path.realpath(store)):
        raise InvalidCheckpointPath("the directory of the checkpoints itself can't be used")
