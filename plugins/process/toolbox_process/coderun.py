"""Programs given as source: ``code-run``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from toolbox.decoding import decode_frame
from toolbox.errors import BadRequest
from toolbox_process.engine import Engine
from toolbox_process.errors import SpawnFailed
from toolbox_process.execute import check_environment
from toolbox_process.execute import check_text
from toolbox_process.execute import wait_or_end
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.models import CodeRunRequest
from toolbox_process.spec import Spec
from toolbox_process.spool import Spool

SANDBOX = Path(__file__).parent / "sandbox"
"""Programs run by the sandbox's interpreters."""

MAX_CHARTS = 64 * 1024 * 1024
"""Bytes of charts in an answer; what is over is left out."""

_MATPLOTLIB = re.compile(r"^[^#\n]*\bmatplotlib\b", re.MULTILINE)
_COMPILER = '{"module":"CommonJS"}'


@dataclass
class Program:
    """How to run one: its arguments and the files it is handed."""

    arguments: list[str]
    stdin: int | None = None
    pass_fds: tuple[int, ...] = ()
    charts: int | None = None


def run_code(
    engine: Engine, request: CodeRunRequest, spool: Spool
) -> tuple[Job, list[dict[str, Any]]]:
    """Run a program, its output into ``spool``, and wait for its end; the charts it has shown.

    Raises BadRequest, SpawnFailed, ExecutionTimeout.
    """
    prepare = _LANGUAGES.get(request.language)
    if prepare is None:
        raise BadRequest(f"{request.language!r} is none of {', '.join(_LANGUAGES)}")
    envs = check_environment(request.envs)
    argv = [check_text("an argument", each) for each in request.argv or []]
    path = {**os.environ, **envs}.get("PATH", os.defpath)
    label = f"{request.language} ({len(request.code)} characters)"
    with ExitStack() as files, engine.waiting():
        program = prepare(engine, request.code, argv, path, files)
        job = engine.start(
            Spec(
                Kind.CODE,
                label,
                program.arguments,
                envs=envs,
                stdin=program.stdin,
                pass_fds=program.pass_fds,
            ),
            spool,
        )
        wait_or_end(engine, job, request.timeout)
        return job, [] if program.charts is None else list(read_charts(program.charts))


@contextmanager
def _memory_file(name: str, text: str = "") -> Iterator[int]:
    """A file without a name, at its beginning, open while the block runs."""
    fd = os.memfd_create(name)
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _find(path: str, *names: str) -> str:
    """The first of these programs that is installed. Raises SpawnFailed."""
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise SpawnFailed(f"{names[0]}: not installed")


def _python(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    python = _find(path, "python3", "python")
    source = files.enter_context(_memory_file("code", code))
    if not _MATPLOTLIB.search(code):
        return Program([python, "-u", "-", *argv], stdin=source)
    charts = files.enter_context(_memory_file("charts"))
    runner = str(SANDBOX / "run_with_charts.py")
    arguments = [python, "-u", runner, str(source), str(charts), *argv]
    return Program(arguments, pass_fds=(source, charts), charts=charts)


def _javascript(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    source = files.enter_context(_memory_file("code", code))
    preload = str(SANDBOX / "node_argv.cjs")
    return Program([_find(path, "node"), "--require", preload, "-", *argv], stdin=source)


def _typescript(engine: Engine, code: str, argv: list[str], path: str, files: ExitStack) -> Program:
    directory = engine.state.path() / f"code-{os.urandom(8).hex()}"
    directory.mkdir(0o700)
    files.callback(shutil.rmtree, directory, ignore_errors=True)
    file = directory / "code.ts"
    # In the first line, so that the numbers of the others are right.
    file.write_text("process.argv.splice(1, 1);" + code, "utf-8", "surrogatepass")
    return Program([*_typescript_runner(path), str(file), *argv])


def _typescript_runner(path: str) -> list[str]:
    """What runs a TypeScript file: ts-node, tsx, node itself from 22.6 on, or what npx fetches."""
    transpile = ["--transpileOnly", "--compilerOptions", _COMPILER]
    if found := shutil.which("ts-node", path=path):
        return [found, *transpile]
    if found := shutil.which("tsx", path=path):
        return [found]
    node = _find(path, "node")
    probe = "process.exit(process.allowedNodeEnvironmentFlags.has(process.argv[1]) ? 0 : 1)"
    flag = "--experimental-transform-types"
    if subprocess.run([node, "-e", probe, flag], check=False).returncode == 0:
        return [node, "--no-warnings", flag]
    npx = [_find(path, "npx"), "--yes", "--loglevel=error", "--package=typescript"]
    return [*npx, "--package=ts-node", "ts-node", *transpile]


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
