"""The service's logs: its own, the access log and the audit log, as text or as JSON."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from toolbox.filenames import encode_name
from toolbox.observing import WEBSOCKET
from toolbox.observing import Observer
from toolbox.observing import RequestRecord
from toolbox.settings import LogSettings
from toolbox.settings import SettingsError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

STANDARD_ERROR = "-"
"""The file name that stands for standard error."""

access_log = logging.getLogger("toolbox.access")
audit_log = logging.getLogger("toolbox.audit")


class Formatter(logging.Formatter):
    """A formatter of records as text, or as one line of JSON.

    In JSON the attribute ``fields`` of a record replaces its message. ``mask`` hides secrets.
    """

    def __init__(self, *, as_json: bool) -> None:
        super().__init__(FORMAT)
        self._as_json = as_json
        self.mask: Callable[[str], str] = str

    def format(self, record: logging.LogRecord) -> str:
        return self.mask(self._format_json(record) if self._as_json else super().format(record))

    def _format_json(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
        }
        fields = getattr(record, "fields", None)
        line |= {"message": record.getMessage()} if fields is None else fields
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Names that aren't UTF-8 contain surrogates, which JSON can't encode.
        return _json(line)


def _json(line: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(line).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode({name: _shown(value) for name, value in line.items()}).decode()


def _shown(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def configure(settings: LogSettings) -> None:
    """Send the service's log, and gunicorn's, to standard error."""
    formatter = Formatter(as_json=settings.format == "json")
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("toolbox").setLevel(settings.level.upper())


def _formatter() -> Formatter:
    """Return the formatter of the log, as :func:`configure` has set it: logging keeps it for us."""
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    ours = (formatter for formatter in formatters if isinstance(formatter, Formatter))
    return next(ours, Formatter(as_json=False))


def write_to_file(settings: LogSettings) -> None:
    """Send the log to ``[log] file`` instead, if it is set. Raises SettingsError."""
    if not settings.file:
        return
    check_file("log.file", settings.file)
    # Imported late: it imports a lot, and most services have no log file.
    from toolbox.logs.rotating import LogFile

    handler = LogFile(settings.file, settings.max_size, settings.keep)
    handler.setFormatter(_formatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def check_audit(settings: LogSettings) -> None:
    """Raise SettingsError if the audit log can't be written. Called in the work directory."""
    if settings.audit not in ("", STANDARD_ERROR):
        check_file("log.audit", settings.audit)


def check_file(option: str, file: str) -> None:
    """Raise SettingsError if a log can't be written to ``file``. Leaves no new file behind."""
    is_new = not os.path.lexists(file)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if is_new:
            Path(file).unlink()
    except OSError as error:
        raise SettingsError(f"{option}: {file}: {error.strerror}") from None


def hide(mask: Callable[[str], str]) -> None:
    """Pass every line from now on through ``mask``."""
    _formatter().mask = mask


def make_observers(settings: LogSettings) -> Iterator[Observer]:
    """Yield the observers that write the access log and the audit log, if they are enabled.

    Raises SettingsError if the audit log can't be written.
    """
    if settings.access:
        access_log.setLevel("INFO")
        yield _write_access
    if settings.audit:
        audit_log.setLevel("INFO")
        audit_log.propagate = False
        audit_log.addHandler(_audit_handler(settings))
        yield _write_audit


def _write_access(ended: RequestRecord) -> None:
    # Path and reason are quoted, so that neither can forge a line.
    path = _readable(ended.path)
    if ended.method == WEBSOCKET:
        text = (
            f"{ended.client} {ended.method} {path!r} {ended.close_code} in={ended.received} "
            f"out={ended.sent} {ended.seconds:.1f}s {ended.close_reason!r}"
        )
    else:
        text = (
            f"{ended.client} {ended.method} {path!r} {ended.status} in={ended.received} "
            f"out={ended.sent} {ended.seconds * 1000:.1f}ms"
            + (f" {ended.error}" if ended.error else "")
            + ("" if ended.complete else " broken off")
        )
    fields = {
        "client": ended.client,
        "method": ended.method,
        "path": path,
        "operation": ended.operation,
        "status": ended.status,
        "seconds": round(ended.seconds, 6),
        "received": ended.received,
        "sent": ended.sent,
        "complete": ended.complete,
        "error": ended.error,
        "closeCode": ended.close_code,
        "closeReason": ended.close_reason,
        "requestId": ended.request_id,
    }
    tail = f" {ended.operation or '-'} [{ended.request_id or '-'}]"
    access_log.info("%s", text + tail, extra={"fields": _without_empty(fields)})


def _readable(path: str) -> str:
    """Return WSGI's path as the text that the client sent."""
    text = path.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
    return encode_name(text).decode("utf-8", "backslashreplace")


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _write_audit(ended: RequestRecord) -> None:
    reads = ended.method in ("GET", "HEAD")
    if reads and not ended.auth and ended.status < 400:
        return  # Health checks, which need no token and arrive all the time.
    if ended.status in (401, 403):
        outcome = "refused"
    elif ended.status >= 400 or not ended.complete:
        outcome = "failed"
    else:
        outcome = "ok"
    # Not the path: that of a proxied application may hold secrets. The request id leads to it.
    fields = {
        "client": ended.client,
        "forwardedFor": ended.forwarded_for,
        "agent": ended.agent,
        "auth": ended.auth,
        "user": ended.user,
        "operation": ended.operation,
        "method": ended.method,
        "outcome": outcome,
        "status": ended.status,
        "error": ended.error,
        "closeCode": ended.close_code,
        "seconds": round(ended.seconds, 6),
        "requestId": ended.request_id,
    }
    audit_log.info("", extra={"fields": _without_empty(fields)})


def _audit_handler(settings: LogSettings) -> logging.Handler:
    handler: logging.Handler
    if settings.audit == STANDARD_ERROR:
        handler = logging.StreamHandler(sys.stderr)
    else:
        check_audit(settings)
        # Imported late: it imports a lot, and most services have no log file.
        from toolbox.logs.rotating import LogFile

        # Only the owner may read who did what.
        handler = LogFile(settings.audit, settings.max_size, settings.keep, mode=0o600)
    formatter = Formatter(as_json=True)
    formatter.mask = _formatter().mask
    handler.setFormatter(formatter)
    return handler


class GunicornLogger(Logger):
    """gunicorn's log in our format."""

    _is_reported = False

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_formatter())
        if cfg.errorlog == "-":  # Otherwise the operator's own gunicorn has a log file.
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log an error, unless the worker that ended has already reported the reason."""
        if args[1:] == (Arbiter.APP_LOAD_ERROR,):
            self._is_reported = True
        if not self._is_reported:
            super().error(msg, *args, **kwargs)
