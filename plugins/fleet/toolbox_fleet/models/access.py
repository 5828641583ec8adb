"""URLs and credentials on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_SIGNED = 7 * 24 * 3600
"""Seconds that a signed preview URL is valid at most."""


class ToolboxProxyUrl(msgspec.Struct, frozen=True):
    """The URL of the sandbox's own API, without ``/{id}``."""

    url: str


class SignedQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The time that a signed preview URL is valid."""

    expires_in_seconds: Annotated[int, Meta(ge=1, le=MAX_SIGNED)] = 60


class SignedPreviewUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A URL of a port that needs no other credential until it expires."""

    sandbox_id: str
    port: int
    token: str
    url: str


class PreviewUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The URL of a port, and the ``X-Daytona-Preview-Token`` for it."""

    sandbox_id: str
    url: str
    token: str
