"""What the process operations take and answer: one-shot commands and code."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Whole seconds; 0 is no limit."""

Environment = dict[str, str | None]
"""Variables added to the service's own; null is the empty string."""


class RunHeaders(
    msgspec.Struct, frozen=True, kw_only=True, rename={"streams": "X-Toolbox-Streams"}
):
    """With ``separate`` the answer has ``stdout`` and ``stderr``, too, each within the limit of its
    own.
    """

    streams: Literal["combined", "separate"] = "combined"

    @property
    def separate(self) -> bool:
        """Whether the streams are wanted apart."""
        return self.streams == "separate"


class ExecuteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A command for the shell."""

    command: str
    cwd: str | None = None
    envs: Environment | None = None
    timeout: Seconds | None = None


class ExecuteResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How it ended: 128 + n if signal n did it, -1 if it could not be started."""

    exit_code: int
    result: str
    """Standard output and error as they came, bytes that aren't UTF-8 replaced."""
    stdout: str | msgspec.UnsetType = msgspec.UNSET
    """Each stream alone, if asked for; what came first of both is then no longer certain."""
    stderr: str | msgspec.UnsetType = msgspec.UNSET


class CodeRunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A program's source."""

    code: Annotated[str, Meta(min_length=1)]
    language: Annotated[str, Meta(min_length=1)]
    argv: list[str] | None = None
    cwd: str | None = None
    envs: Environment | None = None
    timeout: Seconds | None = None


class Artifacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a program has shown besides text."""

    charts: list[dict[str, Any]] = []


class CodeRunResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How it ended, see ExecuteResponse."""

    exit_code: int
    result: str
    stdout: str | msgspec.UnsetType = msgspec.UNSET
    stderr: str | msgspec.UnsetType = msgspec.UNSET
    artifacts: Artifacts | msgspec.UnsetType = msgspec.UNSET
