"""Bodies of the operations for one-shot commands and code."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox_process.models import Environment
from toolbox_process.models import PreviewText
from toolbox_process.models import Seconds


class RunHeaders(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"streams": "X-Toolbox-Streams", "preview": "X-Toolbox-Preview"},
):
    """With ``separate`` the response has ``stdout`` and ``stderr``, too, each within the limit.

    ``preview`` shortens each to bytes from its beginning and its end, with a note between them:
    ``2000,4000``. Headers then have the totals.
    """

    streams: Literal["combined", "separate"] = "combined"
    preview: PreviewText | None = None

    @property
    def separate(self) -> bool:
        """True if the client wants the streams apart."""
        return self.streams == "separate"


class ExecuteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A command for the shell."""

    command: str
    cwd: str | None = None
    envs: Environment | None = None
    timeout: Seconds | None = None


class ExecuteResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result. The exit code is 128 + n after signal n, -1 if it could not be started."""

    exit_code: int
    result: str
    """Standard output and error in the order they came; bytes that aren't UTF-8 are replaced."""
    stdout: str | msgspec.UnsetType = msgspec.UNSET
    """Each stream alone, if requested; their relative order is then approximate."""
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
    """Output other than text."""

    charts: list[dict[str, Any]] = []


class CodeRunResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result, as of ExecuteResponse."""

    exit_code: int
    result: str
    stdout: str | msgspec.UnsetType = msgspec.UNSET
    stderr: str | msgspec.UnsetType = msgspec.UNSET
    artifacts: Artifacts | msgspec.UnsetType = msgspec.UNSET
