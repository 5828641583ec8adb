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
from typing import Any

import msgspec

from toolbox.decoding import decode_frame
from toolbox.errors import BadRequest
from toolbox_process.engine import Engine
from toolbox_process.errors import ClientLeft
from toolbox_process.errors import SpawnFailed
from toolbox_process.execute import check_environment
from toolbox_process.execute import check_text
from toolbox_process.execute import wait_or_end
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.models import CodeRunRequest
from toolbox_process.nameless import nameless_file
from toolbox_process.spec import Spec
from toolbox_process.spool import Spool
from toolbox_process.typescript import PRELOAD
from toolbox_process.typescript import SANDBOX
from toolbox_process.typescript import find_runner
from toolbox_process.waiting import Gone
from toolbox_process.waiting import never

RUN_CODE = SANDBOX / "run_code.py"

MAX_CHARTS = 64 * 1024 * 1024
"""Bytes of charts in an answer; what is over is left out."""

_MATPLOTLIB = re.compile(r"^[^#\n]*\bmatplotlib\b", re.MULTILINE)


@dataclass
class Program:
    """How to run one: its arguments and the files it is handed."""

    arguments: list[str]
    stdin: int | None = None
    pass_fds: tuple[int, ...] = ()
    charts: int | None = None


def run_code(
    engine: Engine,
    request: CodeRunRequest,
    spool: Spool,
    gone: Gone = never,
    split: bool = False,
) -> tuple[Job, list[dict[str, Any]]]:
    """Run a program, its output into ``spool``, and wait for its end; the charts it has shown.

    Raises BadRequest, SpawnFailed, ExecutionTimeout, ClientLeft.
    """
    prepare = _LANGUAGES.get(request.language)
    if prepare is None:
        raise BadRequest(f"{request.language!r} is none of {', '.join(_LANGUAGES)}")
    envs = check_environment(request.envs)
    argv = [check_text("an argument", each) for each in request.argv or []]
    path = {**os.environ, **envs}.get("PATH", os.defpath)
    cwd = check_text("cwd", request.cwd or "")
    label = f"{request.language} ({len(request.code)} characters)"
    with ExitStack() as files, engine.places.one():
        program = prepare(engine, request.code, argv, path, files)
        job = engine.start(
            Spec(
                Kind.CODE,
                label,
                program.arguments,
                cwd,
                envs,
                stdin=program.stdin,
                split=split,
                pass_fds=program.pass_fds,
            ),
            spool,
        )
        try:
            wait_or_end(engine, job, request.timeout, gone)
        except ClientLeft:
            _close_at_end(engine, job, files.pop_all())
            raise
        return job, [] if program.charts is None else list(read_charts(program.charts))


def _close_at_end(engine: Engine, job: Job, files: ExitStack) -> None:
    """Keep what a program needs as long as it runs."""
    close = partial(engine.pool.submit, files.close)
    engine.loop.call_soon(lambda: job.when_ended(close))


def _open(files: ExitStack, engine: Engine, text: str = "") -> int:
    """A file without a name, at its beginning, open as long as ``files``."""
    fd = nameless_file(text.encode("utf-8", "surrogatepass"), engine.state.path)
    files.callback(os.close, fd)
    return fd


def _write(files: ExitStack, engine: Engine, name: str, text: str) -> tuple[str, tuple[int, ...]]:
    """The path of a file that is there as long as ``files``, and the descriptors that the program
    needs for it: one if there is no room on disk. Raises OSError.
    """
    try:
        directory = engine.state.path() / f"code-{os.urandom(8).hex()}"
        directory.mkdir(0o700)
        files.callback(shutil.rmtree, directory, ignore_errors=True)
        (directory / name).write_text(text, "utf-8", "surrogatepass")
    except OSError:
        fd = _open(files, engine, text)
        return f"/proc/self/fd/{fd}", (fd,)
    return str(directory / name), ()


def _find(path: str, *names: str) -> str:
    """The first of these programs that is installed. Raises SpawnFailed."""
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise SpawnFailed(f"{names[0]}: not installed")


def _python(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    python = _find(path, "python3", "python")
    source, fds = _write(files, engine, "main.py", code)
    if not _MATPLOTLIB.search(code):
        arguments = [python, "-u", "-c", RUN_CODE.read_text(), source, *argv]
        return Program(arguments, pass_fds=fds)
    charts = _open(files, engine)
    runner = str(SANDBOX / "run_with_charts.py")
    arguments = [python, "-u", runner, source, str(charts), *argv]
    return Program(arguments, pass_fds=(*fds, charts), charts=charts)


def _javascript(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    source = _open(files, engine, code)
    return Program([_find(path, "node"), *PRELOAD, "-", *argv], stdin=source)


def _typescript(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    how = find_runner(path)
    if how.reads_input:
        return Program([*how.arguments, "-", *argv], stdin=_open(files, engine, code))
    # In the first line, so that the numbers of the others are right.
    prelude = "" if how.ours else "process.argv.splice(1, 1);"
    source, fds = _write(files, engine, "code.ts", prelude + code)
    return Program([*how.arguments, source, *argv], pass_fds=fds)


_LANGUAGES: dict[str, Callable[[Engine, str, list[str], str, ExitStack], Program]] = {
    "python": _python,
    "javascript": _javascript,
    "typescript": _typescript,
}


def read_charts(fd: int) -> Iterator[dict[str, Any]]:
    """The charts a program has written, one JSON object on each line."""
    for line in os.pread(fd, MAX_CHARTS, 0).splitlines():
        try:
            found = decode_frame(line, _Artifact)
        except msgspec.DecodeError:
            continue  # The program has the descriptor, too, and may have written to it.
        if found.type == "chart":
            yield found.value


class _Artifact(msgspec.Struct):
    type: str
    value: dict[str, Any]
