"""Conditional writes: only if the file is still the one the client knows (RFC 9110, 13)."""

from __future__ import annotations

import os

import msgspec
from werkzeug.http import parse_etags

from toolbox.conditions import check_unchanged
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
        self.check_etag(f'"{file_etag(info)}"' if info is not None else None)
        if info is not None:
            # A header that If-Match takes the place of (RFC 9110, 13.2.2).
            check_unchanged(file_etag(info), info.st_mtime, self.if_match, self.if_unmodified_since)

    def check_etag(self, etag: str | None) -> None:
        """``etag`` is of the file that is there, quoted. Raises PreconditionFailed."""
        if self.if_match and not _matches(self.if_match, etag):
            raise PreconditionFailed("the file has changed" if etag else "there is no such file")
        if self.if_none_match and _matches(self.if_none_match, etag):
            raise PreconditionFailed("the file is there already")


UNCONDITIONAL = Conditions()


def _matches(header: str, etag: str | None) -> bool:
    """By the strong comparison: the ETags of files are strong, and the content is replaced."""
    wanted = parse_etags(header)
    return etag is not None and (wanted.star_tag or wanted.is_strong(etag.strip('"')))
