"""Serving: the listening socket, gunicorn's master process and its worker.

The master holds the socket and the settings; the worker, forked from it, imports the plugins and
runs the service. Everything the service starts is a descendant of the master, orphans included:
when a worker dies, for any reason, the master kills what it left behind before it starts another.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from toolbox.handover.inheritance import Inheritance
from toolbox.handover.inheritance import handle_signals
from toolbox.http.gunicorn_ import keep_socket_files
from toolbox.linux.heap import collect_nothing
from toolbox.linux.heap import share_memory
from toolbox.linux.hiding import hide_memory
from toolbox.linux.reaper import adopt_orphans
from toolbox.linux.reaper import kill_descendants
from toolbox.serving.arbiter import watch
from toolbox.serving.bootstrap import Prepared
from toolbox.serving.bootstrap import wsgi_app
from toolbox.serving.further import listening
from toolbox.serving.listening import BACKLOG
from toolbox.serving.listening import listen
from toolbox.serving.reloading import Reloading
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError

if TYPE_CHECKING:
    from flask import Flask

BAD_SETTINGS: int = Arbiter.APP_LOAD_ERROR
"""The exit status of a worker with invalid settings, and then of the service. The worker has
printed the reason in one line.
"""

DESCRIPTORS = 65536
"""File descriptors that the service asks for at most."""

log = logging.getLogger("toolbox")


def gunicorn_options(settings: CoreSettings) -> dict[str, Any]:
    """Return gunicorn's settings, here and for ``conf/gunicorn.conf.py``."""
    server = settings.server
    level = settings.log.level
    return {
        "worker_class": "toolbox.serving.worker.Worker",
        "workers": 1,  # Sessions, PTYs and jobs live in one process's memory.
        "threads": server.threads,
        "worker_connections": 10000,
        "backlog": BACKLOG,
        "keepalive": server.keep_alive,
        "graceful_timeout": server.shutdown_timeout,
        "timeout": server.hang_timeout,
        "on_starting": watch,
        "limit_request_line": 0,  # The lobby checks it; gunicorn has no limit over 8,190.
        "limit_request_field_size": server.max_head,
        "limit_request_fields": server.max_headers,
        "control_socket_disable": True,
        "loglevel": level if level == "debug" else "warning",
        "logger_class": "toolbox.logs.GunicornLogger",
        # Clients are known by token; no forwarded address or scheme is trusted.
        "forwarded_allow_ips": "",
        "child_exit": _on_worker_exit,  # Not under `toolbox serve`, where Reloading reaps.
    }


class Application(BaseApplication):
    """One service under gunicorn."""

    def __init__(
        self,
        prepared: Prepared,
        socks: Sequence[socket.socket],
        directory: str,
        inheritance: Inheritance | None = None,
    ) -> None:
        self._prepared = prepared
        self._is_successor = inheritance is not None
        self._reloading = Reloading(directory, inheritance)
        self._pid = os.getpid()
        # gunicorn takes the descriptors over, and closes them.
        self._bind = [f"fd://{sock.detach()}" for sock in socks]
        super().__init__()

    def load_config(self) -> None:
        assert self.cfg is not None
        for name, value in gunicorn_options(self._prepared.settings).items():
            self.cfg.set(name, value)
        self.cfg.set("bind", self._bind)
        self.cfg.set("when_ready", self._on_ready)
        self.cfg.set("pre_fork", self._reloading.before_fork)
        self.cfg.set("post_fork", self._reloading.after_fork)

    def _on_ready(self, arbiter: Any) -> None:
        """Read the secrets again on SIGHUP, where gunicorn would end the worker and all in it."""
        arbiter.handle_hup = self._renew
        keep_socket_files(arbiter)
        self._reloading.attach(arbiter, self._prepared.auth.store.export)
        share_memory()
        if self._is_successor:
            handle_signals()

    def _renew(self) -> None:
        auth = self._prepared.auth
        try:
            changed = auth.store.renew()
        except SettingsError as error:
            log.error("nothing is changed: %s", error)
            return
        log.info("read again: %s", f"new {' and '.join(changed)}" if changed else "nothing is new")

    def load(self) -> Flask:
        # In the worker, so that the master needs neither Flask nor plugins, nor their memory.
        collect_nothing()
        try:
            return wsgi_app(self._prepared)
        except SettingsError as error:
            error.report()
            sys.exit(BAD_SETTINGS)

    def run(self) -> None:
        adopt_orphans()
        # The callers' token is another service's: programs that run here must not find it.
        if self._prepared.auth.store.caller_digest:
            hide_memory()
        try:
            super().run()
        finally:
            if os.getpid() == self._pid:  # A forked worker returns this way, too.
                kill_descendants(keep=set())


def _on_worker_exit(arbiter: Any, worker: Any) -> None:
    kill_descendants(keep=set(arbiter.WORKERS))


def raise_descriptor_limit() -> None:
    """Raise this process's soft limit on file descriptors, which its children inherit.

    The usual soft limit of 1,024 is for programs that use select(2); sockets, terminals and output
    kept on disk take one each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(
    prepared: Prepared,
    listener: socket.socket | None = None,
    inheritance: Inheritance | None = None,
    directory: str = "",
) -> int:
    """Serve until a signal ends it, on ``listener`` or on the address in the settings, and on the
    further ones, or on what an earlier version has left; return the exit status. Raises
    SettingsError.

    ``directory`` is the one that this program was started in.
    """
    raise_descriptor_limit()
    pid = os.getpid()
    server = prepared.settings.server
    left = [socket.socket(fileno=fd) for fd in inheritance.listeners] if inheritance else []
    sock = left[0] if left else listener or listen(server.host, server.port)
    try:
        with listening(server, left[1:] if left else None) as further:
            Application(prepared, [sock, *further], directory, inheritance).run()
    except SystemExit as end:
        if os.getpid() != pid:  # A forked worker returns this way, too.
            raise
        return end.code if isinstance(end.code, int) else 1
    finally:
        sock.close()
        sys.stdout.flush()
    return 0
