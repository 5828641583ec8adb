"""JSON-RPC 2.0 with one language server: requests as futures, on python-lsp-jsonrpc's streams.

The library's ``Endpoint`` isn't used: it never drops a request that timed out, and a late response
to one ends its reader.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import InvalidStateError
from typing import Any
from typing import BinaryIO
from typing import Protocol

from pylsp_jsonrpc.streams import JsonRpcStreamReader  # type: ignore[import-untyped]
from pylsp_jsonrpc.streams import JsonRpcStreamWriter

from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.errors import ServerTimeout
from toolbox_lsp.server.framing import BrokenStream
from toolbox_lsp.server.framing import MessageSink
from toolbox_lsp.server.framing import MessageSource

METHOD_NOT_FOUND = -32601

log = logging.getLogger("toolbox")
# It logs every invalid message in full, and a server may send any number of them.
logging.getLogger("pylsp_jsonrpc.streams").disabled = True

Message = dict[str, Any]


class Peer(Protocol):
    """Our side of a connection. Called on its reader's thread."""

    def respond(self, method: str, params: Any) -> Any:
        """Return the result of a server's request. Raises LookupError for an unknown method."""

    def notified(self, method: str, params: Any) -> None:
        """Handle a notification of the server."""

    def broken(self, reason: str) -> None:
        """Handle a violation of the protocol, after which the connection is unusable."""

    def ended(self) -> str:
        """Handle the end of the server's output; return the message for pending requests."""


class Connection:
    """Requests and notifications to and from one server. *Any thread.*"""

    def __init__(
        self, output: BinaryIO, input: BinaryIO, loop: Loop, peer: Peer, name: str
    ) -> None:
        self._peer = peer
        self._sink = MessageSink(output, loop, peer.broken)
        self._writer = JsonRpcStreamWriter(self._sink)
        self._source = MessageSource(input)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Any]] = {}
        self._end = ""
        # A daemon, so that a server that never closes its output can't block the exit.
        self._thread = threading.Thread(target=self._read, name=f"lsp-{name}", daemon=True)

    def start(self) -> None:
        """Start to read."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the end of the server's output; report whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def request(self, method: str, params: Any, timeout: float) -> Any:
        """Send a request; return its result.

        Raises RequestRefused with the server's message, ServerTimeout after ``timeout`` seconds,
        and ServerFailed if the server exits.
        """
        future: Future[Any] = Future()
        number = next(self._ids)
        with self._lock:
            if self._end:
                raise ServerFailed(self._end)
            # Before it is sent: the response may arrive immediately.
            self._pending[number] = future
        self._send({"id": number, "method": method, "params": params})
        try:
            return _result(future, timeout)
        except TimeoutError:
            # Saves the server work; a late response is ignored.
            self.notify("$/cancelRequest", {"id": number})
            raise ServerTimeout(
                f"timeout: the language server did not respond to {method} within {timeout:g} s"
            ) from None
        finally:
            with self._lock:
                self._pending.pop(number, None)

    def notify(self, method: str, params: Any) -> None:
        """Send a notification; it is lost if the server has exited."""
        self._send({"method": method, "params": params})

    def close(self) -> None:
        """Close the server's input."""
        self._sink.close()

    def _send(self, message: Message) -> None:
        if message.get("params", message) is None:
            # JSON-RPC 2.0, 4.2: params is an object or an array; shutdown and exit have none.
            del message["params"]
        self._writer.write({"jsonrpc": "2.0", **message})

    def _read(self) -> None:
        reader = JsonRpcStreamReader(self._source)
        try:
            reader.listen(self._consume)
        except BrokenStream as error:
            self._peer.broken(str(error))
        except OSError as error:
            self._peer.broken(f"its output can't be read: {error}")
        finally:
            reason = self._peer.ended()
            with self._lock:
                self._end = reason
                # From here on request() raises; these are the last that wait.
                pending = list(self._pending.values())
            for future in pending:
                _settle(future.set_exception, ServerFailed(reason))
            self._source.close()
            self._sink.close()

    def _consume(self, message: Any) -> None:
        try:
            self._dispatch(message)
        except Exception:
            # A malformed message is the server's bug and must not affect other requests.
            log.exception("invalid message from a language server")

    def _dispatch(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        method = message.get("method")
        if not isinstance(method, str):
            self._take_response(message)
        elif "id" in message:
            self._send({"id": message["id"], **self._respond(method, message.get("params"))})
        else:
            self._peer.notified(method, message.get("params"))

    def _respond(self, method: str, params: Any) -> Message:
        try:
            return {"result": self._peer.respond(method, params)}
        except LookupError:
            error = {"code": METHOD_NOT_FOUND, "message": f"no client method {method}"}
            return {"error": error}

    def _take_response(self, message: Message) -> None:
        number = message.get("id")
        with self._lock:
            # Ids of ours are integers; a server may send anything.
            future = self._pending.get(number) if isinstance(number, int) else None
        if future is None:
            return  # A request that timed out, or none of ours.
        error = message.get("error")
        if error is None:
            _settle(future.set_result, message.get("result"))
            return
        known = error if isinstance(error, dict) else {}
        code = known.get("code")
        refused = RequestRefused(
            str(known.get("message") or "the language server refused the request"),
            code if isinstance(code, int) else 0,
        )
        _settle(future.set_exception, refused)


def _result(future: Future[Any], timeout: float) -> Any:
    """Return the result once it is there. Raises TimeoutError after ``timeout`` seconds.

    Seconds in which the service is frozen don't count: the server is frozen with it.
    """
    deadline = awake() + timeout
    while True:
        try:
            return future.result(max(0.0, deadline - awake()))
        except TimeoutError:
            if awake() >= deadline:
                raise


def _settle(setter: Callable[[Any], object], value: Any) -> None:
    try:
        setter(value)
    except InvalidStateError:
        pass  # A second response to the same request.
