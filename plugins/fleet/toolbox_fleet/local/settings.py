"""The settings of the backend ``local``: ``[fleet.local]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.settings.variables import expand_home
from toolbox.settings.variables import home_directory

Isolation = Literal["auto", "bubblewrap", "user", "none"]

DEFAULT_SNAPSHOTS = ("daytona-small", "daytona-medium", "daytona-large", "daytonaio/sandbox")


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the backend ``local``."""

    data: Annotated[
        str,
        Meta(
            description="Directory of sandboxes, snapshots and volumes; if empty, toolbox/fleet in "
            "$XDG_STATE_HOME, for root /var/lib/toolbox/fleet, else in ~/.local/state."
        ),
    ] = ""
    isolation: Annotated[
        Isolation,
        Meta(
            description='Separation of sandboxes: "bubblewrap", each with its own processes and '
            'mounts; "user", as another user than the control plane; "none"; "auto" takes '
            "bubblewrap where it works, else none."
        ),
    ] = "auto"
    user: Annotated[
        str,
        Meta(
            description='User of sandboxes, for the isolation user: a name or "uid:gid" for all, '
            'or a range "first-last" of uids that nobody else has, one for each sandbox.'
        ),
    ] = ""
    machine: Annotated[
        Literal["read-only", "overlay"],
        Meta(
            description="This machine's own directories, such as /usr and /etc, in sandboxes with "
            'bubblewrap. "read-only"; or "overlay": each sandbox can change its view of them, so '
            "that apt-get works, by a layer of its own. That takes root and overlayfs; callers go "
            "through the control plane then, as it could change its own service."
        ),
    ] = "read-only"
    max_sandboxes: Annotated[
        int, Meta(ge=1, le=4000, description="Maximum sandboxes with processes, paused ones too.")
    ] = 100
    starting: Annotated[
        int,
        Meta(ge=0, le=256, description="Maximum sandboxes that start at once; 0: twice the cores."),
    ] = 0
    start_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Maximum seconds until a service is ready.")
    ] = 120.0
    stop_timeout: Annotated[
        int,
        Meta(ge=1, le=600, description="Seconds between SIGTERM and SIGKILL when one is stopped."),
    ] = 5
    on_stop: Annotated[
        Literal["keep", "stop"],
        Meta(
            description='Sandboxes when the control plane stops: "keep" lets them run, and the '
            'next start finds them; "stop" stops them.'
        ),
    ] = "keep"
    settings_file: Annotated[
        str,
        Meta(
            description="Settings file for the services in sandboxes (TOML), over which a few "
            "values are set, such as the work directory; their defaults if empty."
        ),
    ] = ""
    cpu: Annotated[int, Meta(ge=1, description="Cores of a sandbox by default.")] = 1
    memory: Annotated[int, Meta(ge=1, description="GiB of memory of a sandbox by default.")] = 1
    disk: Annotated[
        int, Meta(ge=1, description="GiB of disk of a sandbox by default; nothing enforces it.")
    ] = 3
    pids: Annotated[int, Meta(ge=64, description="Maximum processes and threads of a sandbox.")] = (
        4096
    )
    auto_stop_interval: Annotated[
        int, Meta(ge=0, description="Minutes without activity until one is stopped; 0 for never.")
    ] = 15
    auto_archive_interval: Annotated[
        int, Meta(ge=0, description="Minutes after which a stopped one is archived; 0 for never.")
    ] = 10080
    auto_delete_interval: Annotated[
        int, Meta(ge=-1, description="Minutes after which a stopped one is deleted; -1 for never.")
    ] = -1
    builder: Annotated[
        list[str],
        Meta(
            description="Command that builds images: {dockerfile} is the file that it reads, "
            "{files} the directory that it fills, {environment} a file for the image's variables. "
            "If empty, there are no images."
        ),
    ] = []
    build_timeout: Annotated[
        float, Meta(gt=0, le=86400, description="Maximum seconds of a build.")
    ] = 1800.0
    default_snapshots: Annotated[
        list[str],
        Meta(
            description="Names of snapshots that mean a sandbox without files: clients send some "
            "unasked."
        ),
    ] = msgspec.field(default_factory=lambda: list(DEFAULT_SNAPSHOTS))


def data_directory(settings: LocalSettings) -> Path:
    """Return the directory in which everything is kept."""
    if settings.data:
        return expand_home(settings.data)
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state).absolute() / "toolbox" / "fleet"
    if os.geteuid() == 0:
        return Path("/var/lib/toolbox/fleet")
    return home_directory() / ".local" / "state" / "toolbox" / "fleet"
