"""The procedures of ``filesystem.Filesystem``."""

from __future__ import annotations

from toolbox.errors import NotFound
from toolbox.group import Operations
from toolbox.linux.clock import awake
from toolbox_e2b.connect.call import Call
from toolbox_e2b.connect.procedures import Procedures
from toolbox_e2b.connect.streams import Events
from toolbox_e2b.errors import AlreadyThere
from toolbox_e2b.errors import DeadlineExceeded
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.filesystem.entries import entry_at
from toolbox_e2b.filesystem.entries import entry_of
from toolbox_e2b.filesystem.models import CreateWatcherResponse
from toolbox_e2b.filesystem.models import EntryResponse
from toolbox_e2b.filesystem.models import KeepAlive
from toolbox_e2b.filesystem.models import ListDirRequest
from toolbox_e2b.filesystem.models import ListDirResponse
from toolbox_e2b.filesystem.models import MoveRequest
from toolbox_e2b.filesystem.models import PathRequest
from toolbox_e2b.filesystem.models import Started
from toolbox_e2b.filesystem.models import WatcherEvents
from toolbox_e2b.filesystem.models import WatcherRequest
from toolbox_e2b.filesystem.models import WatchRequest
from toolbox_e2b.filesystem.models import WatchResponse
from toolbox_e2b.filesystem.protocol import HasFiles
from toolbox_e2b.filesystem.watchers import Watch

operations = Operations()
procedures = Procedures(operations, "filesystem.Filesystem")

MODE = "0755"
"""The mode of directories that are made, before the umask."""

LOOK = 0.5
"""Seconds between looks whether the client is still there."""

DEEPEST = 1000
"""Levels that are listed at most: paths are shorter than that many names."""


@procedures.unary("Stat", PathRequest)
def stat_entry(backend: HasFiles, message: PathRequest, call: Call) -> EntryResponse:
    """Show a file or directory."""
    return EntryResponse(entry=entry_at(backend.files, message.path))


@procedures.unary("MakeDir", PathRequest)
def make_directory(backend: HasFiles, message: PathRequest, call: Call) -> EntryResponse:
    """Make a directory and its missing parents; one that exists is an error."""
    files = backend.files
    # The group's operation is silent about one that exists, but clients ask for the difference.
    try:
        info = files.info(message.path)
    except NotFound:
        files.make_folder(message.path, MODE)
        return EntryResponse(entry=entry_at(files, message.path))
    kind = AlreadyThere if info.is_dir else InvalidArgument
    raise kind(f"path {message.path[:300]!r} already exists")


@procedures.unary("Move", MoveRequest)
def move_entry(backend: HasFiles, message: MoveRequest, call: Call) -> EntryResponse:
    """Rename a file or directory; missing parents of the new name are made."""
    files = backend.files
    # First, so that nothing is made for what isn't there.
    files.info(message.source)
    parent = message.destination.rstrip("/").rpartition("/")[0]
    if parent:
        files.make_folder(parent, MODE)
    files.move(message.source, message.destination)
    return EntryResponse(entry=entry_at(files, message.destination))


@procedures.unary("ListDir", ListDirRequest)
def list_entries(backend: HasFiles, message: ListDirRequest, call: Call) -> ListDirResponse:
    """List a directory, ``depth`` levels deep."""
    files = backend.files
    # Zero is the same as no value on this wire.
    depth = min(message.depth or 1, DEEPEST)
    found = files.list(message.path, depth)
    return ListDirResponse(entries=[entry_of(files, info) for info in found])


@procedures.unary("Remove", PathRequest)
def remove_entry(backend: HasFiles, message: PathRequest, call: Call) -> None:
    """Remove a file, or a directory with all that is in it; what isn't there is no error."""
    # Twice is as good as once, as with rm -rf.
    try:
        backend.files.delete(message.path, recursive=True)
    except NotFound:
        pass


@procedures.streaming("WatchDir", WatchRequest)
def watch_directory(backend: HasFiles, message: WatchRequest, call: Call) -> Events:
    """Watch a directory, and send its changes."""
    ends = awake() + call.timeout if call.timeout else None
    return _changes(backend.watchers.watch(message), call, ends)


def _changes(watch: Watch, call: Call, ends: float | None) -> Events:
    collector = watch.collector
    try:
        # Watched already: what a client changes after this event is seen.
        yield WatchResponse(start=Started())
        spoken = awake()
        while True:
            for event in watch.events():
                yield WatchResponse(filesystem=event)
                spoken = awake()
            if collector.closing:
                return
            collector.wait(LOOK)
            call.check()
            if ends is not None and awake() >= ends:
                raise DeadlineExceeded("the time of the stream is over")
            if awake() - spoken >= call.keepalive:
                yield WatchResponse(keepalive=KeepAlive())
                spoken = awake()
    finally:
        collector.stop()


@procedures.unary("CreateWatcher", WatchRequest)
def create_watcher(backend: HasFiles, message: WatchRequest, call: Call) -> CreateWatcherResponse:
    """Watch a directory for a client that polls."""
    return CreateWatcherResponse(watcher_id=backend.watchers.create(message))


@procedures.unary("GetWatcherEvents", WatcherRequest)
def get_watcher_events(backend: HasFiles, message: WatcherRequest, call: Call) -> WatcherEvents:
    """Return the changes since the last call."""
    return WatcherEvents(events=backend.watchers.events(message.watcher_id))


@procedures.unary("RemoveWatcher", WatcherRequest)
def remove_watcher(backend: HasFiles, message: WatcherRequest, call: Call) -> None:
    """Stop watching."""
    backend.watchers.remove(message.watcher_id)
