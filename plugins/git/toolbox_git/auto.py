"""The backend ``auto``, for images that may or may not contain git."""

from __future__ import annotations

import logging
import shutil

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_git.backend import GitBackend

log = logging.getLogger("toolbox")


def choose_backend(settings: NoSettings, context: Context) -> GitBackend:
    """Return a ``cli`` backend where the git binary is installed, a ``dulwich`` one elsewhere.

    The binary is several times as fast on large repositories, supports every transport and runs
    the filters of Git LFS.
    """
    # Each backend is imported only where it is used: dulwich takes a while to load.
    if shutil.which("git"):
        from toolbox_git.cli.backend import CliBackend

        log.info("git: the backend is cli")
        return CliBackend(settings, context)
    from toolbox_git.dulwich.backend import DulwichBackend

    log.info("git: the backend is dulwich")
    return DulwichBackend(settings, context)
