"""The description of a job to start, and the pipes for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from toolbox_process.engine.job import Kind
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.models import Limits

PIPE = -1
"""Standard input that is written to later."""


class Spec(NamedTuple):
    """A program to start, with its streams.

    ``stdin`` is a file descriptor, :data:`PIPE`, or None for nothing to read. ``split`` gives
    standard error its own pipe. With a ``terminal`` there are no pipes. The others are as in
    :class:`~toolbox_process.engine.launcher.Program`.
    """

    kind: Kind
    label: str
    arguments: Sequence[str]
    cwd: str | None = None
    envs: Mapping[str, str] = MappingProxyType({})
    stdin: int | None = None
    split: bool = False
    pass_fds: tuple[int, ...] = ()
    job_id: str = ""
    state: tuple[Path, ...] = ()
    user: str = ""
    limits: Limits | None = None
    terminal: TerminalSize | None = None


class OpenPipes:
    """A context that holds pipes as [read end, write end]; what the caller hasn't taken out is
    closed after it.
    """

    # Not a generator with contextlib: for each execute, that takes 11 more calls.

    def __init__(self, count: int) -> None:
        self._count = count
        self._pipes: list[list[int]] = []

    def __enter__(self) -> list[list[int]]:
        try:
            for _ in range(self._count):
                self._pipes.append(list(os.pipe2(os.O_CLOEXEC)))
        except OSError:
            self.__exit__()
            raise
        return self._pipes

    def __exit__(self, *error: object) -> None:
        for pipe in self._pipes:
            for fd in pipe:
                try:
                    os.close(fd)
                except OSError:
                    pass
