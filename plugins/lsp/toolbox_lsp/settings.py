"""The options of the group, and the specification of a language server."""

from __future__ import annotations

from typing import Annotated
from typing import Any

import msgspec
from msgspec import Meta

from toolbox.settings.bounds import BELOW_THREADS


class LanguageServerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A language server: ``[lsp.servers.<language>]``, or one that another plugin offers.

    Empty fields are taken from the built-in entry of the language, if it has one; its
    ``initialization_options`` and ``settings`` only if ``command`` is empty too, as they are meant
    for that program.
    """

    command: list[str] = []
    """Program and arguments; it must speak LSP on its standard streams."""
    extensions: list[str] = []
    """File name extensions of the language, such as ``.py``."""
    language_ids: dict[str, str] = {}
    """Language ids of the protocol by extension, where they aren't the language's name."""
    initialization_options: dict[str, Any] = {}
    """``initializationOptions`` of the initialize request."""
    settings: dict[str, Any] = {}
    """The server's configuration, by section (``workspace/configuration``)."""
    install: str = ""
    """A hint for people on how to install it."""


class LspSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the group ``lsp``."""

    servers: Annotated[
        dict[str, LanguageServerSpec],
        Meta(
            description="Servers in addition to or instead of the built-in ones, as tables "
            "[lsp.servers.<language>] with command, extensions, language_ids, "
            "initialization_options, settings and install."
        ),
    ] = {}
    request_timeout: Annotated[
        float, Meta(gt=0, description="Seconds a language server may take to respond.")
    ] = 30.0
    start_timeout: Annotated[
        float, Meta(gt=0, description="Seconds a language server may take to start.")
    ] = 60.0
    idle_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds without a request after which a language server is stopped; the "
            "next request restarts it with its documents.",
        ),
    ] = 1800.0
    max_running: Annotated[
        int,
        Meta(ge=1, description="Maximum language servers; one more stops the one idle longest."),
    ] = 8
    max_waiting: Annotated[
        int,
        Meta(
            ge=1,
            description="Maximum requests that wait for language servers; must be well below "
            "server.threads, to leave threads for other requests; the default is lowered to fit.",
            extra=BELOW_THREADS,
        ),
    ] = 64
