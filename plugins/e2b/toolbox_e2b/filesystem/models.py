"""The messages of ``filesystem.Filesystem``: protobuf's JSON, in which zero values are left out."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

FILE = "FILE_TYPE_FILE"
DIRECTORY = "FILE_TYPE_DIRECTORY"

CREATE = "EVENT_TYPE_CREATE"
WRITE = "EVENT_TYPE_WRITE"
REMOVE = "EVENT_TYPE_REMOVE"
RENAME = "EVENT_TYPE_RENAME"
CHMOD = "EVENT_TYPE_CHMOD"


class PathRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A file or directory."""

    path: str = ""


class MoveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The old and the new path."""

    source: str = ""
    destination: str = ""


class ListDirRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A directory and the number of levels to list; 0 is 1."""

    path: str = ""
    depth: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0


class WatchRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A directory to watch."""

    path: str = ""
    recursive: bool = False
    include_entry: bool = False
    allow_network_mounts: bool = False


class WatcherRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A watcher by its id."""

    watcher_id: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A file or directory; of a link, what it leads to."""

    name: str = ""
    type: str = ""
    path: str = ""
    size: str = "0"
    """An int64, which JSON has as text."""
    mode: int = 0
    """The permission bits."""
    permissions: str = ""
    owner: str = ""
    group: str = ""
    modified_time: str | None = None
    symlink_target: str | None = None
    metadata: dict[str, str] = {}
    is_symlink: bool = False


class EntryResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One entry."""

    entry: Entry


class ListDirResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The entries of a directory."""

    entries: list[Entry] = []


class FilesystemEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change; ``name`` is relative to the watched directory."""

    name: str = ""
    type: str = ""
    entry: Entry | None = None


class Started(msgspec.Struct, frozen=True):
    """The directory is being watched."""


class KeepAlive(msgspec.Struct, frozen=True):
    """A sign of life."""


class WatchResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of the stream of a watcher."""

    start: Started | None = None
    filesystem: FilesystemEvent | None = None
    keepalive: KeepAlive | None = None


class CreateWatcherResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The id of a new watcher."""

    watcher_id: str


class WatcherEvents(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The changes since the last call."""

    events: list[FilesystemEvent] = []
