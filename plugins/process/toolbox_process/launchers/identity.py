"""The user that programs run as where that isn't the service's: user and groups, rights, variables.

Programs become that user by setpriv(1) of util-linux: subprocess could do it, too, but then forks
the whole process, which takes tens of milliseconds.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from toolbox.linux.procfs import read

NOBODY = 2**32 - 1
"""The number that stands for no user (chown(2))."""

STALE = ("XDG_RUNTIME_DIR", "MAIL", "SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND")
"""Variables that hold for the user of the service only."""

CAPABILITIES = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
"""Capabilities, by number (linux/capability.h), for starting and ending programs of another user:
for streams and terminals, for signals, for the rest.
"""


class Identity(NamedTuple):
    """A user, its group and all its groups."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: Path

    def may_execute(self, path: Path) -> bool:
        """Report whether the user may enter a directory or run a file, by its and its parents'
        modes. Raises OSError.
        """
        real = path.resolve(strict=True)
        return all(self._has_x(part.stat()) for part in (real, *real.parents))

    def _has_x(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid in self.groups:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the service as this user has them."""
        own = {"HOME": str(self.home), "USER": self.name, "LOGNAME": self.name}
        kept = {name: value for name, value in environment.items() if name not in STALE}
        return {**kept, **own}

    def arguments(self) -> tuple[str, ...]:
        """Return the command that runs what follows as this user."""
        groups = ",".join(map(str, self.groups))
        return (
            shutil.which("setpriv") or "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            f"--groups={groups}",
            "--inh-caps=-all",
            # Or a program with the set-user-ID bit would give back what is taken here.
            "--no-new-privs",
            "--",
        )


def find_identity(text: str) -> Identity:
    """Return the user named ``text``, or ``uid:gid``, who isn't root. Raises ValueError."""
    found = look_up(text)
    if found.uid == 0:
        raise ValueError(f"{text!r} is root, whom nothing is hidden from")
    return found


def look_up(text: str) -> Identity:
    """Return the user named ``text``, or ``uid:gid``. Raises ValueError."""
    uid, colon, gid = text.partition(":")
    if colon:
        if not all(each.isdecimal() and len(each) < 11 for each in (uid, gid)):
            raise ValueError(f'{text!r} is not of the form "uid:gid"')
        if max(int(uid), int(gid)) >= NOBODY:
            raise ValueError(f"{text!r} is beyond the largest number of a user")
        return _numeric(int(uid), int(gid))
    try:
        entry = pwd.getpwnam(text)
    except (KeyError, ValueError):
        raise ValueError(f"no such user: {text!r}") from None
    return _from_entry(entry, entry.pw_gid)


def _numeric(uid: int, gid: int) -> Identity:
    try:
        return _from_entry(pwd.getpwuid(uid), gid)
    except KeyError:
        # Containers often run as a number that no file knows.
        return Identity(uid, gid, (gid,), str(uid), Path("/"))


def _from_entry(entry: pwd.struct_passwd, gid: int) -> Identity:
    groups = tuple(sorted({gid, *os.getgrouplist(entry.pw_name, gid)}))
    return Identity(entry.pw_uid, gid, groups, entry.pw_name, Path(entry.pw_dir or "/"))


def check_rights() -> None:
    """Raise ValueError unless this process can start programs as another user."""
    if shutil.which("setpriv") is None:
        raise ValueError("setpriv (util-linux) is not installed")
    line = next(
        line for line in read("/proc/self/status").splitlines() if line.startswith(b"CapEff:")
    )
    held = int(line.split()[1], 16)
    lacking = [name for name, number in CAPABILITIES.items() if not held >> number & 1]
    if lacking:
        raise ValueError(f"needs root or the capabilities it lacks: {', '.join(lacking)}")
