"""All screens, by the id of the PTY or of the job."""

from __future__ import annotations

from typing import NamedTuple
from typing import Protocol

from toolbox.errors import BadRequest
from toolbox_process.emulator.keys import encode_key
from toolbox_process.emulator.keys import encode_paste
from toolbox_process.emulator.keys import encode_text
from toolbox_process.emulator.screen import Modes
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.views.view import Look
from toolbox_process.engine.views.view import TerminalView
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.matching.blocking import BlockingMatcher
from toolbox_process.screens.models import Cursor
from toolbox_process.screens.models import Screen
from toolbox_process.screens.models import ScreenWaitQuery
from toolbox_process.screens.models import SendRequest
from toolbox_process.screens.models import Sent
from toolbox_process.screens.models import Size
from toolbox_process.screens.models import TerminalInfo
from toolbox_process.screens.models import Waited
from toolbox_process.screens.protocol import Recording
from toolbox_process.screens.recording import record
from toolbox_process.screens.waiting import wait_for_screen


class Seen(NamedTuple):
    """A job on a terminal, and its screen."""

    job: Job
    view: TerminalView


class Ptys(Protocol):
    """The terminals of ``/process/pty``, by their names."""

    def find(self, terminal_id: str) -> Job | None:
        """Return a terminal that has not ended, None if there is none."""

    def connect(self, terminal_id: str) -> object:
        """Start a terminal if it has not been yet. Raises SessionEnded, SpawnFailed."""


class LocalScreens:
    """See :class:`toolbox_process.screens.protocol.Screens`."""

    def __init__(self, engine: Engine, ptys: Ptys) -> None:
        self._engine = engine
        self._ptys = ptys
        self._matcher = BlockingMatcher()

    def list(self) -> list[TerminalInfo]:
        found = map(_seen, self._engine.jobs())
        return [_info(seen) for seen in found if seen is not None]

    def _find(self, terminal_id: str) -> Seen:
        # A PTY's name first: it may be anything, also another job's id.
        candidates = [self._ptys.find(terminal_id), self._engine.find(terminal_id)]
        candidates += [
            job for job in reversed(self._engine.jobs(Kind.TERMINAL)) if job.label == terminal_id
        ]
        found = next(filter(None, map(_seen, candidates)), None)
        if found is None:
            raise self._engine.not_there("terminal", terminal_id)
        return found

    def look(self, terminal_id: str, scrollback: int = 0) -> Screen:
        seen = self._find(terminal_id)
        done = seen.job.done.is_set()  # Read first: what is seen after the end is complete.
        return _screen(seen, seen.view.look(), scrollback, done)

    def send(self, terminal_id: str, request: SendRequest) -> Sent:
        job, view = self._find(terminal_id)
        data = _encode(view, request)
        if job.stdin is None and not job.done.is_set():
            self._ptys.connect(terminal_id)
        offset = job.spool.end
        view.typed()
        try:
            if job.stdin is None:
                raise InputClosed
            job.stdin.write(data)
        except InputClosed:
            raise CommandCompleted(f"terminal {terminal_id!r} has ended") from None
        except InputFull:
            raise InputUnavailable("the terminal's input buffer is full") from None
        return Sent(bytes=len(data), offset=offset)

    def wait(
        self, terminal_id: str, query: ScreenWaitQuery, is_disconnected: IsDisconnected = never
    ) -> Waited:
        if query.text is None and query.idle is None:
            raise BadRequest("text or idle is missing: what to wait for")
        seen = self._find(terminal_id)
        with self._engine.waiting.admitted(), self._matcher.used():
            reason, look, match = wait_for_screen(*seen, query, self._matcher, is_disconnected)
        ended = reason == "ended" or seen.job.done.is_set()
        screen = _screen(seen, look, query.scrollback, ended)
        return Waited(reason=reason, match=match, screen=screen)

    def record(self, terminal_id: str) -> Recording:
        job, view = self._find(terminal_id)
        return Recording(record(job, view), job.spool.start)


def _seen(job: Job | None) -> Seen | None:
    return Seen(job, job.view) if job is not None and job.view is not None else None


def _encode(view: TerminalView, request: SendRequest) -> bytes:
    # Only keys and a paste depend on what the program has requested; a look may take a moment.
    modes = view.look().modes if request.keys or request.paste else Modes()
    if request.paste:
        text = encode_paste(request.text, modes.bracketed_paste)
    else:
        text = encode_text(request.text)
    try:
        keys = [encode_key(key, modes.application_cursor) for key in request.keys]
        return (text + "".join(keys)).encode()
    except UnicodeEncodeError:
        raise BadRequest("the text is not Unicode") from None
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _name(job: Job) -> str:
    return job.label if job.kind is Kind.TERMINAL else job.id


def _info(seen: Seen) -> TerminalInfo:
    job, (rows, columns) = seen.job, seen.view.timeline.last().size
    return TerminalInfo(
        id=_name(job),
        job_id=job.id,
        kind=job.kind.value,
        size=Size(cols=columns, rows=rows),
        started_at=job.started.isoformat(),
        done=job.done.is_set(),
        exit_code=job.exit_code,
        reason=job.reason.value if job.reason else None,
    )


def _screen(seen: Seen, look: Look, scrollback: int, done: bool) -> Screen:
    job, modes = seen.job, look.modes
    return Screen(
        id=_name(job),
        size=Size(cols=look.size.columns, rows=look.size.rows),
        rows=look.rows,
        cursor=Cursor(row=look.row, col=look.column, visible=modes.cursor_visible),
        title=look.title,
        alternate_screen=look.alternate,
        application_cursor=modes.application_cursor,
        bracketed_paste=modes.bracketed_paste,
        scrollback=look.scrollback[-scrollback:] if scrollback else [],
        offset=look.offset,
        truncated=not look.known,
        done=done,
        exit_code=job.exit_code if done else None,
        reason=job.reason.value if done and job.reason else None,
    )
