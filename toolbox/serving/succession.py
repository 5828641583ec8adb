"""A worker's part in an upgrade in place: it takes over from the one before it, and later hands
over to the next one. The master's part is :mod:`toolbox.serving.reloading`.

The two talk over a socket pair. The new one writes a line with what it can take over, once it has
imported everything. The old one writes ``N`` and a reason, or ``P`` and the parcel; then nothing in
it goes on. The new one writes ``D`` when it serves, and the old one ends.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from toolbox import __version__
from toolbox.handover.adopted import processes
from toolbox.handover.control import Control
from toolbox.handover.control import Message
from toolbox.handover.control import wake
from toolbox.handover.inheritance import Secrets
from toolbox.handover.parcel import Parcel
from toolbox.handover.parcel import receive
from toolbox.linux.kept import all_kept
from toolbox.linux.kept import keep
from toolbox.linux.kept import living
from toolbox.linux.procfs import all_processes
from toolbox.linux.procfs import descendants
from toolbox.sockets.loop import IN

REFUSED = 5
"""The exit status of a new worker that has taken over nothing; gunicorn knows others."""

INTERRUPTED = 1.0
"""Seconds for requests to end that wait for what goes on; they look twice a second."""

CLOSING = 0.5
"""Seconds for WebSockets and the last requests, in which nothing is accepted."""

CORE = "core"
"""The name of the core's contents in a parcel."""

log = logging.getLogger("toolbox")


