"""gunicorn's gthread worker, kinder to slow clients and quicker with fast ones.

Four differences, each measured:

* A connection is closed by the thread that served it. Stock closes on the accept loop and waits
  there, up to two seconds, for a client that keeps its end open: everybody stalls.
* A kept-alive connection lingers a moment in its thread, as its next request mostly comes at once:
  two thread changes less for each request. Only a few may linger, and none while others wait.
* Clients that send headers or take bytes too slowly are cut off; running out of file descriptors
  refuses a connection instead of ending the worker.
* Errors of the HTTP parser are answered in our envelope.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING
from typing import Any

import msgspec
from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import _DEFER
from gunicorn.workers.gthread import ThreadWorker

from toolbox.announcing import announce
from toolbox.errors import envelope
from toolbox.errors import from_status
from toolbox.observing import Ended
from toolbox.observing import describe
from toolbox.processes import kill_descendants
from toolbox.processes import pin_to_one_core
from toolbox.settings import SettingsError
from toolbox.threads import Pool

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

LINGER_MS = 20
REFUSING = 0.01
"""Seconds between two attempts to refuse a connection without a descriptor to do it with."""
MAX_LINGERING = 4
SWITCH_INTERVAL = 0.0002
"""Seconds a thread may hold the GIL while others want it; the default of 5 ms is felt in a PTY."""

log = logging.getLogger("toolbox")


class Worker(ThreadWorker):
    """The worker process: it owns the :class:`Toolbox` and everything that runs in it."""

    def __init__(self, *arguments: Any) -> None:
        *_, cfg, _log = arguments
        cfg.set("worker_tmp_dir", _heartbeat_directory())
        super().__init__(*arguments)

    def init_process(self) -> None:
        self.wsgi = None
        self._lingering = 0
        self._reading: dict[Any, float] = {}
        self._spare = _spare_descriptor()
        self._stopping: threading.Thread | None = None
        sys.setswitchinterval(SWITCH_INTERVAL)
        # gunicorn's, and nothing that children should inherit.
        os.environ.pop("SERVER_SOFTWARE", None)
        super().init_process()

    def get_thread_pool(self) -> Pool:
        pool = Pool(self.cfg.threads)
        pool.start()
        return pool

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
            print(f"toolbox: {error}", file=sys.stderr, flush=True)
            sys.exit(Arbiter.APP_LOAD_ERROR)
        if self.toolbox.observers:
            self.cfg.set("post_request", _remember)
        if self.age == 1:
            # Once: a worker that replaces another changes nothing for the world outside.
            announce(self.toolbox, self.sockets[0].getsockname())
        try:
            super().run()
        finally:
            # Also when the master is gone: nothing that was started here may outlive it.
            self._stop(self.cfg.graceful_timeout)
            if self._stopping is not None:
                self._stopping.join()
            if not self.is_parent_alive():
                kill_descendants(keep=set())  # As the master does after a worker.

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

    def accept(self, listener: socket.socket) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                raise
            log.error("a connection was refused: %s", error.strerror)
            # Without a descriptor it can't be accepted, and unaccepted it would wake us for ever.
            if self._spare >= 0:
                os.close(self._spare)
            else:
                time.sleep(REFUSING)  # Another thread was quicker; it will give one back.
            with contextlib.suppress(OSError):
                listener.accept()[0].close()
            self._spare = _spare_descriptor()

    def murder_pending(self) -> None:
        """Called at least once a second: also end those that don't get their headers done."""
        super().murder_pending()
        now = time.monotonic()
        for conn, deadline in list(self._reading.items()):
            if now > deadline:
                self._reading.pop(conn, None)
                try:
                    conn.sock.shutdown(socket.SHUT_RD)
                except OSError:
                    pass

    def handle(self, conn: Any) -> Any:
        result = False
        try:
            result = self._serve(conn)
        finally:
            self._reading.pop(conn, None)
            if result is False:
                _close(conn)
        return result

    def _serve(self, conn: Any) -> Any:
        while True:
            self._reading[conn] = time.monotonic() + self.toolbox.settings.server.header_timeout
            result = super().handle(conn)
            if result is _DEFER or not result or not self.alive:
                return result
            if conn.parser.unreader.buf.getvalue():
                continue
            if not self._linger(conn):
                return result

    def _linger(self, conn: Any) -> bool:
        """Wait a moment for the next request of this connection; whether it has come."""
        if self._lingering >= MAX_LINGERING or self._pool_is_busy():
            return False
        self._lingering += 1
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(LINGER_MS))
        except (OSError, ValueError):
            return False
        finally:
            self._lingering -= 1

    def _pool_is_busy(self) -> bool:
        return bool(self.tpool and self.tpool._work_queue.qsize())

    def handle_request(self, req: Any, conn: Any) -> Any:
        self._reading.pop(conn, None)
        # Undone by gunicorn before it reads the next request of the connection.
        conn.sock.settimeout(self.toolbox.settings.server.stall_timeout)
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
        answer = _Recorder()
        super().handle_error(req, answer, addr, exc)
        path, method = getattr(req, "path", "") or "", getattr(req, "method", "") or ""
        error = from_status(answer.status, answer.reason, {})
        body = msgspec.json.encode(envelope(error, path, method))
        head = (
            f"HTTP/1.1 {answer.status} {answer.reason}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode("latin-1") + body)
        except OSError:
            pass
        if self.toolbox.observers:
            self.toolbox.observers.tell(
                Ended(
                    operation="",
                    method=method,
                    path=path,
                    status=answer.status,
                    seconds=0.0,
                    received=0,
                    sent=len(body),
                    error=error.code,
                    client=str((addr or ("",))[0]),
                )
            )


def _remember(worker: Worker, req: Any, environ: dict[str, Any], answer: Any) -> None:
    """Keep both for :meth:`Worker._tell`: gunicorn calls this at the end of a request."""
    req.exchange = environ, answer


class _Recorder:
    """Stands in for the client while gunicorn decides what an error is answered with."""

    def __init__(self) -> None:
        self.status = 500
        self.reason = "Internal Server Error"

    def fileno(self) -> int:
        return -1

    def gettimeout(self) -> float:
        return 0.0

    def setblocking(self, blocking: bool) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        line = data.split(b"\r\n", 1)[0].decode("latin-1")
        _, status, self.reason = line.split(" ", 2)
        self.status = int(status)


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


def _close(conn: Any) -> None:
    """Close in this thread. What the accept loop does to it afterwards returns at once."""
    try:
        conn.sock.setblocking(True)
        util.close_graceful(conn.sock)
    except OSError:
        pass
