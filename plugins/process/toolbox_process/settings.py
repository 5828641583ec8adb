"""The settings: ``[process]`` for every backend, ``[process.local]`` for ours."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.settings.bounds import BELOW_THREADS
from toolbox_process.definition import DeclaredDefinition
from toolbox_process.definition import ServiceName


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the group, whichever backend serves it."""

    max_result: Annotated[
        int,
        Meta(
            ge=1024,
            description="Maximum bytes of output in a JSON response, for each stream; of longer "
            "output the first and the last part are sent.",
        ),
    ] = 16 * 1024 * 1024
    max_waiting: Annotated[
        int,
        Meta(
            ge=1,
            description="Maximum requests that wait for a command; must be well below "
            "server.threads, or other requests stall; the default is lowered to fit.",
            extra=BELOW_THREADS,
        ),
    ] = 224
    services: Annotated[
        dict[ServiceName, DeclaredDefinition],
        Meta(
            description="Services to keep running, each a table [process.services.NAME]: command "
            "or argv, cwd, envs, restart, backoff, ready, logs, grace, keepalive."
        ),
    ] = {}


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the backend ``local``."""

    launcher: Annotated[
        str,
        Meta(
            description='How programs are started: "plain", as the user of the service; "user", as '
            'launcher_user; "bubblewrap", with their own processes and mounts; or "module:Class".'
        ),
    ] = "plain"
    launcher_user: Annotated[
        str,
        Meta(
            description='User that programs run as, by name or "uid:gid". The launcher user needs '
            "it, bubblewrap may have it; the service needs root or CAP_CHOWN, CAP_KILL, CAP_SETGID "
            "and CAP_SETUID."
        ),
    ] = ""
    bubblewrap_options: Annotated[
        list[str],
        Meta(
            description="More options of bwrap(1) for the launcher bubblewrap, such as "
            '"--dev-bind", "/dev/dri", "/dev/dri".'
        ),
    ] = []
    shell: Annotated[
        str,
        Meta(
            description="Shell for commands and terminals; if empty, zsh or bash where /etc/shells "
            "names one, else $SHELL, else sh."
        ),
    ] = ""
    state_dir: Annotated[
        str,
        Meta(
            description="Directory for output, pipes and definitions of services; if empty, in the "
            "temporary directory, but definitions in $XDG_STATE_HOME or ~/.local/state."
        ),
    ] = ""
    entrypoint: Annotated[
        list[str],
        Meta(description="Program and arguments to run as the service and session ``entrypoint``."),
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
            description="Seconds of silence after which the service stops waiting for output of "
            "background processes.",
        ),
    ] = 0.1
    drain_limit: Annotated[
        float, Meta(ge=0, le=60, description="Maximum seconds to wait for such output.")
    ] = 1.0
    output_memory: Annotated[
        int,
        Meta(ge=4096, description="Bytes of a job's output kept in memory; the rest goes to disk."),
    ] = 64 * 1024
    output_limit: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            description="Maximum bytes kept of a job's output; of more, the middle is dropped.",
        ),
    ] = 2 * 1024 * 1024 * 1024
    total_output_limit: Annotated[
        int,
        Meta(
            ge=1024 * 1024,
            description="Maximum bytes kept of all finished jobs; the oldest are dropped first.",
        ),
    ] = 4 * 1024 * 1024 * 1024
    max_followers: Annotated[
        int,
        Meta(
            ge=1,
            description="Maximum WebSockets that follow one job or terminal; more are closed "
            "with 1013.",
        ),
    ] = 64
    keep_jobs: Annotated[
        int, Meta(ge=0, description="Maximum finished jobs of each kind that are kept.")
    ] = 500
    keep_seconds: Annotated[
        float, Meta(ge=0, description="Maximum seconds that a finished job is kept.")
    ] = 3600.0
    warm_interpreter: Annotated[
        bool,
        Meta(
            description="Start the default interpreter with the service: the first request waits "
            "less, and memory is used even if no request comes."
        ),
    ] = False
    terminal_buffer: Annotated[
        int, Meta(ge=64 * 1024, description="Bytes of a terminal's output kept for slow clients.")
    ] = 8 * 1024 * 1024
