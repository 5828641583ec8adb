"""A gthread worker that never blocks the accept loop, nor a thread for long, on a slow client.

Differences from gunicorn's own, each measured:

* A connection has a thread only while a request of it is being served. Before its head is complete
  and after its last response it waits in the :class:`toolbox.serving.lobby.Lobby`, on the accept
  loop: stock waits in threads for heads, and on the accept loop, for two seconds, for a client
  that keeps its end open.
* Threads that wait for a client, in the middle of a body or a response, don't count, and are
  bounded (:mod:`toolbox.serving.lanes`).
* A kept-alive connection lingers a moment in its thread (:mod:`toolbox.serving.lingering`), which
  saves two thread changes for each request. Only a few may linger, and none while others wait.
* Running out of file descriptors refuses a connection (:mod:`toolbox.serving.acceptor`).
* Errors of the HTTP parser get our envelope.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from toolbox.errors import ToolboxError
from toolbox.http.connection import ClientSocket
from toolbox.http.gunicorn_ import give_head
from toolbox.http.gunicorn_ import take_buffered
from toolbox.linux.clock import tick
from toolbox.linux.heap import Settling
from toolbox.linux.heap import share_one_heap
from toolbox.linux.reaper import kill_descendants
from toolbox.processes import pin_to_one_core
from toolbox.serving.acceptor import Acceptor
from toolbox.serving.acceptor import has_waiting
from toolbox.serving.admission import AdmissionQueue
from toolbox.serving.announcing import announce
from toolbox.serving.arbiter import heartbeat_directory
from toolbox.serving.exchange.environs import Environs
from toolbox.serving.exchange.exchanging import Exchange
from toolbox.serving.heads import HeadLimits
from toolbox.serving.heads import is_complete
from toolbox.serving.lanes import Lanes
from toolbox.serving.late_listeners import LateListeners
from toolbox.serving.lingering import Lingering
from toolbox.serving.lobby import Connection
from toolbox.serving.lobby import Lobby
from toolbox.serving.lobby import lobby_limits
from toolbox.serving.lobby import shut
from toolbox.serving.records import record_of_refusal
from toolbox.serving.records import record_of_request
from toolbox.serving.refusing import error_response
from toolbox.serving.refusing import refusal
from toolbox.serving.succession import Succession
from toolbox.settings import SettingsError
from toolbox.threads import Crew

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

SWITCH_INTERVAL = 0.0002
"""Seconds a thread may hold the GIL while others want it; the default of 5 ms is felt in a PTY."""

log = logging.getLogger("toolbox")


class Worker(ThreadWorker):
    """The worker process: it owns the :class:`Toolbox` and everything that runs in it."""

    tpool: Crew
    poller: selectors.BaseSelector

    def __init__(self, *arguments: Any) -> None:
        *_, cfg, _log = arguments
        cfg.set("worker_tmp_dir", heartbeat_directory())
        super().__init__(*arguments)

    def init_process(self) -> None:
        self.wsgi = None
        self._stopping: threading.Thread | None = None
        self._succession = Succession(self)
        self._settling = Settling()
        sys.setswitchinterval(SWITCH_INTERVAL)
        share_one_heap()
        # gunicorn sets it; children should not inherit it.
        os.environ.pop("SERVER_SOFTWARE", None)
        super().init_process()

    def get_thread_pool(self) -> Crew:
        crew = Crew(self.cfg.threads)
        crew.start()
        return crew

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raise ValueError for settings that this worker can't honor."""
        if cfg.is_ssl:
            raise ValueError("TLS belongs to a proxy in front of the service")

    @property
    def toolbox(self) -> Toolbox:
        """The service that this worker runs."""
        toolbox: Toolbox = self.wsgi.extensions["toolbox"]
        return toolbox

    def run(self) -> None:
        if self.toolbox.settings.server.pin_core:
            pin_to_one_core()
        parcel, restarted = self._succession.take_over()
        try:
            self.toolbox.start(restarted, parcel)
        except SettingsError as error:
            error.report()
            sys.exit(Arbiter.APP_LOAD_ERROR)
        self._environs = Environs(self.cfg)
        if self.age == 1:  # A worker that replaces another changes nothing for clients.
            announce(self.toolbox, [sock.getsockname() for sock in self.sockets])
        self._open_lobby()
        self._succession.serve()
        try:
            super().run()
        finally:
            # Also if the master has died: nothing that was started here may outlive it.
            self._stop(self.cfg.graceful_timeout)
            if self._stopping is not None:
                self._stopping.join()
            if not self.is_parent_alive():
                kill_descendants(keep=set())  # As the master does after a worker.

    def _open_lobby(self) -> None:
        server = self.toolbox.settings.server
        self._head_limits = HeadLimits(server.max_url, server.max_head)
        self.lanes = Lanes(self.tpool, server.threads, server.stall_timeout, server.header_timeout)
        limits = lobby_limits(server, self._head_limits)
        self._lingering = Lingering(self._head_limits)
        self._admission = AdmissionQueue(self._submit, self._drop, limits.strangers)
        self.lobby = Lobby(self.poller, limits, self.enqueue_req, self._on_closed)
        self._acceptor = Acceptor(self.lobby.close_oldest)
        self.toolbox.listeners.attach(LateListeners(self), self.sockets[0])

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Finish current requests, within the graceful timeout (SIGTERM)."""
        self._succession.exit_early()
        super().handle_exit(sig, frame)
        self._stop(self.cfg.graceful_timeout)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop now, ending what was started (SIGINT and SIGQUIT)."""
        self._succession.exit_early()
        ThreadWorker.handle_exit(self, sig, frame)
        self.cfg.set("graceful_timeout", 1)
        self._stop(1)

    def _stop(self, timeout: float) -> None:
        if self._stopping is None:
            # Off the signal handler and off the accept loop: both must stay responsive.
            self._stopping = threading.Thread(
                target=self.toolbox.stop, args=(timeout * 0.8,), name="toolbox-stop"
            )
            try:
                self._stopping.start()
            except RuntimeError:  # No thread can be started.
                self._stopping = None
                self.toolbox.stop(timeout * 0.8)

    # Connections

    def set_accept_enabled(self, enabled: bool) -> None:
        """Stop listening, too, once the worker stops: stock keeps the socket until the last
        request is done, and clients that connect in that time never get a response.
        """
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        """Accept clients that connected in time, for the error that the service is stopping."""
        for _ in range(self.cfg.backlog):
            if not has_waiting(listener):
                return
            self.accept(listener)

    def accept(self, listener: Any) -> None:
        for sock, address, server in self._acceptor.accept(listener):
            self.nr_conns += 1
            client = ClientSocket(sock, self.lanes)
            self.lobby.enter(Connection(self.cfg, client, address, server))

    def notify(self) -> None:
        tick()
        self._settling.tend()
        super().notify()

    def murder_pending(self) -> None:
        self.lobby.tidy()

    def murder_keepalived(self, force: bool = False) -> None:
        if force:
            self.lobby.close_all()

    def _cap_keepalive(self, deadline: float) -> None:
        self.lobby.hasten(deadline - time.monotonic())

    def _on_closed(self, conn: Connection) -> None:
        self.nr_conns -= 1

    def enqueue_req(self, conn: Connection) -> None:
        if conn.sock.was_known or self.toolbox.auth.recognizes(conn.head):
            self._submit(conn)
        else:
            conn.sock.on_release = self._admission.leave
            self._admission.enter(conn, again=conn.parser is not None)

    def _drop(self, conn: Connection) -> None:
        self.method_queue.defer(self._take_back, conn, False, shut(conn.sock))

    def _submit(self, conn: Connection) -> None:
        self.tpool.submit(partial(self._work, conn))

    def _work(self, conn: Connection) -> None:
        """Serve a connection on a thread, and give it back to the accept loop."""
        kept = closed = False
        try:
            kept = self._serve(conn)
        finally:
            conn.sock.release_place()
            if not kept:
                closed = shut(conn.sock)
            self.method_queue.defer(self._take_back, conn, kept, closed)

    def _take_back(self, conn: Connection, kept: bool, closed: bool) -> None:
        if closed:
            self._on_closed(conn)
        elif kept:
            self.lobby.enter(conn)
        else:
            self.lobby.part(conn)

    def _serve(self, conn: Connection) -> bool:
        """Serve the requests that have come; report whether the connection is kept."""
        try:
            while True:
                self._give_head(conn)
                if not self.handle(conn):
                    return False
                conn.head += take_buffered(conn.parser)
                if self._admission.crowded and not conn.sock.was_known:
                    return True  # Other connections have their turn.
                if not is_complete(conn.head, self._head_limits) and not self._linger(conn):
                    return True
        except OSError:
            return False
        except ToolboxError as error:
            self.handle_error(None, conn.sock, conn.client, error)
            return False

    def _give_head(self, conn: Connection) -> None:
        if conn.refusal is not None:
            raise conn.refusal
        give_head(conn, bytes(conn.head))
        conn.head.clear()

    def _linger(self, conn: Connection) -> bool:
        return self.alive and not self.tpool.busy and self._lingering.wait(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        conn.sock.begin(req)
        self.toolbox.enter()
        exchange = Exchange(self, req, conn, self._environs)
        try:
            return exchange.run()
        except TimeoutError:
            log.info("closed a connection that stalled while sending")
            raise StopIteration from None
        finally:
            if observers := self.toolbox.observers:
                record = record_of_request(exchange)
                if record is not None:
                    observers.notify(record)
            self.toolbox.activity.leave(conn.sock)
            self.toolbox.leave()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Send the response to what the parser refused, like that to every other error."""
        error = refusal(self, req, addr, exc)
        data = error_response(error, req)
        with contextlib.suppress(OSError):
            client.sendall(data)
        if self.toolbox.observers:
            self.toolbox.observers.notify(record_of_refusal(error, req, addr, len(data)))
