"""The settings of the group ``mcp``: ``[mcp]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class McpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The tools on offer, and the bounds of their results."""

    tools: Annotated[
        list[str],
        Meta(description='Names of the tools to offer, such as "git_*"; empty for all.'),
    ] = []
    deny: Annotated[
        list[str], Meta(description="Names of tools that are not offered, as in tools.")
    ] = []
    read_only: Annotated[
        bool, Meta(description="Offer only tools that change nothing; none of them runs commands.")
    ] = False
    max_text: Annotated[
        int,
        Meta(
            ge=1000,
            description="Bytes of text in one result; the rest is left out, with a note.",
        ),
    ] = 100_000
    max_output: Annotated[
        int,
        Meta(
            ge=1000,
            description="Bytes of a command's output in one result, half of them its end; all of "
            "a longer one is in a file.",
        ),
    ] = 30_000
    max_media: Annotated[
        int, Meta(ge=1000, description="Bytes of the largest image or other file in a result.")
    ] = 5 * 1024 * 1024
    max_message: Annotated[
        int, Meta(ge=1000, description="Bytes of the largest message of a client.")
    ] = 16 * 1024 * 1024
    log_dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="Directory for the full output of commands that printed more than fits "
            "into a result.",
        ),
    ] = "/tmp/toolbox-mcp"
