"""Running git: what it inherits, what it may ask, how much it may say and how it is ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from toolbox.clock import awake
from toolbox.errors import ContentTooLarge
from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox.processes import popen
from toolbox_git import programs
from toolbox_git.backend import Gone
from toolbox_git.cli.diagnosis import diagnose
from toolbox_git.cli.diagnosis import without_noise
from toolbox_git.errors import TransportFailed
from toolbox_git.inheritance import clean_environment
from toolbox_git.programs import Overrides
from toolbox_git.silence import silence_of
from toolbox_git.urls import PROTOCOLS
from toolbox_git.urls import Credentials
from toolbox_git.urls import origin_of
from toolbox_git.urls import redact
from toolbox_git.urls import scheme_of

MAX_OUTPUT = 256 * 1024 * 1024
MAX_ERRORS = 64 * 1024
NOWHERE = os.devnull
"""As the repository, for a call that has none: one that the directory lies in is not meant."""
_POLL = 0.25
_GRACE = 5.0

_CONFIG = {
    **programs.ALWAYS,
    # Nothing may outlive an operation, or change what is printed.
    "core.quotePath": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "merge.autoStash": "false",
    "advice.detachedHead": "false",
    # The user works in repositories that others have made: whoever may call this service has
    # been let in.
    "safe.directory": "*",
}

_ENVIRONMENT = {
    "LC_ALL": "C",
    "LANGUAGE": "",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
}

_HELPER = (
    '!f() { if test "$1" = erase; then rm -f "$TOOLBOX_GIT_VALID";'
    ' elif test "$1" = get && test -e "$TOOLBOX_GIT_VALID"; then'
    ' printf "username=%s\npassword=%s\n" "$TOOLBOX_GIT_USERNAME" "$TOOLBOX_GIT_PASSWORD"; fi; }; f'
)
"""A credential helper that keeps the secret out of every argument list.

