"""Execution of git processes, with limits on time and output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import IO

from toolbox.errors import ContentTooLarge
from toolbox.errors import RequestTimeout
from toolbox.errors import Unavailable
from toolbox.linux.clock import awake
from toolbox.processes import popen
from toolbox_git import programs
from toolbox_git.cli.call import NOWHERE
from toolbox_git.cli.call import Call
from toolbox_git.cli.call import Output
from toolbox_git.cli.diagnosis import without_noise
from toolbox_git.cli.git_environment import environment_of
from toolbox_git.environment import clean_environment
from toolbox_git.errors import TransportFailed
from toolbox_git.programs import Overrides
from toolbox_git.stall_detector import stall_detector_for
from toolbox_git.urls import scheme_of

MAX_OUTPUT = 256 * 1024 * 1024
"""Bytes of standard output; more is an error."""
MAX_ERRORS = 64 * 1024
"""Bytes of standard error that are kept."""
_POLL = 0.25
"""Seconds between checks for a timeout or a disconnected client."""
_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""


class Runner:
    """A runner of git processes, which terminates those left when the service stops."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, arguments: Sequence[bytes | str], call: Call) -> bytes:
        """Run git, or ``call.program``, with ``arguments``; return its standard output.

        Raises as :meth:`run_unchecked`, and the error that describes a failure.
        """
        output = self.run_unchecked(arguments, call)
        if output.status:
            raise output.error()
        return output.stdout

    def run_unchecked(self, arguments: Sequence[bytes | str], call: Call) -> Output:
        """Run git, or ``call.program``, with ``arguments``, accepting any exit status.

        Raises Unavailable if it isn't installed, RequestTimeout or TransportFailed if it takes too
        long, and RequestTimeout if the client disconnects.
        """
        command = [call.program, *(os.fsdecode(argument) for argument in arguments)]
        with environment_of(call, self._overrides(call)) as env:
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
            # Popen reports a missing directory and a missing program by the same exception.
            if error.filename == str(call.cwd):
                raise
            raise Unavailable(f"{call.program} is not installed") from None
        with process:
            # close() may have run since; then _check() ends the process at once.
            with self._lock:
                self._running.add(process)
            try:
                stdout, stderr = self._communicate(process, call)
            finally:
                _terminate(process)
                with self._lock:
                    self._running.discard(process)
        messages = without_noise(stderr.decode("utf-8", "backslashreplace"))
        return Output(process.returncode, stdout, messages, bool(call.url), call.credentials)

    def close(self) -> None:
        """Terminate every running process."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)

    def _overrides(self, call: Call) -> Overrides:
        """Return overrides that keep the repository's configuration from running programs."""
        # Without credentials the user's helpers are asked, for which the configuration is read.
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
        detector = stall_detector_for(process.pid, call.url, call.patience)
        to_send = memoryview(call.stdin)
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            # Written while reading: git may print before it has read all of its input.
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
                # The reason of a failure is at the end of the messages.
                del stderr[:-MAX_ERRORS]
                self._check(call, deadline)
                if detector is not None:
                    detector.check()
                # A process that git left behind may hold the pipes open: don't wait for their end.
                if process.poll() is not None and not selector.select(0):
                    break
        process.wait()
        return bytes(stdout), bytes(stderr)

    def _check(self, call: Call, deadline: float) -> None:
        if self._closed:
            raise Unavailable("the service is stopping")
        if awake() > deadline:
            message = f"timeout: git was terminated after {call.timeout:.0f} s"
            raise TransportFailed(message) if call.url else RequestTimeout(message)
        if call.disconnected is not None and call.disconnected():
            raise RequestTimeout("client disconnected; git was terminated")


def _check_output(stdout: bytearray) -> None:
    if len(stdout) > MAX_OUTPUT:
        raise ContentTooLarge(f"the response would exceed {MAX_OUTPUT} bytes")


def _send(stdin: IO[bytes], data: memoryview) -> memoryview:
    """Write what the pipe takes of ``data``; return the rest, empty if git has closed it."""
    try:
        return data[os.write(stdin.fileno(), data[: 1 << 16]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return data[len(data) :]


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process and its group: on SIGTERM git removes its locks and temporary files."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    if process.poll() is None:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    # Before it is waited for, its pid can't belong to another process.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
