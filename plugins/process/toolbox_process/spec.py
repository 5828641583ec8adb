"""What a process is started as, and the pipes for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field

from toolbox_process.job import Kind


@dataclass(frozen=True)
class Spec:
    """What to start.

    ``stdin`` is a file descriptor, ``subprocess.PIPE`` for one that is written to later, or None
    for nothing to read. ``split`` gives standard error a pipe of its own.
    """

    kind: Kind
    label: str
    arguments: Sequence[str]
    cwd: str | None = None
    envs: Mapping[str, str] = field(default_factory=dict)
    stdin: int | None = None
    split: bool = False
    pass_fds: tuple[int, ...] = ()
    job_id: str = ""


@contextmanager
def open_pipes(count: int) -> Iterator[list[list[int]]]:
    """New pipes as [read end, write end]; what the caller hasn't taken out is closed after."""
    pipes: list[list[int]] = []
    try:
        for _ in range(count):
            pipes.append(list(os.pipe2(os.O_CLOEXEC)))
        yield pipes
    finally:
        for pipe in pipes:
            for fd in pipe:
                with suppress(OSError):
                    os.close(fd)
