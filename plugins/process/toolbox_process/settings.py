"""What an operator may set: ``[process]`` for every backend, ``[process.local]`` for ours."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.bounds import BELOW_THREADS


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the group, whichever backend serves it."""

    max_result: Annotated[
        int,
        Meta(
            ge=1024,
            description="Bytes of output in one JSON answer, for each stream; of more, the first "
            "and the last half are sent.",
        ),
    ] = 16 * 1024 * 1024
    max_waiting: Annotated[
        int,
        Meta(
            ge=1,
            description="Requests that may wait for a command at once; must be well below "
            "server.threads, or nothing else is answered meanwhile; the default is lowered to fit.",
            extra=BELOW_THREADS,
        ),
    ] = 224


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the backend ``local``."""

    shell: Annotated[
        str,
        Meta(
            description="Shell for commands and terminals; if empty, zsh or bash where /etc/shells "
            "names one, else $SHELL, else sh."
        ),
    ] = ""
    state_dir: Annotated[
        str,
        Meta(description="Directory for output and pipes; in the temporary directory if empty."),
    ] = ""
    entrypoint: Annotated[
        list[str],
        Meta(description="Program and arguments to run as the session ``entrypoint``."),
    ] = []
    timeout_grace: Annotated[
        float,
        Meta(ge=0, le=60, description="Seconds between TERM and KILL after a timeout."),
    ] = 0.5
    grace: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Seconds between TERM and KILL for what is deleted and, as far as "
            "server.shutdown_timeout allows, for everything at the end of the service.",
        ),
    ] = 2.0
    drain_idle: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Seconds of silence after which output a background process could "
            "still write is no longer waited for.",
        ),
    ] = 0.1
    drain_limit: Annotated[
        float, Meta(ge=0, le=60, description="Seconds such output is waited for at most.")
    ] = 1.0
    output_memory: Annotated[
        int, Meta(ge=4096, description="Bytes of a job's output kept in memory; more go to disk.")
    ] = 64 * 1024
    output_limit: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            description="Bytes of a job's output kept; of more, the middle is dropped.",
        ),
    ] = 2 * 1024 * 1024 * 1024
    total_output_limit: Annotated[
        int,
        Meta(ge=1024 * 1024, description="Bytes kept of all finished jobs; the oldest go first."),
    ] = 4 * 1024 * 1024 * 1024
    max_followers: Annotated[
        int,
        Meta(
            ge=1,
            description="WebSockets that may follow one job or terminal at once; more are closed "
            "1013.",
        ),
    ] = 64
    keep_jobs: Annotated[
        int, Meta(ge=0, description="Finished jobs of each kind that are kept for looking up.")
    ] = 500
    keep_seconds: Annotated[
        float, Meta(ge=0, description="Seconds a finished job is kept at most.")
    ] = 3600.0
    warm_interpreter: Annotated[
        bool,
        Meta(
            description="Start the default interpreter with the service: whoever uses it first "
            "waits less, and where nobody does it takes memory for nothing."
        ),
    ] = False
    terminal_buffer: Annotated[
        int, Meta(ge=64 * 1024, description="Bytes of a terminal's output kept for slow clients.")
    ] = 8 * 1024 * 1024
