"""The user that a request is for: everything here runs as the service's own."""

from __future__ import annotations

import base64
import binascii
import functools
import os
import pwd

from toolbox.request import RequestInfo
from toolbox_e2b.errors import OtherUser

DEFAULT = "user"
"""The name of a sandbox's ordinary user at E2B. Here it stands for the service's, whoever it is."""


def user_of(request: RequestInfo) -> str:
    """Return the user that the header ``Authorization`` names, empty for none: ``Basic user:``."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    # A value that is no name asks for nobody in particular.
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def check_user(name: str) -> None:
    """Raise OtherUser unless ``name`` is that of the service's user, or stands for it."""
    if name not in ("", DEFAULT, own_name()):
        raise OtherUser(f"user {name[:64]!r} is another than {own_name()!r}, as which this runs")


@functools.cache
def own_name() -> str:
    """Return the name of the service's user, or its number if it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
