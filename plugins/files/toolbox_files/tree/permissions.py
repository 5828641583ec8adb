"""Changing modes, owners and groups."""

from __future__ import annotations

import grp
import os
import pwd
import re
from pathlib import Path

from toolbox.errors import BadRequest

_MAX_ID = 2**32 - 2
"""The largest user or group id; the next one, -1, means "no change" (chown(2))."""


def parse_mode(text: str) -> int:
    """Return permission bits from octal digits: ``755``, ``0755``, ``4755``. Raises BadRequest."""
    if not re.fullmatch("0*[0-7]{1,4}", text, re.ASCII):
        raise BadRequest(f"invalid mode: {text!r} is not 1 to 4 octal digits")
    return int(text, 8)


def find_user(text: str) -> int:
    """Return the id of a user given by number or name. Raises BadRequest."""
    try:
        return _number(text) if text.isdecimal() else pwd.getpwnam(text).pw_uid
    except (KeyError, ValueError):
        raise BadRequest(f"unknown owner: {text!r}") from None


def find_group(text: str) -> int:
    """Return the id of a group given by number or name. Raises BadRequest."""
    try:
        return _number(text) if text.isdecimal() else grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        raise BadRequest(f"unknown group: {text!r}") from None


def _number(text: str) -> int:
    number = int(text)
    if number > _MAX_ID:
        raise ValueError
    return number


def set_permissions(path: Path, mode: str, owner: str, group: str) -> None:
    """Change the mode, owner and group that aren't empty; links are followed.

    All three are checked before anything changes. Raises OSError, BadRequest.
    """
    # A missing file is reported before invalid values.
    path.stat()
    bits = parse_mode(mode) if mode else None
    user_id = find_user(owner) if owner else -1
    group_id = find_group(group) if group else -1
    if user_id != -1 or group_id != -1:
        os.chown(path, user_id, group_id)
    if bits is not None:
        # After the owner: chown(2) clears the set-id bits.
        path.chmod(bits)
