"""JSON-RPC 2.0 with one language server: requests as futures, on python-lsp-jsonrpc's streams.

Its ``Endpoint`` is not used: it keeps a request that was given up for ever, and a late answer to
one ends its reader.
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

from toolbox.loop import Loop
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.errors import ServerTimeout
from toolbox_lsp.framing import BrokenStream
from toolbox_lsp.framing import MessageSink
from toolbox_lsp.framing import MessageSource

METHOD_NOT_FOUND = -32601

log = logging.getLogger("toolbox")
# It logs every message it can't use in full, which a server may send without end.
logging.getLogger("pylsp_jsonrpc.streams").disabled = True

Message = dict[str, Any]


class Peer(Protocol):
    """What stands on our side of a connection. Called on its reader's thread."""

    def answer(self, method: str, params: Any) -> Any:
        """The result of a request of the server. Raises LookupError for an unknown method."""

    def notice(self, method: str, params: Any) -> None:
        """Take a notification of the server."""

    def broken(self, reason: str) -> None:
        """The server doesn't keep to the protocol. The connection is of no more use."""

    def ended(self) -> str:
        """The server's output has ended; why, for those that still wait for an answer."""


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
        self._thread = threading.Thread(target=self._read, name=f"lsp-{name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the end of the server's output; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def request(self, method: str, params: Any, timeout: float) -> Any:
        """The result of ``method``.

        Raises RequestRefused with the server's own message, ServerTimeout after ``timeout``
        seconds, and ServerFailed if the server ends meanwhile.
        """
        future: Future[Any] = Future()
        number = next(self._ids)
        with self._lock:
            if self._end:
                raise ServerFailed(self._end)
            self._pending[number] = future
        self._send({"id": number, "method": method, "params": params})
        try:
            return future.result(timeout)
        except TimeoutError:
            self.notify("$/cancelRequest", {"id": number})
            raise ServerTimeout(
                f"timeout: the language server did not answer {method} within {timeout:g} s"
            ) from None
        finally:
            with self._lock:
                self._pending.pop(number, None)

    def notify(self, method: str, params: Any) -> None:
        """Send a notification; it is lost if the server has ended."""
        self._send({"method": method, "params": params})

    def close(self) -> None:
        """Close the server's input."""
        self._sink.close()

    def _send(self, message: Message) -> None:
        if message.get("params", message) is None:
            del message["params"]  # JSON-RPC knows no null there; shutdown and exit take nothing.
        self._writer.write({"jsonrpc": "2.0", **message})

    def _read(self) -> None:
        reader = JsonRpcStreamReader(self._source)
        try:
            reader.listen(self._consume)
        except BrokenStream as error:
            self._peer.broken(str(error))
        except OSError as error:
            self._peer.broken(f"it can't be read: {error}")
        finally:
            reason = self._peer.ended()
            with self._lock:
                self._end = reason
                pending = list(self._pending.values())
            for future in pending:
                _settle(future.set_exception, ServerFailed(reason))
            self._source.close()
            self._sink.close()

    def _consume(self, message: Any) -> None:
        try:
            self._dispatch(message)
        except Exception:
            # A strange message is the server's bug and must not end what works.
            log.exception("a message of a language server can't be used")

    def _dispatch(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        method = message.get("method")
        if not isinstance(method, str):
            self._take_answer(message)
        elif "id" in message:
            self._send({"id": message["id"], **self._answer(method, message.get("params"))})
        else:
            self._peer.notice(method, message.get("params"))

    def _answer(self, method: str, params: Any) -> Message:
        try:
            return {"result": self._peer.answer(method, params)}
        except LookupError:
            error = {"code": METHOD_NOT_FOUND, "message": f"no client method {method}"}
            return {"error": error}

    def _take_answer(self, message: Message) -> None:
        number = message.get("id")
        with self._lock:
            future = self._pending.get(number) if isinstance(number, int) else None
        if future is None:
            return  # Given up, or never asked.
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


def _settle(setter: Callable[[Any], object], value: Any) -> None:
    try:
        setter(value)
    except InvalidStateError:
        pass  # Answered twice.