What was rejected isn't given again: Git LFS would ask for it without end.
"""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """How one git process is to be run."""

    cwd: Path
    program: str = "git"
    git_dir: Path | None = None
    stdin: bytes = b""
    env: Mapping[str, str] = {}
    config: Mapping[str, str] = {}
    url: str = ""
    """The remote it talks to, if any."""
    credentials: Credentials = Credentials()
    timeout: float = 600.0
    patience: float = 60.0
    """Seconds that the remote, and whoever is asked for credentials, may be silent."""
    gone: Gone | None = None


class Output(msgspec.Struct, frozen=True):
    """What a git process has said."""

    status: int
    stdout: bytes
    stderr: str
    """Without warnings and hints."""
    remote: bool = False
    credentials: Credentials = Credentials()

    def error(self) -> ToolboxError:
        """The error it means, if it failed."""
        error = diagnose(self.status, self.stdout, self.stderr, remote=self.remote)
        # At the end: a user may have the name of a word that tells what is wrong.
        return type(error)(redact(error.message, self.credentials))


class Runner:
    """Runs git processes and ends those that are left at the end of the service."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, arguments: Sequence[bytes | str], call: Call) -> bytes:
        """Run git, or ``call.program``, with ``arguments``; what it printed.

        Raises as :meth:`try_`, and the error that a failure means.
        """
        output = self.try_(arguments, call)
        if output.status:
            raise output.error()
        return output.stdout

    def try_(self, arguments: Sequence[bytes | str], call: Call) -> Output:
        """Run git, or ``call.program``, with ``arguments``; its exit status may be anything.

        Raises Unavailable if it isn't installed, RequestTimeout or TransportFailed if it takes too
        long, and ToolboxError if the client is gone.
        """
        command = [call.program, *(os.fsdecode(argument) for argument in arguments)]
        with _environment(call, self._overrides(call)) as env:
            return self._run(command, call, env)

    def _run(self, command: list[str], call: Call, env: dict[str, str]) -> Output:
        try:
            process = popen(
                command,
                cwd=call.cwd,
                env=env,
                stdin=subprocess.PIPE if call.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            if error.filename == str(call.cwd):
                raise
            raise Unavailable(f"{call.program} is not installed") from None
        with process:
            with self._lock:
                self._running.add(process)
            try:
                stdout, stderr = self._communicate(process, call)
            finally:
                _end(process)
                with self._lock:
                    self._running.discard(process)
        said = without_noise(stderr.decode("utf-8", "backslashreplace"))
        return Output(process.returncode, stdout, said, bool(call.url), call.credentials)

    def close(self) -> None:
        """End every process that runs."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)

    def _overrides(self, call: Call) -> Overrides:
        """What keeps the repository's own configuration from running programs."""
        asks = scheme_of(call.url) in ("http", "https") and not call.credentials
        suspect = call.git_dir is not None and programs.may_name_programs(call.git_dir)
        if not asks and not suspect:
            return Overrides()
        env = {"GIT_DIR": str(call.git_dir or NOWHERE)}
        reading = Call(cwd=call.cwd, timeout=call.timeout, env=env)
        listed = self.run(["config", "--list", "--show-scope", "-z"], reading)
        return programs.overrides(programs.parse(listed), clean_environment(), call.patience)

    def _communicate(self, process: subprocess.Popen[bytes], call: Call) -> tuple[bytes, bytes]:
        assert process.stdout is not None
        assert process.stderr is not None
        stdout, stderr = bytearray(), bytearray()
        streams = {process.stdout.fileno(): stdout, process.stderr.fileno(): stderr}
        deadline = awake() + call.timeout
        silence = silence_of(process.pid, call.url, call.patience)
        to_send = memoryview(call.stdin)
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                for key, _ in selector.select(_POLL):
                    if key.fileobj is process.stdin:
                        to_send = _send(process.stdin, to_send)
                        if not to_send:
                            selector.unregister(process.stdin)
                            process.stdin.close()
                        continue
                    data = os.read(key.fd, 1 << 18)
                    if not data:
                        selector.unregister(key.fd)
                    streams[key.fd] += data
                _check_output(stdout)
                # The end of what git says tells why it failed.
                del stderr[:-MAX_ERRORS]
                self._check(call, deadline)
                if silence is not None:
                    silence.check()
                if process.poll() is not None and _left_to_others(selector):
                    break
        process.wait()
        return bytes(stdout), bytes(stderr)

    def _check(self, call: Call, deadline: float) -> None:
        if self._closed:
            raise Unavailable("the service is stopping")
        if awake() > deadline:
            message = f"timeout: git was ended after {call.timeout:.0f} s"
            raise TransportFailed(message) if call.url else RequestTimeout(message)
        if call.gone is not None and call.gone():
            raise RequestTimeout("the client has gone; git was ended")


def _check_output(stdout: bytearray) -> None:
    if len(stdout) > MAX_OUTPUT:
        raise ContentTooLarge(f"the answer would be over {MAX_OUTPUT} bytes")


def _left_to_others(selector: selectors.BaseSelector) -> bool:
    """Whether nothing is left to read, though something git left behind holds the pipes."""
    return not selector.select(0)


def _send(stdin: IO[bytes], data: memoryview) -> memoryview:
    try:
        return data[os.write(stdin.fileno(), data[: 1 << 16]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return data[len(data) :]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its session: at TERM git removes its locks and temporary files."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    if process.poll() is None:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


@contextlib.contextmanager
def _environment(call: Call, overrides: Overrides) -> Iterator[dict[str, str]]:
    """What the process inherits."""
    env = {**clean_environment(), **_ENVIRONMENT, **overrides.env}
    if call.git_dir is not None:
        env["GIT_DIR"] = str(call.git_dir)
    config = [*_CONFIG.items(), *overrides.config, *call.config.items()]
    with contextlib.ExitStack() as stack:
        if call.credentials and scheme_of(call.url) in ("http", "https"):
            # Bound to the origin, so that a redirect elsewhere is not given them.
            config += [("credential.helper", "")]
            config += [(f"credential.{origin_of(call.url)}.helper", _HELPER)]
            env["TOOLBOX_GIT_USERNAME"] = call.credentials.username
            env["TOOLBOX_GIT_PASSWORD"] = call.credentials.password
            env["TOOLBOX_GIT_VALID"] = stack.enter_context(_mark())
        env["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        yield {**env, **call.env}


@contextlib.contextmanager
def _mark() -> Iterator[str]:
    """An empty file, which anybody may remove."""
    descriptor, name = tempfile.mkstemp(prefix="toolbox-git-")
    os.close(descriptor)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
