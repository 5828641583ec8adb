"""Conditional writes: only if the file is still the one the client knows (RFC 9110, 13)."""

from __future__ import annotations

import os

import msgspec

from toolbox.errors import PreconditionFailed
from toolbox.http.conditions import check_unchanged
from toolbox.http.conditions import matches_weakly
from toolbox.response import file_etag


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Preconditions on the file's ETag and modification time; an empty field is no condition.

    ``*`` in ``if_match`` requires that the file exists, in ``if_none_match`` that it doesn't.
    """

    if_match: str = msgspec.field(default="", name="If-Match")
    if_none_match: str = msgspec.field(default="", name="If-None-Match")
    if_unmodified_since: str = msgspec.field(default="", name="If-Unmodified-Since")

    def check(self, info: os.stat_result | None) -> None:
        """Raise PreconditionFailed unless the file with ``info`` (None: no file) meets them."""
        if self == UNCONDITIONAL:
            return
        etag = file_etag(info) if info is not None else None
        modified = info.st_mtime if info is not None else 0.0
        check_unchanged(etag, modified, self.if_match, self.if_unmodified_since)
        # RFC 9110, 13.1.2: If-None-Match compares weakly.
        if self.if_none_match and matches_weakly(self.if_none_match, etag):
            raise PreconditionFailed("the file already exists")


UNCONDITIONAL = Conditions()
