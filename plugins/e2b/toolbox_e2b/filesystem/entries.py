"""Files and directories as clients of E2B are shown them."""

from __future__ import annotations

import functools
import grp
import pwd

from toolbox_e2b.engines import FileInfo
from toolbox_e2b.engines import FilesEngine
from toolbox_e2b.filesystem.models import DIRECTORY
from toolbox_e2b.filesystem.models import FILE
from toolbox_e2b.filesystem.models import Entry

METADATA = "user.e2b."
"""The beginning of the names of attributes that are metadata for E2B's clients."""


def entry_at(files: FilesEngine, path: str) -> Entry:
    """Return the entry at ``path``. Raises what the group ``files`` raises."""
    return entry_of(files, files.info(path))


def entry_of(files: FilesEngine, info: FileInfo) -> Entry:
    """Return ``info`` as an entry, which knows if it is a link, too."""
    # The group's metadata is that of the target, and a link isn't told apart by it.
    target = files.link_target(info.path)
    return Entry(
        name=info.name,
        type=DIRECTORY if info.is_dir else FILE,
        path=info.path,
        size=str(info.size),
        mode=int(info.permissions, 8),
        permissions=info.mode,
        owner=_user(info.owner),
        group=_group(info.group),
        modified_time=info.modified_at,
        symlink_target=target,
        is_symlink=target is not None,
        metadata=files.attributes(info.path, METADATA),
    )


@functools.lru_cache(256)
def _user(number: str) -> str:
    try:
        # Looked up once: a directory has few owners and many files.
        return pwd.getpwuid(int(number)).pw_name
    except (KeyError, ValueError):
        return number


@functools.lru_cache(256)
def _group(number: str) -> str:
    try:
        return grp.getgrgid(int(number)).gr_name
    except (KeyError, ValueError):
        return number
