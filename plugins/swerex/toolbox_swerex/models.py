"""Bodies of the runtime's operations, with the names and the defaults of its clients."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

import msgspec
from msgspec import Meta

ROOT = "/swerex"

Limit = Annotated[float, Meta(ge=0, le=2**32 - 1)]
"""Seconds."""
Check = Literal["silent", "raise", "ignore"]
Expected = Annotated[list[Annotated[str, Meta(max_length=1024)]], Meta(max_length=64)]


class RequestHeaders(
    msgspec.Struct, frozen=True, kw_only=True, rename={"request_id": "X-Request-ID"}
):
    """Requests of the same id are one request, sent again."""

    request_id: str = ""


class IsAlive(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime's state."""

    is_alive: bool = True
    message: str = ""


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """The response of the root."""

    message: str = "hello world"


class CreateSession(msgspec.Struct, frozen=True, kw_only=True):
    """A shell to start, and the files that it sources first."""

    session: str = "default"
    session_type: Literal["bash"] = "bash"
    startup_source: list[str] = []
    startup_timeout: Limit = 1.0


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """The output from the start of a session."""

    output: str = ""
    session_type: str = "bash"


class BashAction(msgspec.Struct, frozen=True, kw_only=True, tag_field="action_type", tag="bash"):
    """A command, or input for a program that a command has started."""

    command: str
    session: str = "default"
    timeout: Limit | None = None
    is_interactive_command: bool = False
    is_interactive_quit: bool = False
    check: Check = "raise"
    error_msg: str = ""
    expect: Expected = []


class BashInterrupt(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="action_type", tag="bash_interrupt"
):
    """Ctrl-C, ``n_retry`` times, each with ``timeout`` seconds to take effect."""

    session: str = "default"
    timeout: Limit = 0.2
    n_retry: Annotated[int, Meta(ge=0, le=100)] = 3
    expect: Expected = []


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The output of an action, up to ``expect_string`` or the end of the command."""

    output: str = ""
    exit_code: int | None = None
    failure_reason: str = ""
    expect_string: str = ""
    session_type: str = "bash"


class CloseSession(msgspec.Struct, frozen=True, kw_only=True):
    """The session to close."""

    session: str = "default"
    session_type: Literal["bash"] = "bash"


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was closed."""

    session_type: str = "bash"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command as ``subprocess.run`` takes it; ``env`` is all of its environment."""

    command: str | list[str]
    timeout: Limit | None = None
    shell: bool = False
    check: bool = False
    error_msg: str = ""
    env: dict[str, str] | None = None
    cwd: str | None = None
    merge_output_streams: bool = False


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result; the exit code is 128 + n after signal n."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to read as text, UTF-8 if no encoding is named."""

    path: str
    encoding: str | None = None
    errors: str | None = None


class FileContent(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a file."""

    content: str


class WriteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to write, as UTF-8."""

    path: str
    content: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An empty result."""


class Transferred(msgspec.Struct, frozen=True, kw_only=True):
    """An exception for the client to raise."""

    message: str
    class_path: str
    traceback: str = ""
    extra_info: dict[str, Any] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the status 511."""

    swerexception: Transferred


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The body of any other error: clients read ``detail``."""

    detail: str
    code: str
    path: str
