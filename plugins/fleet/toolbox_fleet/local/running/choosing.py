"""The choice of an isolation: what the settings ask for, as far as it works here."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

from toolbox.settings import SettingsError
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.layout import SandboxPaths
from toolbox_fleet.local.running.bubblewrap import probe
from toolbox_fleet.local.running.bubblewrap import takes_descriptors
from toolbox_fleet.local.running.bubblewrap import wrapper
from toolbox_fleet.local.running.isolation import Cell
from toolbox_fleet.local.running.isolation import Inside
from toolbox_fleet.local.running.isolation import NoIsolation
from toolbox_fleet.local.running.other_user import OtherUser
from toolbox_fleet.local.running.view import HOME
from toolbox_fleet.local.running.view import RUN
from toolbox_fleet.local.running.view import View
from toolbox_fleet.local.settings import LocalSettings


class Bubblewrap(NoIsolation):
    """Sandboxes have their own processes and mounts, by bwrap(1)."""

    name = "bubblewrap"
    own_processes = True

    def __init__(self, layout: Layout, layered: bool) -> None:
        self._layout = layout
        self._layered = layered
        own = "own layer over this machine's files" if layered else "own files"
        rest = "" if layered else ", this machine's read-only"
        self.describes = (
            f"bubblewrap: own processes, {own}{rest}; the network is this machine's unless it is"
            " blocked, and so is the kernel"
        )

    @property
    def takes_callers(self) -> bool:
        # As root the service hides its memory (toolbox.linux.hiding), and has no more capabilities
        # than its programs, which then can't look. In a layer they can change what it runs.
        return os.geteuid() == 0 and not self._layered

    def inside(self, paths: SandboxPaths) -> Inside:
        return Inside(
            HOME,
            RUN / paths.settings.name,
            RUN / paths.signing_key.name,
            RUN / "logs" / paths.log.name,
        )

    def check_network(self) -> None:
        pass  # It has a namespace of its own, which nothing leads out of.

    def prepare(self, cell: Cell) -> None:
        if cell.mounts and not takes_descriptors():
            raise Unsupported("volumes take a bwrap that has the option --bind-fd: 0.10 or later")
        # Nothing can be made there later: the service's own files are read-only inside.
        (cell.paths.run / "logs").mkdir(exist_ok=True)
        self._view(cell).prepare([mount.target for mount in cell.mounts])

    def wrapper(self, cell: Cell, info: int) -> list[str]:
        return wrapper(self._view(cell), cell.mounts, cell.block_network, info)

    def _view(self, cell: Cell) -> View:
        return View(self._layout.root, cell.paths, self._layered)


def check(settings: LocalSettings) -> None:
    """Raise SettingsError if the isolation that the settings ask for doesn't work here."""
    # "auto" works everywhere; not to try it keeps the start of a service short.
    if settings.isolation == "user":
        OtherUser(settings.user).check()
    elif settings.isolation == "bubblewrap" and (reason := _bubblewrap_fails()):
        raise SettingsError(f"fleet.local.isolation: {reason}")
    if settings.machine == "overlay":
        _check_overlay(settings)


def choose(settings: LocalSettings, layout: Layout) -> NoIsolation:
    """Return the isolation in use. Raises SettingsError if it doesn't work here."""
    check(settings)
    if settings.isolation == "none":
        return NoIsolation()
    if settings.isolation == "user":
        return OtherUser(settings.user)
    # In "auto": an operator who asked for bubblewrap by name must not get less.
    if settings.isolation == "auto" and _bubblewrap_fails():
        return NoIsolation()
    return Bubblewrap(layout, settings.machine == "overlay")


def _check_overlay(settings: LocalSettings) -> None:
    """Raise SettingsError if sandboxes can't have layers of their own."""
    where = 'fleet.local.machine: "overlay" takes'
    if settings.isolation in ("none", "user"):
        raise SettingsError(f"{where} the isolation bubblewrap")
    # Others couldn't change what is root's in it, which is nearly everything.
    if os.geteuid() != 0:
        raise SettingsError(f"{where} root")
    missing = [name for name in ("bwrap", "unshare", "mount") if shutil.which(name) is None]
    if missing:
        raise SettingsError(f"{where} the program {missing[0]}")


@functools.cache
def _bubblewrap_fails() -> str:
    """Return the reason why bwrap doesn't work here, "" if it does. Runs it once."""
    if shutil.which("bwrap") is None:
        return "bwrap (bubblewrap) is not installed"
    try:
        return probe()
    except (OSError, subprocess.SubprocessError) as error:
        return f"bwrap doesn't work here: {error}"
