"""The services of all sandboxes: start, watch, suspend and end one."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from collections.abc import Container
from typing import Any

import msgspec

from toolbox.processes import forget
from toolbox.processes import keep
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.records import Running
from toolbox_fleet.local.running import ends
from toolbox_fleet.local.running import freezing
from toolbox_fleet.local.running import tree
from toolbox_fleet.local.running.choosing import choose
from toolbox_fleet.local.running.environment import MARKER
from toolbox_fleet.local.running.environment import base_environment
from toolbox_fleet.local.running.environment import service_settings
from toolbox_fleet.local.running.environment import write_private
from toolbox_fleet.local.running.groups import Groups
from toolbox_fleet.local.running.groups import Usage
from toolbox_fleet.local.running.isolation import Cell
from toolbox_fleet.local.running.isolation import NoIsolation
from toolbox_fleet.local.running.isolation import name_of
from toolbox_fleet.local.running.readiness import NotReady
from toolbox_fleet.local.running.readiness import wait_until_ready
from toolbox_fleet.local.running.starting import listen
from toolbox_fleet.local.running.starting import spawn
from toolbox_fleet.local.running.watching import Watcher
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.supplies import Supply

EXIT_LIMIT = 5.0
"""Seconds until the status of a process that has ended can be had, at most."""


class Services:
    """The processes of sandboxes. Each method is for one sandbox, whose lock the caller holds."""

    def __init__(self, settings: LocalSettings, layout: Layout, watcher: Watcher) -> None:
        self._settings = settings
        self._layout = layout
        self._watcher = watcher
        self.groups = Groups()
        self.supplies: list[Supply] = []
        self.digest: Callable[[], str] = str
        """Return the SHA-256 of the token of the control plane's callers, "" for none."""
        self._listeners: dict[str, socket.socket] = {}
        """The sockets of services that are about to start."""
        self._children: dict[int, subprocess.Popen[Any]] = {}
        self._isolation: NoIsolation | None = None
        self._lock = threading.Lock()

    @property
    def isolation(self) -> NoIsolation:
        """The isolation of new services. Raises SettingsError if it doesn't work here."""
        with self._lock:
            if self._isolation is None:
                self._isolation = choose(self._settings, self._layout)
            return self._isolation

    def reserve(self, identity: str, preferred: int, avoided: Container[int] = ()) -> int:
        """Listen for a service that is about to start; return the port. Raises OSError.

        Its clients can connect from now on, and wait. It is none of the ports ``avoided``.
        """
        with self._lock:
            if identity not in self._listeners:
                self._listeners[identity] = listen(preferred, avoided)
            port: int = self._listeners[identity].getsockname()[1]
            return port

    def _release(self, identity: str) -> None:
        """Close our copy of a service's socket."""
        with self._lock:
            listener = self._listeners.pop(identity, None)
        if listener is not None:
            listener.close()

    def start(self, record: Record, started: Callable[[Running], None]) -> None:
        """Start a service and wait until it is ready.

        ``started`` is called with its processes before it is ready, and has to store them. Raises
        NotReady, ToolboxError, OSError; nothing is left running then.
        """
        identity = record.sandbox.id
        process, running = self._spawn(record)
        running = msgspec.structs.replace(running, digest=self.digest())
        self._children[running.pid] = process
        # Until here it would have ended with this service, as if it had never been started.
        keep(running.pid, running.started)
        try:
            started(running)
            wait_until_ready(running.pid, running.port, self._settings.start_timeout)
        except NotReady as error:
            text = f"{error}: {self.reason(running, identity)}"
            self.kill(running, identity)
            raise NotReady(text) from None
        except BaseException:
            self.kill(running, identity)
            raise

    def _spawn(self, record: Record) -> tuple[subprocess.Popen[Any], Running]:
        identity = record.sandbox.id
        try:
            with contextlib.ExitStack() as held:
                cell = self._cell(record, held)
                self._prepare(record, cell)
                prefix = self.groups.make(identity)
                self.limit(record)
                self.reserve(identity, record.port)
                variables = self._environment(record, cell)
                return spawn(self.isolation, cell, variables, prefix, self._listeners[identity])
        finally:
            # Whoever waits there is told at once if the service ends, or has not begun.
            self._release(identity)

    def limit(self, record: Record) -> None:
        """Set the limits of a sandbox, as far as they can be, running or not."""
        sandbox = record.sandbox
        self.groups.limit(sandbox.id, sandbox.cpu, sandbox.memory, self._settings.pids)

    def usage(self, record: Record) -> Usage:
        """Return the use that a sandbox makes of this machine. Raises OSError."""
        known = self.groups.usage(record.sandbox.id)
        return known or tree.usage(tree.members(record.running, record.sandbox.id))

    def rotate_signing_key(self, record: Record) -> None:
        """Let a running service read its record's signing key. Raises OSError."""
        if record.running is None:
            return
        key = self._layout.sandbox(record.sandbox.id).signing_key
        write_private(key, record.signing_key)
        self.isolation.own(key, record.uid)
        tree.send(tree.master(record.running), signal.SIGHUP)

    def watch(self, running: Running, ended: Callable[[], object]) -> None:
        """Call ``ended`` on the loop when a service ends. Raises ProcessLookupError."""
        keep(running.pid, running.started)
        self._watcher.watch(running.pid, ended)

    def is_alive(self, running: Running) -> bool:
        """Report whether the process that was started runs. Raises OSError."""
        return tree.main_process(running) is not None

    def stop(self, running: Running, identity: str, force: bool) -> None:
        """End all processes of a sandbox. Raises TimeoutError if that can't be done, OSError."""
        self._watcher.forget(running.pid)
        # Jobs get their time by the service, which also takes some to end.
        if not force:
            tree.terminate(running, self._settings.stop_timeout + EXIT_LIMIT)
        self.kill(running, identity)

    def kill(self, running: Running | None, identity: str) -> None:
        """Kill all processes of a sandbox. Raises TimeoutError if that can't be done, OSError."""
        self._release(identity)
        self.end_rest(running, identity)

    def end_rest(self, running: Running | None, identity: str) -> None:
        """Kill what is left of a sandbox's last start, as :meth:`kill`, before another."""
        if running is not None:
            self._watcher.forget(running.pid)
        # Version 1 lets frozen processes live until they are thawed.
        self.groups.freeze(identity, frozen=False)
        tree.kill(running, identity, self.groups.processes)
        if running is not None:
            self._reap(running)
        self.groups.remove(identity)

    def interrupt(self, running: Running) -> None:
        """Kill a service that somebody else waits for. Without any lock; raises OSError."""
        pid = running.inner or running.pid
        if tree.main_process(running) is not None:
            tree.send(pid, signal.SIGKILL)

    def pause(self, running: Running, identity: str) -> None:
        """Suspend all processes of a sandbox. Raises OSError."""
        # Signals too: they show in what users see, and hold where there is no freezer.
        freezing.suspend(running, identity)
        self.groups.freeze(identity, frozen=True)

    def resume(self, running: Running, identity: str) -> None:
        """Continue them. Raises OSError."""
        self.groups.freeze(identity, frozen=False)
        freezing.resume(running, identity)

    def reason(self, running: Running, identity: str) -> str:
        """Return the reason for which a service has ended, for people."""
        status = self._reap(running)
        short = self.groups.was_short_of_memory(identity)
        return ends.reason(status, self._layout.sandbox(identity), short)

    def _reap(self, running: Running) -> int | None:
        """Return the exit status of a service that has ended, None if it wasn't our child."""
        forget(running.pid, running.started)
        process = self._children.pop(running.pid, None)
        if process is None:
            return None
        try:
            return process.wait(EXIT_LIMIT)
        except subprocess.TimeoutExpired:
            self._children[running.pid] = process
            return None

    def _cell(self, record: Record, held: contextlib.ExitStack) -> Cell:
        mounts = [mount for supply in self.supplies for mount in supply.mounts(record, held)]
        paths = self._layout.sandbox(record.sandbox.id)
        return Cell(paths, mounts, record.sandbox.network_block_all, record.uid)

    def _prepare(self, record: Record, cell: Cell) -> None:
        paths = cell.paths
        paths.make()
        inside = self.isolation.inside(paths)
        text = service_settings(inside, self._settings.settings_file, self._settings.stop_timeout)
        write_private(paths.settings, text)
        write_private(paths.signing_key, record.signing_key)
        self.isolation.prepare(cell)

    def _environment(self, record: Record, cell: Cell) -> dict[str, str]:
        user = name_of(record.uid) if record.uid else self.isolation.user
        variables = base_environment(user, self.isolation.inside(cell.paths).home)
        variables |= record.sandbox.env
        for supply in self.supplies:
            variables |= supply.environment(record)
        # Last: no variable of a caller's replaces them.
        variables[MARKER] = record.sandbox.id
        variables["TOOLBOX_TOKEN"] = record.token
        if digest := self.digest():
            variables["TOOLBOX_CALLER_DIGEST"] = digest
        return variables


def new_secret() -> str:
    """Return a token or a signing key that nobody can guess."""
    return secrets.token_urlsafe(32)
