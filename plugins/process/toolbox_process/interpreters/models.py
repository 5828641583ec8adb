"""Bodies and messages of the interpreter operations."""

from __future__ import annotations

import msgspec

from toolbox_process.models import Environment

TIMEOUT = 600
"""Time limit in seconds for code, unless the client sets one."""


class CreateContextRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A context: its own process and namespace. Python is the only language."""

    cwd: str | None = None
    language: str | None = None


class ContextInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A context."""

    id: str
    cwd: str
    created_at: str
    active: bool
    language: str


class ContextList(msgspec.Struct, frozen=True, kw_only=True):
    """The contexts without the default one, the oldest first."""

    contexts: list[ContextInfo]


class CodeRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A client's first message: code for a context, by default the default one."""

    code: str = ""
    context_id: str | None = None
    timeout: int | None = None
    envs: Environment | None = None


class CodeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A message to the client; ``type`` determines the meaning of the others."""

    type: str
    text: str = ""
    name: str = ""
    value: str = ""
    traceback: str = ""
