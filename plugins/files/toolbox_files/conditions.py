"""Conditional writes: only if the file is still the one the client knows (RFC 9110, 13)."""

from __future__ import annotations

import os

import msgspec

from toolbox.conditions import check_unchanged
from toolbox.conditions import matches_weakly
from toolbox.errors import PreconditionFailed
from toolbox.response import file_etag


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Write only if the file's ETag is one of these (``*``: if there is one), or is none of them
    (``*``: if there is none), or if it hasn't been changed since.
    """

    if_match: str = msgspec.field(default="", name="If-Match")
    if_none_match: str = msgspec.field(default="", name="If-None-Match")
    if_unmodified_since: str = msgspec.field(default="", name="If-Unmodified-Since")

    def check(self, info: os.stat_result | None) -> None:
        """``info`` is of the file that is there, None if none is. Raises PreconditionFailed."""
        etag = file_etag(info) if info is not None else None
        modified = info.st_mtime if info is not None else 0.0
        check_unchanged(etag, modified, self.if_match, self.if_unmodified_since)
        if self.if_none_match and matches_weakly(self.if_none_match, etag):
            raise PreconditionFailed("the file is there already")


UNCONDITIONAL = Conditions()
