"""The backend ``local``: the backends of the groups ``process`` and ``files`` of this service."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from toolbox.atomic.writing import write_all
from toolbox.errors import NotSupported
from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox.handover.parcel import Parcel
from toolbox.lifecycle import Context
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import JSON
from toolbox.response import TextResponse
from toolbox.settings import NoSettings
from toolbox.threads import Gate
from toolbox_swerex import commands
from toolbox_swerex.engines import files_of
from toolbox_swerex.engines import process_of
from toolbox_swerex.errors import STATUS
from toolbox_swerex.errors import RemoteError
from toolbox_swerex.errors import from_error
from toolbox_swerex.models import BashAction
from toolbox_swerex.models import BashInterrupt
from toolbox_swerex.models import Closed
from toolbox_swerex.models import Command
from toolbox_swerex.models import CommandResult
from toolbox_swerex.models import Created
from toolbox_swerex.models import CreateSession
from toolbox_swerex.models import Done
from toolbox_swerex.models import Failure
from toolbox_swerex.models import FileContent
from toolbox_swerex.models import Observation
from toolbox_swerex.models import ReadFile
from toolbox_swerex.models import Transferred
from toolbox_swerex.models import WriteFile
from toolbox_swerex.replays import Replays
from toolbox_swerex.replays import Result
from toolbox_swerex.replays import patient
from toolbox_swerex.sessions.handover import FORMAT
from toolbox_swerex.sessions.handover import State
from toolbox_swerex.sessions.registry import Sessions
from toolbox_swerex.settings import RuntimeSettings
from toolbox_swerex.uploads import receive

IsDisconnected = Callable[[], bool]

MAX_ID = 256
"""Characters of a request's id."""
HOST_NAMES = ("idna", "punycode")
"""Encodings of names, whose time grows with the square of the text's length."""


class LocalRuntime:
    """See :class:`toolbox_swerex.backend.Runtime`."""

    handover_format = FORMAT

    def __init__(self, settings: NoSettings, context: Context) -> None:
        group: RuntimeSettings = context.group_settings
        self._context = context
        self._max_file = group.max_file
        self._sessions = Sessions(context)
        self._replays = Replays()
        self._gate = Gate(
            group.max_waiting,
            lambda: Unavailable("too many requests wait for commands", {"Retry-After": "1"}),
        )
        if context.parcel is not None and "swerex" in context.parcel.contents:
            state = msgspec.msgpack.decode(context.parcel.contents["swerex"], type=State)
            self._sessions.restore(state.sessions)
            self._replays.restore(state.results)

    def hand_over(self, parcel: Parcel) -> bytes:
        """Let go of what runs. A :class:`toolbox.plugins.capabilities.HandsOver`."""
        state = State(sessions=self._sessions.export(), results=self._replays.results())
        return msgspec.msgpack.encode(state)

    def once(
        self, request: RequestInfo, request_id: str, work: Callable[[IsDisconnected], Any]
    ) -> TextResponse:
        is_disconnected = request.is_disconnected

        def once() -> Result:
            return _result(lambda: work(patient(is_disconnected) if key else is_disconnected))

        # With the path: ids of other operations are other requests.
        key = f"{request.path}\n{request_id}" if 0 < len(request_id) <= MAX_ID else ""
        # Those that wait for the first one, too: each has a thread.
        with self._gate.admitted():
            status, body = self._replays.once(key, once, is_disconnected) if key else once()
        return TextResponse(body, JSON, status)

    def create_session(self, request: CreateSession, is_disconnected: IsDisconnected) -> Created:
        return Created(output=self._sessions.create(request, is_disconnected))

    def run_in_session(
        self, action: BashAction | BashInterrupt, is_disconnected: IsDisconnected
    ) -> Observation:
        return self._sessions.run(action, is_disconnected)

    def close_session(self, name: str) -> Closed:
        self._sessions.close(name)
        return Closed()

    def close_all(self) -> Done:
        self._sessions.close_all()
        return Done()

    def execute(self, command: Command, is_disconnected: IsDisconnected) -> CommandResult:
        return commands.execute(process_of(self._context), command, is_disconnected)

    def read_file(self, request: ReadFile) -> FileContent:
        with _as_python(), files_of(self._context).open(request.path) as file:
            data = bytearray()
            while chunk := file.read(1 << 20):
                data += chunk
                if len(data) > self._max_file:
                    raise RemoteError(
                        "builtins.OSError", f"the file has more than {self._max_file} bytes"
                    )
        text = _text(bytes(data), request.encoding or "utf-8", request.errors or "strict")
        return FileContent(content=text)

    def write_file(self, request: WriteFile) -> Done:
        with _as_python(), files_of(self._context).writing(request.path) as file:
            write_all(file, request.content.encode("utf-8", "surrogatepass"))
        return Done()

    def upload(self, body: Body) -> Done:
        files = files_of(self._context)
        with _as_python():
            receive(files, body)
        return Done()


def _result(work: Callable[[], Any]) -> Result:
    """Return the result of ``work``, an exception for the client included."""
    try:
        return Result(200, msgspec.json.encode(work()))
    except RemoteError as error:
        failure = Failure(
            swerexception=Transferred(
                message=error.message, class_path=error.class_path, extra_info=error.extra_info
            )
        )
        return Result(STATUS, msgspec.json.encode(failure))


@contextmanager
def _as_python() -> Iterator[None]:
    """Raise what Python's functions for files would, where the backend raises its own errors."""
    try:
        yield
    except (NotSupported, RequestTimeout, Unavailable):
        raise
    except ToolboxError as error:
        raise from_error(error) from None


def _text(data: bytes, encoding: str, errors: str) -> str:
    try:
        codecs.lookup_error(errors)
        if codecs.lookup(encoding).name in HOST_NAMES:
            raise LookupError(f"{encoding!r} is no encoding of files")
        text = data.decode(encoding, errors)
        # Some encodings and error handlers make lone surrogates, which JSON can't carry.
        text.encode()
        return text
    except UnicodeError as error:
        raise RemoteError("builtins.ValueError", str(error)) from None
    except (LookupError, ValueError, TypeError, zlib.error) as error:
        raise RemoteError("builtins.LookupError", str(error)) from None
