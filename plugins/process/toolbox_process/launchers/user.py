"""The launcher ``user``: programs run as another user, who can't look into the service.

The kernel then keeps them from its memory, environment and descriptors (ptrace(2), "Ptrace access
mode checking"), from files of mode 0600, and from signaling it.
"""

from __future__ import annotations

from toolbox_process.launchers.identity import Identity
from toolbox_process.launchers.identity import check_rights
from toolbox_process.launchers.identity import find_identity
from toolbox_process.launchers.plain import PlainLauncher
from toolbox_process.settings import LocalSettings


class UserLauncher(PlainLauncher):
    """Children of this process that run as ``launcher_user``."""

    def __init__(self, settings: LocalSettings) -> None:
        super().__init__(settings)
        self.identity = _identity(settings)

    @staticmethod
    def check(settings: LocalSettings) -> None:
        _identity(settings)
        check_rights()


def _identity(settings: LocalSettings) -> Identity:
    if not settings.launcher_user:
        raise ValueError("launcher_user is empty")
    return find_identity(settings.launcher_user)
