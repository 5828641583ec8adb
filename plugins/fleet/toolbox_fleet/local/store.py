"""The fleet's records: rows of JSON in SQLite, all of them in memory, too.

Each kind of resource is a :class:`Table`. A change is on disk before it is seen, so what a client
was told survives the control plane. There is one writer: the process that holds the lock file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import Generic
from typing import TypeVar

import msgspec

from toolbox.errors import InsufficientStorage
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import Refused
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.reserve import Reserve

T = TypeVar("T")
R = TypeVar("R")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS names ON rows (kind, name) WHERE name IS NOT NULL;
"""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The codes of a full disk: for the database, and for the index of its log."""


class Store:
    """The database, opened when it is first needed: a fleet without sandboxes costs nothing."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._reserve = Reserve(layout.reserve)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._lock_file = -1
        self._depth = 0
        self._changed: set[Table[Any]] = set()
        self._tables: list[Table[Any]] = []

    def table(self, kind: str, row: type[T]) -> Table[T]:
        """Return the table of a kind of resource, whose rows are structs of the type ``row``."""
        table = Table(self, kind, row)
        self._tables.append(table)
        return table

    @property
    def exists(self) -> bool:
        """True if something has been stored, now or by an earlier control plane."""
        return self._connection is not None or self._layout.database.exists()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make the changes within the block together, or none if it raises. Blocks may be nested.

        Raises Refused if another service holds the records, InsufficientStorage.
        """
        with self._lock:
            connection = self._open()
            if self._depth:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield connection
                connection.execute("COMMIT")
                self._reserve.keep()
            except BaseException as error:
                self._undo(connection)
                # By its code: whoever reads the message must learn what to do about it.
                if getattr(error, "sqlite_errorcode", None) in _FULL:
                    raise InsufficientStorage("no space is left for the fleet's records") from error
                raise
            finally:
                self._depth -= 1
                self._changed.clear()

    def insist(self, change: Callable[[], R]) -> R:
        """Return ``change()``, which changes or removes what is stored already, and adds nothing.

        On a full disk it is called again, with the space that is kept for it. Raises as
        :meth:`transaction`.
        """
        with self._lock:
            try:
                return change()
            except InsufficientStorage:
                # A part of a transaction can't be repeated without the rest.
                if self._depth or not self._reserve.release():
                    raise
                self._rewind()
                return change()

    def _rewind(self) -> None:
        """Let the log of changes begin again at its start: what it takes, it has already."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._open().execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _undo(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for table in self._changed:
            table.load(connection)

    def note(self, table: Table[T]) -> None:
        """Load ``table`` again if the present transaction fails."""
        self._changed.add(table)

    def read(self) -> None:
        """Load what is stored, unless nothing is. Raises Refused as :meth:`transaction`."""
        # Without the lock where there is nothing to do: lists must not wait for the disk.
        if self._connection is None and self._layout.database.exists():
            with self._lock:
                self._open()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._layout.prepare()
            self._take_lock()
            # To open a database takes some space, too.
            self._reserve.release()
            # Values of secrets are in it. SQLite gives its other files the same mode.
            self._layout.database.touch(mode=0o600)
            # Every use is within the lock; the threads are those of requests and of the pool.
            connection = sqlite3.connect(
                self._layout.database, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA journal_mode = WAL")
            # A row must be there before its sandbox, also after the power has failed.
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
            for table in self._tables:
                table.load(connection)
            self._connection = connection
            self._reserve.keep()
        return self._connection

    def _take_lock(self) -> None:
        if self._lock_file >= 0:
            return
        descriptor = os.open(self._layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # flock(2): released by the kernel, however this process ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise Refused(
                f"another service keeps its sandboxes in {self._layout.root}: set [fleet.local]"
                " data to another directory"
            ) from None
        self._lock_file = descriptor

    def close(self) -> None:
        """Close the database. Nothing is lost without it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._lock_file >= 0:
                os.close(self._lock_file)
                self._lock_file = -1


class Table(Generic[T]):
    """The rows of one kind. Reading takes no lock and never waits for the disk."""

    def __init__(self, store: Store, kind: str, row: type[T]) -> None:
        self._store = store
        self._kind = kind
        self._decoder = msgspec.json.Decoder(row)
        self._rows: dict[str, T] = {}
        self._ids: dict[str, str] = {}
        """Ids by name."""
        self._names: dict[str, str] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        """Read all rows. For the store."""
        found = connection.execute(
            "SELECT id, name, body FROM rows WHERE kind = ?", (self._kind,)
        ).fetchall()
        self._rows = {identity: self._decoder.decode(body) for identity, _, body in found}
        self._names = {identity: name for identity, name, _ in found if name is not None}
        self._ids = {name: identity for identity, name in self._names.items()}

    def all(self) -> list[T]:
        """Return all rows, in any order."""
        self._store.read()
        # One step for the interpreter, which no change by another thread comes between.
        return list(self._rows.values())

    def ids(self) -> list[str]:
        """Return the ids of all rows."""
        self._store.read()
        return list(self._rows)

    def find(self, key: str) -> T | None:
        """Return the row with this id or, if there is none, this name; None without one."""
        self._store.read()
        # An id first: nobody can hide another's sandbox by naming one like its id.
        row = self._rows.get(key)
        return row if row is not None else self._rows.get(self._ids.get(key, ""))

    def get(self, identity: str) -> T | None:
        """Return the row with this id; None without one."""
        self._store.read()
        return self._rows.get(identity)

    def add(self, identity: str, name: str | None, row: T) -> None:
        """Store a new row. Raises NameTaken if another of the kind has the name or, as its id,
        the name's text.
        """
        with self._store.transaction() as connection:
            if name is not None and (name in self._ids or name in self._rows):
                raise NameTaken(f"the name {name!r} is already taken")
            connection.execute(
                "INSERT INTO rows (kind, id, name, body) VALUES (?, ?, ?, ?)",
                (self._kind, identity, name, msgspec.json.encode(row)),
            )
            self._keep(identity, name, row)

    def change(self, identity: str, change: Callable[[T], T]) -> T:
        """Store what ``change`` makes of a row and return that; the name stays.

        ``change`` may raise, and then nothing is changed. Raises KeyError without such a row.
        """
        return self._store.insist(lambda: self._change(identity, change))

    def _change(self, identity: str, change: Callable[[T], T]) -> T:
        with self._store.transaction() as connection:
            row = self._rows[identity]
            changed = change(row)
            if changed is not row:
                self._update(connection, identity, changed)
            return changed

    def _update(self, connection: sqlite3.Connection, identity: str, row: T) -> None:
        self._store.note(self)
        connection.execute(
            "UPDATE rows SET body = ? WHERE kind = ? AND id = ?",
            (msgspec.json.encode(row), self._kind, identity),
        )
        self._rows[identity] = row

    def rename(self, identity: str, name: str | None, row: T) -> None:
        """Store a row under another name. Raises NameTaken, KeyError."""
        self._store.insist(lambda: self._rename(identity, name, row))

    def _rename(self, identity: str, name: str | None, row: T) -> None:
        with self._store.transaction():
            self.remove(identity, must=True)
            self.add(identity, name, row)

    def remove(self, identity: str, must: bool = False) -> None:
        """Forget a row. Without one nothing happens, or with ``must`` it raises KeyError."""
        self._store.insist(lambda: self._remove(identity, must))

    def _remove(self, identity: str, must: bool) -> None:
        with self._store.transaction() as connection:
            if identity not in self._rows:
                if must:
                    raise KeyError(identity)
                return
            self._store.note(self)
            connection.execute("DELETE FROM rows WHERE kind = ? AND id = ?", (self._kind, identity))
            del self._rows[identity]
            name = self._names.pop(identity, None)
            if name is not None:
                del self._ids[name]

    def _keep(self, identity: str, name: str | None, row: T) -> None:
        self._store.note(self)
        self._rows[identity] = row
        if name is not None:
            self._names[identity] = name
            self._ids[name] = identity
