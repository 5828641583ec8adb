"""The isolation ``user``: sandboxes run as other users than the control plane."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Container
from pathlib import Path

from toolbox.settings import SettingsError
from toolbox.trees.attributes import Owner
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.local.running.isolation import Cell
from toolbox_fleet.local.running.isolation import NoIsolation
from toolbox_fleet.local.running.isolation import name_of

WHERE = "fleet.local.user"

ATTEMPT = 30.0
"""Seconds that the attempt to run Python as another user may take."""

_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})")
_IDS = re.compile(r"(\d{1,10}):(\d{1,10})")


class OtherUser(NoIsolation):
    """Sandboxes can't reach the control plane; nor each other, if each has a user of its own."""

    name = "user"

    def __init__(self, user: str) -> None:
        self._first, self._last, self._gid = _identities(user)
        others = "nor" if self._is_range else "but"
        self.describes = (
            f"another user: sandboxes can't read or end the control plane, {others} each other"
        )

    @property
    def _is_range(self) -> bool:
        return self._gid is None

    @property
    def takes_callers(self) -> bool:
        # Its programs and its service are the same user, who may read the memory of both.
        return False

    @property
    def user(self) -> str:
        return name_of(self._first)

    def assign(self, taken: Container[int]) -> int:
        # All are one user, or the operator has chosen uids that nothing else uses.
        if not self._is_range:
            return 0
        for uid in range(self._first, self._last + 1):
            if uid not in taken:
                return uid
        raise NoCapacity(f"every user of [fleet.local] user has a sandbox, up to {self._last}")

    def owner(self, uid: int) -> Owner:
        if uid:
            return Owner(uid, uid)
        return Owner(self._first, self._first if self._gid is None else self._gid)

    def prepare(self, cell: Cell) -> None:
        root = cell.paths.root
        # The directories above are the control plane's; others may pass, not look.
        for above in (root.parent.parent, root.parent):
            above.chmod(0o711)
        # That user may pass it, not change it: a link in the place of `run` would lead what is
        # written there to other files of this machine.
        os.chown(root, os.geteuid(), self.owner(cell.uid).gid)
        root.chmod(0o710)
        for path in (*root.iterdir(), cell.paths.settings, cell.paths.signing_key):
            self.own(path, cell.uid)
        # In a tree that is that user's, so that it is, too.
        super().prepare(cell)

    def own(self, path: Path | int, uid: int) -> None:
        owner = self.owner(uid)
        os.chown(path, owner.uid, owner.gid, follow_symlinks=isinstance(path, int))

    def wrapper(self, cell: Cell, info: int) -> list[str]:
        owner = self.owner(cell.uid)
        # Not the option of Popen: what comes before this has to enter control groups as root.
        return _setpriv(owner.uid, owner.gid)

    def check(self) -> None:
        """Raise SettingsError if that user can't run a service."""
        if shutil.which("setpriv") is None:
            raise SettingsError(f"{WHERE}: the program setpriv (util-linux) is not installed")
        # Tried, as there are many reasons: a home above Python, a missing library, an LSM.
        owner = self.owner(0)
        command = [*_setpriv(owner.uid, owner.gid), sys.executable, "-I", "-c", "import toolbox"]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=ATTEMPT, cwd="/"
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SettingsError(f"{WHERE}: {error}") from None
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ["no reason is given"])[-1]
            raise SettingsError(f"{WHERE}: {self.user} can't run {sys.executable}: {line}")


def _setpriv(uid: int, gid: int) -> list[str]:
    # Without the groups of root, which the child would keep.
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]


def _identities(user: str) -> tuple[int, int, int | None]:
    """Return the first uid, the last, and the group; None for groups as the users."""
    if not user:
        raise SettingsError(f'{WHERE}: the isolation "user" needs one')
    if os.geteuid() != 0:
        raise SettingsError(f"{WHERE}: only root can run sandboxes as another user")
    if found := _RANGE.fullmatch(user):
        first, last = int(found[1]), int(found[2])
        if not 0 < first <= last < 2**32 - 1:
            raise SettingsError(f"{WHERE}: not a range of uids: {user}")
        return first, last, None
    if found := _IDS.fullmatch(user):
        return int(found[1]), int(found[1]), int(found[2])
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise SettingsError(f"{WHERE}: no user {user!r}") from None
    return entry.pw_uid, entry.pw_uid, entry.pw_gid
