"""Programs given as source: ``code-run``."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from typing import NamedTuple

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import Unavailable
from toolbox.http.decoding import decode_frame
from toolbox.linux.clock import awake
from toolbox.linux.nameless import nameless_file
from toolbox_process.commands.execute import wait_or_end
from toolbox_process.commands.models import CodeRunRequest
from toolbox_process.commands.typescript import PRELOAD
from toolbox_process.commands.typescript import SANDBOX
from toolbox_process.commands.typescript import find_runner
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.errors import ClientLeft
from toolbox_process.errors import SpawnFailed

RUN_CODE = SANDBOX / "run_code.py"

MAX_CHARTS = 64 * 1024 * 1024
"""Bytes of charts in a response; charts beyond it are left out."""

_MATPLOTLIB = re.compile(r"^[^#\n]*\bmatplotlib\b", re.MULTILINE)


@dataclass
class Program:
    """The arguments of a program, and the files it is passed."""

    arguments: list[str]
    stdin: int | None = None
    pass_fds: tuple[int, ...] = ()
    charts: int | None = None
    state: tuple[Path, ...] = ()


def run_code(
    engine: Engine,
    request: CodeRunRequest,
    spool: Spool,
    is_disconnected: IsDisconnected = never,
    split: bool = False,
) -> tuple[Job, list[dict[str, Any]]]:
    """Run a program, its output into ``spool``, and wait for its end.

    Return the job and the charts it has shown. Raises BadRequest, SpawnFailed, ExecutionTimeout,
    ClientLeft.
    """
    prepare = _LANGUAGES.get(request.language)
    if prepare is None:
        raise BadRequest(
            f"unknown language {request.language!r}; known are {', '.join(_LANGUAGES)}"
        )
    envs = check_environment(request.envs)
    argv = [check_text("an argument", argument) for argument in request.argv or []]
    # The interpreter is searched for as the program itself would find it.
    path = {**os.environ, **envs}.get("PATH", os.defpath)
    cwd = check_text("cwd", request.cwd or "")
    # The list of jobs shows the length only: the source may be long, or secret.
    label = f"{request.language} ({len(request.code)} characters)"
    with ExitStack() as files, engine.waiting.admitted():
        program = prepare(engine, request.code, argv, path, files)
        begun = awake()
        job = engine.start_and_wait(
            Spec(
                Kind.CODE,
                label,
                program.arguments,
                cwd,
                envs,
                stdin=program.stdin,
                split=split,
                pass_fds=program.pass_fds,
                state=program.state,
            ),
            spool,
        )
        try:
            wait_or_end(engine, job, request.timeout, is_disconnected, begun)
        except (ClientLeft, Unavailable):
            # The program still runs and needs its files.
            _close_at_end(engine, job, files.pop_all())
            raise
        return job, [] if program.charts is None else list(read_charts(program.charts))


def _close_at_end(engine: Engine, job: Job, files: ExitStack) -> None:
    """Keep the files of a program until it ends."""
    close = partial(engine.pool.submit, files.close)
    engine.loop.call_soon(lambda: job.when_ended(close))


def _open(files: ExitStack, engine: Engine, text: str = "") -> int:
    """Return an unnamed file at its beginning, open as long as ``files``."""
    fd = nameless_file(text.encode("utf-8", "surrogatepass"), engine.state.path)
    files.callback(os.close, fd)
    return fd


class Source(NamedTuple):
    """A file to run, and the descriptors and directories that the program needs for it."""

    path: str
    pass_fds: tuple[int, ...] = ()
    state: tuple[Path, ...] = ()


def _write(files: ExitStack, engine: Engine, name: str, text: str) -> Source:
    """Write a file that exists as long as ``files``, unnamed if the disk is full.

    Raises OSError.
    """
    try:
        directory = engine.state.path() / f"code-{os.urandom(8).hex()}"
        directory.mkdir(0o700)
        files.callback(shutil.rmtree, directory, ignore_errors=True)
        path = directory / name
        path.touch(0o600)
        path.write_text(text, "utf-8", "surrogatepass")
        engine.launcher.share(directory)
        engine.launcher.share(path)
    except OSError:
        fd = _open(files, engine, text)
        return Source(f"/proc/self/fd/{fd}", (fd,))
    return Source(str(path), state=(directory,))


def _find(path: str, *names: str) -> str:
    """Return the first of these programs that is installed. Raises SpawnFailed."""
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise SpawnFailed(f"{names[0]}: not installed")


def _python(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    python = _find(path, "python3", "python")
    source = _write(files, engine, "main.py", code)
    # A false match, in a comment say, only costs the time to install the hook.
    if not _MATPLOTLIB.search(code):
        arguments = [python, "-u", "-c", RUN_CODE.read_text(), source.path, *argv]
        return Program(arguments, pass_fds=source.pass_fds, state=source.state)
    charts = _open(files, engine)
    runner = str(SANDBOX / "run_with_charts.py")
    arguments = [python, "-u", runner, source.path, str(charts), *argv]
    return Program(arguments, None, (*source.pass_fds, charts), charts, source.state)


def _javascript(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    source = _open(files, engine, code)
    return Program([_find(path, "node"), *PRELOAD, "-", *argv], stdin=source)


def _typescript(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    runner = find_runner(path, engine)
    if runner.reads_input:
        return Program([*runner.arguments, "-", *argv], stdin=_open(files, engine, code))
    # On the first line, so that the line numbers in error messages stay right.
    prelude = "" if runner.ours else "process.argv.splice(1, 1);"
    source = _write(files, engine, "code.ts", prelude + code)
    arguments = [*runner.arguments, source.path, *argv]
    return Program(arguments, pass_fds=source.pass_fds, state=source.state)


_LANGUAGES: dict[str, Callable[[Engine, str, list[str], str, ExitStack], Program]] = {
    "python": _python,
    "javascript": _javascript,
    "typescript": _typescript,
}


def read_charts(fd: int) -> Iterator[dict[str, Any]]:
    """Yield the charts a program has written, one JSON object on each line."""
    # From the beginning: the program shares the descriptor and its offset (open(2)).
    for line in os.pread(fd, MAX_CHARTS, 0).splitlines():
        try:
            found = decode_frame(line, _Artifact)
        except msgspec.DecodeError:
            continue  # The program can write to the descriptor, too.
        if found.type == "chart":
            yield found.value


class _Artifact(msgspec.Struct):
    type: str
    value: dict[str, Any]
