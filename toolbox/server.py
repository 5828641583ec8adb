"""Serving: the listening socket, gunicorn's master process and its worker.

The master holds the socket and the settings; the worker, forked from it, imports the plugins and
runs the service. Everything the service starts is a descendant of the master, orphans included, so
when a worker dies, however, the master ends what it left behind before the next one starts.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import sys
from typing import TYPE_CHECKING
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from toolbox.arbiter import watch
from toolbox.assemble import Prepared
from toolbox.assemble import wsgi_app
from toolbox.processes import adopt_orphans
from toolbox.processes import kill_descendants
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError

if TYPE_CHECKING:
    from flask import Flask

BAD_SETTINGS: int = Arbiter.APP_LOAD_ERROR
"""The exit status of a worker whose settings can't be used, and then of the service. The worker has
said why, in one line.
"""

BACKLOG = 2048
DESCRIPTORS = 65536

log = logging.getLogger("toolbox")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError in one line."""
    sock: socket.socket | None = None
    try:
        sock = _bind(host, port)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock:
            sock.close()
        raise _no_address(host, port, error) from None
    return sock


def check_address(host: str, port: int) -> None:
    """Raises SettingsError if nothing could ever listen there: that it is in use, by this service
    perhaps, is no mistake of the settings.
    """
    try:
        _bind(host, port).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _no_address(host, port, error) from None


def _no_address(host: str, port: int, error: OSError) -> SettingsError:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    hint = "; choose another port with --port" if error.errno == errno.EADDRINUSE else ""
    return SettingsError(f"can't listen on {where}: {error.strerror}{hint}")


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means every address, IPv4 ones too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def gunicorn_options(settings: CoreSettings) -> dict[str, Any]:
    """What gunicorn is told; ``conf/gunicorn.conf.py`` tells it the same."""
    server = settings.server
    level = settings.log.level
    return {
        "worker_class": "toolbox.worker.Worker",
        "workers": 1,  # Sessions, PTYs and jobs live in one process's memory.
        "threads": server.threads,
        "worker_connections": 10000,
        "backlog": BACKLOG,
        "keepalive": server.keep_alive,
        "graceful_timeout": server.shutdown_timeout,
        "timeout": server.hang_timeout,
        "on_starting": watch,
        "limit_request_line": 0,  # The lobby looks at it; gunicorn knows no limit over 8,190.
        "limit_request_field_size": server.max_head,
        "limit_request_fields": server.max_headers,
        "control_socket_disable": True,
        "loglevel": level if level == "debug" else "warning",
        "logger_class": "toolbox.logs.GunicornLogger",
        # Who calls is checked by token, and nothing here trusts a forwarded address or scheme.
        "forwarded_allow_ips": "",
        "child_exit": _on_worker_exit,
    }


class Application(BaseApplication):
    """One service under gunicorn."""

    def __init__(self, prepared: Prepared, sock: socket.socket) -> None:
        self._prepared = prepared
        self._pid = os.getpid()
        # gunicorn takes the descriptor over, and closes it.
        self._bind = f"fd://{sock.detach()}"
        super().__init__()

    def load_config(self) -> None:
        assert self.cfg is not None
        for name, value in gunicorn_options(self._prepared.settings).items():
            self.cfg.set(name, value)
        self.cfg.set("bind", self._bind)
        self.cfg.set("when_ready", self._heed_hangups)

    def _heed_hangups(self, arbiter: Any) -> None:
        """On SIGHUP read the secrets again, where gunicorn would end the worker and all in it."""
        arbiter.handle_hup = self._renew

    def _renew(self) -> None:
        auth = self._prepared.auth
        try:
            changed = auth.renew()
        except SettingsError as error:
            log.error("nothing is changed: %s", error)
            return
        log.info("read again: %s", f"new {' and '.join(changed)}" if changed else "nothing is new")

    def load(self) -> Flask:
        # In the worker, so that the master needs neither Flask nor plugins, nor their memory.
        try:
            return wsgi_app(self._prepared)
        except SettingsError as error:
            error.tell()
            sys.exit(BAD_SETTINGS)

    def run(self) -> None:
        adopt_orphans()
        try:
            super().run()
        finally:
            if os.getpid() == self._pid:  # A worker comes this way, too.
                kill_descendants(keep=set())


def _on_worker_exit(arbiter: Any, worker: Any) -> None:
    kill_descendants(keep=set(arbiter.WORKERS))


def raise_descriptor_limit() -> None:
    """Allow this process, and its children, as many descriptors as there may be, within reason.

    The usual soft limit of 1,024 is for programs that use select(2); sockets, terminals and output
    kept on disk take one each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(prepared: Prepared) -> int:
    """Serve until a signal ends it; the exit status. Raises SettingsError."""
    raise_descriptor_limit()
    pid = os.getpid()
    server = prepared.settings.server
    sock = listen(server.host, server.port)
    try:
        Application(prepared, sock).run()
    except SystemExit as end:
        if os.getpid() != pid:  # A worker comes this way, too.
            raise
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
    return 0
