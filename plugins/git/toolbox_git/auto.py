"""The backend for images of which nobody has told whether they have git."""

from __future__ import annotations

import logging
import shutil

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_git.backend import GitBackend

log = logging.getLogger("toolbox")


class AutoBackend:
    """Is ``cli`` where the git binary is installed, and ``dulwich`` elsewhere.

    The binary is several times as fast on large repositories, knows every transport and runs the
    filters of Git LFS; an image without it still gets everything else.
    """

    def __new__(cls, settings: NoSettings, context: Context) -> GitBackend:  # type: ignore[misc]
        if shutil.which("git"):
            from toolbox_git.cli.backend import CliBackend

            log.info("git: the backend is cli")
            return CliBackend(settings, context)
        from toolbox_git.pure.backend import DulwichBackend

        log.info("git: the backend is dulwich")
        return DulwichBackend(settings, context)
