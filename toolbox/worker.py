"""gunicorn's gthread worker, for which no client is too slow and none too many.

What differs, each measured:

* A connection has a thread only while a request of it is being served. Before its head is complete
  and after its last answer it waits in the :class:`toolbox.lobby.Lobby`, on the accept loop: stock
  waits in threads for heads, and on the accept loop, for two seconds, for a client that keeps its
  end open.
* Threads that wait for a client, in the middle of a body or an answer, don't count, and are bounded
  (:mod:`toolbox.lanes`).
* A kept-alive connection lingers a moment in its thread, as its next request mostly comes at once:
  two thread changes less for each request. Only a few may linger, and none while others wait.
* Running out of file descriptors refuses a connection instead of ending the worker.
* Errors of the HTTP parser are answered in our envelope.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import select
import selectors
import sys
import tempfile
import threading
import time
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from toolbox.announcing import announce
from toolbox.client import ClientSocket
from toolbox.clock import tick
from toolbox.errors import ToolboxError
from toolbox.gate import Gate
from toolbox.heads import HeadLimits
from toolbox.heads import is_complete
from toolbox.heap import share_one_heap
from toolbox.lanes import Lanes
from toolbox.lobby import RECEIVE
from toolbox.lobby import Connection
from toolbox.lobby import Lobby
from toolbox.lobby import LobbyLimits
from toolbox.lobby import shut
from toolbox.observing import describe
from toolbox.processes import kill_descendants
from toolbox.processes import pin_to_one_core
from toolbox.refusing import answer
from toolbox.refusing import ended
from toolbox.refusing import refusal
from toolbox.settings import SettingsError
from toolbox.threads import Crew

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

LINGER_MS = 20
REFUSING = 0.01
"""Seconds between two attempts to refuse a connection without a descriptor to do it with."""
MAX_LINGERING = 4
ACCEPTED = 64
"""Connections taken before others have their turn."""
MAX_CALLERS = 4096
"""Idle connections of those who have shown a token."""
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
SWITCH_INTERVAL = 0.0002
"""Seconds a thread may hold the GIL while others want it; the default of 5 ms is felt in a PTY."""

log = logging.getLogger("toolbox")


class Worker(ThreadWorker):
    """The worker process: it owns the :class:`Toolbox` and everything that runs in it."""

    tpool: Crew
    poller: selectors.BaseSelector

    def __init__(self, *arguments: Any) -> None:
        *_, cfg, _log = arguments
        cfg.set("worker_tmp_dir", _heartbeat_directory())
        super().__init__(*arguments)

    def init_process(self) -> None:
        self.wsgi = None
        self._lingering = 0
        self._spare = _spare_descriptor()
        self._stopping: threading.Thread | None = None
        sys.setswitchinterval(SWITCH_INTERVAL)
        share_one_heap()
        # gunicorn's, and nothing that children should inherit.
        os.environ.pop("SERVER_SOFTWARE", None)
        super().init_process()

    def get_thread_pool(self) -> Crew:
        crew = Crew(self.cfg.threads)
        crew.start()
        return crew

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Raises ValueError for what this worker can't do."""
        if cfg.is_ssl:
            raise ValueError("TLS belongs to a proxy in front of the service")

    @property
    def toolbox(self) -> Toolbox:
        """The service this worker runs."""
        toolbox: Toolbox = self.wsgi.extensions["toolbox"]
        return toolbox

    def run(self) -> None:
        if self.toolbox.settings.server.pin_core:
            pin_to_one_core()
        try:
            self.toolbox.start(restarted=self.age > 1)
        except SettingsError as error:
            error.tell()
            sys.exit(Arbiter.APP_LOAD_ERROR)
        if self.toolbox.observers:
            self.cfg.set("post_request", _remember)
        if self.age == 1:
            # Once: a worker that replaces another changes nothing for the world outside.
            announce(self.toolbox, self.sockets[0].getsockname())
        self._open_lobby()
        try:
            super().run()
        finally:
            # Also when the master is gone: nothing that was started here may outlive it.
            self._stop(self.cfg.graceful_timeout)
            if self._stopping is not None:
                self._stopping.join()
            if not self.is_parent_alive():
                kill_descendants(keep=set())  # As the master does after a worker.

    def _open_lobby(self) -> None:
        server = self.toolbox.settings.server
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._head_limits = HeadLimits(server.max_url, server.max_head)
        self._lanes = Lanes(self.tpool, server.threads, server.stall_timeout, server.header_timeout)
        limits = LobbyLimits(
            strangers=min(server.max_strangers, descriptors // 4),
            callers=min(MAX_CALLERS, descriptors // 2),
            keep_alive=server.keep_alive,
            header_timeout=server.header_timeout,
            head=self._head_limits,
        )
        self._gate: Gate[Connection] = Gate(self._submit, self._drop, limits.strangers)
        self._lobby = Lobby(self.poller, limits, self.enqueue_req, self._gone)

    # Ending

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: finish what is being worked on, within the bound."""
        if self.wsgi is None:
            sys.exit()  # There is nothing yet that could be ended.
        super().handle_exit(sig, frame)
        self._stop(self.cfg.graceful_timeout)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGINT and SIGQUIT: end now, but end what was started too."""
        if self.wsgi is None:
            sys.exit()
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
            except RuntimeError:  # There is room for no more threads.
                self._stopping = None
                self.toolbox.stop(timeout * 0.8)

    # Connections

    def set_accept_enabled(self, enabled: bool) -> None:
        """Once the end has begun, also stop listening: stock keeps the socket until the last
        request is done, and who connects meanwhile waits for an answer that never comes.
        """
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        """Take those who connected in time; they are told that the service is stopping."""
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        for _ in range(self.cfg.backlog):
            if not poll.poll(0):
                return
            self.accept(listener)

    def accept(self, listener: Any) -> None:
        """Take those who have connected, some at a time."""
        for _ in range(ACCEPTED):
            try:
                sock, address = listener.accept()
            except OSError as error:
                if error.errno in SHORT:
                    self._refuse_one(listener, error)
                elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                    raise
                return
            self.nr_conns += 1
            client = ClientSocket(sock, self._lanes)
            self._lobby.enter(Connection(self.cfg, client, address, listener.getsockname()))

    def _refuse_one(self, listener: Any, error: OSError) -> None:
        log.error("a connection was refused: %s", error.strerror)
        if self._lobby.close_oldest():
            return
        # Without a descriptor it can't be accepted, and unaccepted it would wake us for ever.
        if self._spare >= 0:
            os.close(self._spare)
        else:
            time.sleep(REFUSING)  # Another thread was quicker; it will give one back.
        with contextlib.suppress(OSError):
            listener.accept()[0].close()
        self._spare = _spare_descriptor()

    def notify(self) -> None:
        tick()
        super().notify()

    def murder_pending(self) -> None:
        self._lobby.tidy()

    def murder_keepalived(self, force: bool = False) -> None:
        if force:
            self._lobby.close_all()

    def _cap_keepalive(self, deadline: float) -> None:
        self._lobby.hasten(deadline - time.monotonic())

    def _gone(self, conn: Connection) -> None:
        self.nr_conns -= 1

    def enqueue_req(self, conn: Connection) -> None:
        if conn.sock.was_known or self.toolbox.auth.recognizes(conn.head):
            self._submit(conn)
        else:
            conn.sock.on_pass = self._gate.leave
            self._gate.enter(conn, again=conn.parser is not None)

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
            conn.sock.pass_gate()
            if not kept:
                closed = shut(conn.sock)
            self.method_queue.defer(self._take_back, conn, kept, closed)

    def _take_back(self, conn: Connection, kept: bool, closed: bool) -> None:
        if closed:
            self._gone(conn)
        elif kept:
            self._lobby.enter(conn)
        else:
            self._lobby.part(conn)

    def _serve(self, conn: Connection) -> bool:
        """Serve what is there of requests; whether the connection is kept."""
        try:
            while True:
                self._give_head(conn)
                if not self.handle(conn):
                    return False
                conn.head += conn.parser.unreader.take_buffered()
                if self._gate.crowded and not conn.sock.was_known:
                    return True  # The others have their turn.
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
        conn.init()
        conn.parser.unreader.unread(bytes(conn.head))
        conn.head.clear()

    def _linger(self, conn: Connection) -> bool:
        """Wait a moment for the next request of this connection; whether it has come."""
        if self._lingering >= MAX_LINGERING or self.tpool.busy or not self.alive:
            return False
        self._lingering += 1
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            if not poll.poll(LINGER_MS):
                return False
        finally:
            self._lingering -= 1
        seen = len(conn.head)
        data = conn.sock.take(RECEIVE)
        if data == b"":
            raise ConnectionResetError
        conn.head += data or b""
        return is_complete(conn.head, self._head_limits, seen)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        conn.sock.begin(req)
        self.toolbox.enter()
        began = time.monotonic()
        complete = False
        try:
            result = super().handle_request(req, conn)
            complete = True
            return result
        except TimeoutError:
            log.info("a client that took nothing for too long was cut off")
            raise StopIteration from None
        finally:
            if self.toolbox.observers:
                self._tell(req, time.monotonic() - began, complete)
            self.toolbox.leave()

    def _tell(self, req: Any, seconds: float, complete: bool) -> None:
        # Taken away: the answer knows its request, so they would keep each other alive.
        environ, answer = req.__dict__.pop("exchange", ({}, None))
        if answer is None or answer.status is None:
            return  # It became a WebSocket, or an error that handle_error() answers and tells.
        sent = answer.sent
        if not sent and complete and answer.response_length and not answer._omits_body:
            sent = answer.response_length  # The kernel has sent a file.
        self.toolbox.observers.tell(
            describe(
                environ, status=answer.status_code, seconds=seconds, sent=sent, complete=complete
            )
        )

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what the parser refused as every other error is answered."""
        error = refusal(self, req, addr, exc)
        data = answer(error, req)
        with contextlib.suppress(OSError):
            client.sendall(data)
        if self.toolbox.observers:
            self.toolbox.observers.tell(ended(error, req, addr, len(data)))


def _remember(worker: Worker, req: Any, environ: dict[str, Any], answer: Any) -> None:
    """Keep both for :meth:`Worker._tell`: gunicorn calls this at the end of a request."""
    req.exchange = environ, answer


def _heartbeat_directory() -> str | None:
    """Where gunicorn's file can be made by which the master sees that the worker lives: in memory,
    unless a job has filled that, or else wherever there is room for a file.
    """
    for directory in ("/dev/shm", None):
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=directory):
            return directory
    return os.curdir


def _spare_descriptor() -> int:
    """A descriptor to give up when there is no other, or -1 if there is not even this one."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
