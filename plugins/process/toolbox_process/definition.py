"""The definition of a service, the same in requests and in the settings.

Its names are single words, because requests write others in camel case and settings don't.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated
from typing import Literal
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from toolbox.settings.variables import is_variable_name

ServiceName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?![\s\S])")]
"""Name of a service. Its pattern doesn't end with ``$``, which ignores a line end."""

MAX_DEFINITION = 64 * 1024
"""Bytes of a definition as JSON: each is kept in memory and in a file."""

MAX_PATTERN = 1024
"""Characters of a pattern."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts of a URL that is probed: a definition must not make the service send requests elsewhere."""

_SENT = re.compile(r"[!-~]+")
"""A path as it may stand in a request's first line (RFC 9112, 3): no blanks, no line ends."""


class Target(NamedTuple):
    """A port of loopback to connect to, and the path to request there, None for no request."""

    port: int
    path: str | None


class Ready(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sign that a service can be used: one of ``port``, ``http`` and ``log``.

    ``port``: it accepts connections on loopback. ``http``: a URL of loopback, or a path with
    ``port`` beside it, is answered with ``status``, by default one from 200 to 399. ``log``: the
    regular expression is found in its output. Without that in ``timeout`` seconds it is ended.
    The expression isn't compiled here: that may take long.
    """

    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    http: str | None = None
    status: Annotated[int, Meta(ge=100, le=599)] | None = None
    log: str | None = None
    timeout: Annotated[float, Meta(gt=0, le=86400)] = 60.0

    def __post_init__(self) -> None:
        # One sign, so that nobody has to know which of two counts.
        if self.log is not None:
            if self.port is not None or self.http is not None:
                raise ValueError("give one of port, http and log")
            if not self.log or len(self.log) > MAX_PATTERN:
                raise ValueError(f"log: a pattern has 1 to {MAX_PATTERN} characters")
            _check_text("log", [self.log])
        else:
            self.target()
        if self.status is not None and self.http is None:
            raise ValueError("a status is expected of http only")

    def target(self) -> Target:
        """Return where to look. Raises ValueError if there is no such place on loopback."""
        if self.http is None:
            if self.port is None:
                raise ValueError("give one of port, http and log")
            return Target(self.port, None)
        if not _SENT.fullmatch(self.http):
            raise ValueError("http: only printable ASCII without blanks")
        if self.http.startswith("/"):
            if self.port is None:
                raise ValueError("http: a path needs the port beside it")
            return Target(self.port, self.http.partition("#")[0])
        # "@" would let what looks like the host be a user's name (RFC 3986, 3.2.1).
        url = urlsplit(self.http)
        if url.scheme != "http" or url.hostname not in LOOPBACK_NAMES or "@" in url.netloc:
            raise ValueError(
                "http: only http://localhost:PORT/..., or a path with the port beside it"
            )
        port = 80 if url.port is None else url.port
        if not port or self.port not in (None, port):
            raise ValueError("http: the port is 0, or another one than the port beside it")
        query = f"?{url.query}" if url.query else ""
        return Target(port, (url.path or "/") + query)


class Backoff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds before a restart: ``first``, doubled each time up to ``limit``, and again ``first``
    after it has run for ``stable`` seconds.
    """

    first: Annotated[float, Meta(ge=0.01, le=3600)] = 0.5
    limit: Annotated[float, Meta(ge=0.01, le=86400)] = 60.0
    stable: Annotated[float, Meta(ge=0, le=86400)] = 10.0


class LogLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes kept of the output, over all its runs; of more, the oldest are dropped."""

    limit: Annotated[int, Meta(ge=1 << 20, le=1 << 40)] = 8 * 1024 * 1024


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program to keep running: a ``command`` for the shell, or ``argv``.

    ``restart`` says after which ends it is started again. ``grace`` are the seconds between TERM
    and KILL, by default those of the settings. With ``keepalive`` the sandbox counts as busy while
    it runs.
    """

    command: str | None = None
    argv: list[str] | None = None
    cwd: str | None = None
    envs: dict[str, str | None] = {}
    restart: Literal["never", "on-failure", "always"] = "on-failure"
    backoff: Backoff = Backoff()
    ready: Ready | None = None
    logs: LogLimits = LogLimits()
    grace: Annotated[float, Meta(ge=0, le=60)] | None = None
    keepalive: bool = False

    def __post_init__(self) -> None:
        if (self.command is None) == (self.argv is None):
            raise ValueError("give either command or argv")
        if self.command is not None and not self.command.strip():
            raise ValueError("the command is empty")
        if self.argv is not None and (not self.argv or not self.argv[0]):
            raise ValueError("argv has no program")
        for name, value in self.envs.items():
            if not is_variable_name(name):
                raise ValueError(f"invalid environment variable name: {name!r}")
            _check_text(f"the variable {name}", [value or ""])
        _check_text("the command", [self.command or "", *(self.argv or ())])
        _check_text("cwd", [self.cwd or ""])
        # Last, since only valid text can be encoded.
        if len(msgspec.json.encode(self)) > MAX_DEFINITION:
            raise ValueError(f"longer than {MAX_DEFINITION} bytes")


class DeclaredReady(Ready, frozen=True, kw_only=True, omit_defaults=True):
    """The sign in the settings, whose patterns are compiled here: an operator has written them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.log or "")
        # Nesting without end and numbers without end raise errors of their own.
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"log: invalid regular expression: {error}") from None


class DeclaredDefinition(Definition, frozen=True, kw_only=True, omit_defaults=True):
    """A definition in the settings."""

    ready: DeclaredReady | None = None

    def definition(self) -> Definition:
        """Return it as one that a client has sent, with which it is compared."""
        return msgspec.convert(msgspec.to_builtins(self), Definition)


def _check_text(what: str, texts: Iterable[str]) -> None:
    for text in texts:
        if "\0" in text:
            raise ValueError(f"{what} contains a NUL character")
        # JSON may have it, as "\\ud800"; files and programs can't.
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{what} contains half a surrogate pair") from None
