"""The record of a sandbox: all that must outlive the control plane."""

from __future__ import annotations

import msgspec

from toolbox_fleet.models.sandboxes import Sandbox


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of a started sandbox, so that a later control plane finds them again."""

    pid: int
    """The process that was started: the service's master or, around it, bwrap."""
    started: int
    """Its start in clock ticks since boot: a later process may get the same pid."""
    boot_id: str
    """The boot in which that holds: pids begin again with each."""
    inner: int = 0
    """The first process of its own PID namespace, as seen from here; 0 without one."""
    inner_started: int = 0
    port: int
    isolation: str
    digest: str = ""
    """The SHA-256 of the callers' token that the service accepts beside its own."""
    since: str = ""
    """The time of its start."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox with what no client sees."""

    sandbox: Sandbox
    token: str
    """The token of its own service."""
    signing_key: str
    port: int = 0
    """The port of its service on loopback. A start takes the same again if it is free: clients
    keep the URL that they were told first.
    """
    uid: int = 0
    """The user that its processes run as, where each sandbox has its own; else 0."""
    running: Running | None = None
    """None unless it was started, and until its end was seen."""
    secrets: list[dict[str, str]] = []
    """Each maps a variable of the environment to the name of a secret."""
    template: str = ""
    """The id of the snapshot whose files it begins with."""
    source: str = ""
    """The id of the sandbox whose files it begins with."""
    empty: bool = False
    """True until it has the files that it begins with."""
