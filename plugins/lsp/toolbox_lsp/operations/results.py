"""Decoding the results of servers, which may be anything."""

from __future__ import annotations

from typing import Any
from typing import TypeVar

import msgspec

from toolbox.request import prepare
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.models import Location
from toolbox_lsp.models import Range
from toolbox_lsp.server.language_server import LanguageServer

T = TypeVar("T")


class _Link(msgspec.Struct, frozen=True, rename="camel"):
    """LocationLink."""

    target_uri: str
    target_selection_range: Range


prepare(Location)
prepare(_Link)


def convert(value: Any, kind: type[T], server: LanguageServer) -> T:
    """Return ``value`` as ``kind``. Raises ServerFailed if it isn't one."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ServerFailed(f"{server.name} returned an invalid result: {error}") from None


def convert_locations(value: Any, server: LanguageServer) -> list[Location]:
    """Return the locations in ``value``: one, several, links or null."""
    # One location may come without its list.
    values = value if isinstance(value, list) else [value] if value else []
    return [_location(value, server) for value in values]


def _location(value: Any, server: LanguageServer) -> Location:
    if isinstance(value, dict) and "targetUri" in value:
        link = convert(value, _Link, server)
        return Location(link.target_uri, link.target_selection_range)
    return convert(value, Location, server)