class Succession:
    """Both parts of one worker, a :class:`toolbox.serving.worker.Worker`."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._control: Control | None = getattr(worker, "control", None)
        self._predecessor: socket.socket | None = getattr(worker, "predecessor", None)
        self._core: dict[str, Any] = {}
        self._listeners = list(worker.sockets)
        self.waiting = False
        """True while nothing has been taken over that would have to be ended."""

    def exit_early(self) -> None:
        """End the process if nothing is started yet that would have to be ended."""
        if self._worker.wsgi is None or self.waiting:
            sys.exit()

    # Taking over

    def take_over(self) -> tuple[Parcel | None, bool]:
        """Return what the worker before this one hands over, and whether anything was lost with a
        worker; (None, False) for the first one.

        Ends the process if the other one goes on.
        """
        if self._predecessor is None or self._control is None:
            return None, bool(self._worker.age > 1)
        self.waiting = True
        parcel = self._receive(self._predecessor, self._control)
        self.waiting = False
        if parcel is None:
            log.error("reload: the old worker has ended: what ran in it is lost")
            return None, True
        self._core = json.loads(parcel.contents.get(CORE, b"{}"))
        self._take_core(self._core)
        return parcel, bool(self._core.get("restarted"))

    def _receive(self, sock: socket.socket, control: Control) -> Parcel | None:
        try:
            # Only now: the imports are done, and that is what takes time and may fail.
            sock.sendall(json.dumps({"formats": self._worker.toolbox.formats()}).encode() + b"\n")
            self._await(sock)
            kind = sock.recv(1)
            if kind == b"N":
                reason = b"".join(iter(lambda: sock.recv(4096), b"")).decode()
                control.send({"kind": "refused", "reason": reason})
                sys.exit(REFUSED)
            if not kind:
                return None
            parcel = receive(sock)
        except (OSError, EOFError):
            return None
        # The master decides: if the old worker has ended before now, what it ran was killed.
        control.send({"kind": "received"})
        wake(self._worker.ppid)
        while True:
            self._await(control.sock)
            for message, _ in control.receive():
                if message.get("kind") == "go":
                    return parcel
                if message.get("kind") == "no":
                    parcel.close()
                    return None
                self._handle(message)

    def _await(self, sock: socket.socket) -> None:
        """Wait until ``sock`` is readable, which may take as long as requests do."""
        while not select.select([sock], [], [], 1.0)[0]:
            self._worker.notify()
            if not self._worker.is_parent_alive():
                sys.exit(REFUSED)

    def _take_core(self, core: dict[str, Any]) -> None:
        store = self._worker.toolbox.auth.store
        secrets = Secrets(**core["secrets"])
        # Otherwise the master may have read newer ones from their files since.
        if secrets != self._worker.secrets_before:
            store.restore(secrets)
        for pid, started in core["kept"]:
            keep(pid, started)

    def serve(self) -> None:
        """Begin to serve: let the old worker end, and follow the master's messages."""
        control = self._control
        if control is None:
            return
        # Everything is adopted: an end that comes now is of something that nobody asked for.
        processes.settle()
        self._worker.toolbox.loop.call_soon(
            lambda: self._worker.toolbox.loop.add(control.sock.fileno(), IN, self._read)
        )
        if self._predecessor is not None:
            if self._core:
                core = self._core
                gap = round(time.monotonic() - core["since"], 3)
                found = {key: core.get(key) for key in ("counts", "ended", "anew")}
                control.send({"kind": "done", "gap": gap, "version": __version__, **found})
                wake(self._worker.ppid)
            with suppress(OSError):
                self._predecessor.sendall(b"D")
            self._predecessor.close()

    def _read(self, events: int) -> None:
        assert self._control is not None
        messages = self._control.receive()
        if not messages and events & ~IN:  # The master has ended; the accept loop sees that, too.
            self._worker.toolbox.loop.remove(self._control.sock.fileno())
        for message, fd in messages:
            if message.get("kind") == "hand-over" and fd >= 0:
                sock = socket.socket(fileno=fd)
                threading.Thread(
                    target=self._hand_over, args=(sock,), name="toolbox-handover", daemon=True
                ).start()
            else:
                self._handle(message)

    def _handle(self, message: Message) -> None:
        if message.get("kind") == "ended":
            processes.note_end(message["pid"], message["started"], message["status"])

    # Handing over

    def _hand_over(self, sock: socket.socket) -> None:
        with sock:
            try:
                self._try(sock)
            except Exception:
                log.exception("reload: this worker could not hand over")
                if self._worker.toolbox.state == "stopping":
                    os._exit(REFUSED)  # Half of it is stopped. The master replaces this worker.

    def _try(self, sock: socket.socket) -> None:
        toolbox = self._worker.toolbox
        offer = sock.makefile("rb").readline()
        if not offer:  # The new worker has ended; the master reports why.
            return
        if reason := self._refusal(json.loads(offer)):
            sock.sendall(b"N" + reason.encode())
            return
        # In this order, since clients are served all the time but between the last two.
        toolbox.wait_idle(self._worker.cfg.graceful_timeout / 2)
        toolbox.interrupt()
        toolbox.wait_idle(INTERRUPTED)
        since = time.monotonic()
        self._stop_accepting()
        parcel = toolbox.hand_over(CLOSING)
        if parcel is None:
            return
        # From here on nothing goes on in this process, and nothing of it may be ended.
        parcel.contents[CORE] = json.dumps(self._describe(parcel, since)).encode()
        for listener in self._worker.sockets:
            if listener not in self._listeners:  # The new worker makes its own.
                listener.close()
        sock.sendall(b"P")
        parcel.send(sock)
        self._end_others(parcel)
        # "D", or nothing if the new worker has ended: then the master ends everything.
        with suppress(OSError):
            sock.recv(1)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)

    def _stop_accepting(self) -> None:
        """Let connections wait for the new worker from now on."""
        worker, paused = self._worker, threading.Event()

        def pause() -> None:
            worker.worker_connections = 0
            worker.set_accept_enabled(False)
            # Clients find them closed, and connect again: those connections wait.
            worker.lobby.hasten(0)
            worker.lobby.close_all()
            paused.set()

        worker.cfg.set("keepalive", 0)  # Responses from now on announce the end.
        worker.method_queue.defer(pause)
        paused.wait(worker.cfg.graceful_timeout)
        worker.lanes.interrupt()

    def _refusal(self, offer: dict[str, Any]) -> str:
        toolbox = self._worker.toolbox
        if toolbox.state != "ready":
            return f"the service is {toolbox.state}"
        formats = offer.get("formats", {})
        for group, number in toolbox.formats().items():
            if formats.get(group) != number:
                there = formats.get(group, "none")
                return f"group {group}: the new version reads format {there}, not {number}"
        return ""

    def _describe(self, parcel: Parcel, since: float) -> dict[str, Any]:
        toolbox = self._worker.toolbox
        secrets = toolbox.auth.store.export()
        return {
            "secrets": {name: getattr(secrets, name) for name in secrets.__struct_fields__},
            "kept": all_kept(),
            "restarted": toolbox.restarted,
            "since": since,
            "counts": parcel.counts,
            "ended": parcel.ended,
            "anew": [name for name in toolbox.backends if name not in parcel.contents],
        }

    def _end_others(self, parcel: Parcel) -> None:
        """Kill what this process has started and nobody has taken over: they would be orphans."""
        spared = parcel.pids | living()
        for process in list(all_processes()):
            if process.parent == os.getpid() and process.pid not in spared:
                for pid in (process.pid, *descendants(process.pid)):
                    if pid not in spared:
                        with suppress(ProcessLookupError, PermissionError):
                            os.kill(pid, signal.SIGKILL)
