"""The options of the group, and how a language server is described."""

from __future__ import annotations

from typing import Annotated
from typing import Any

import msgspec
from msgspec import Meta

from toolbox.bounds import BELOW_THREADS


class LanguageServerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language server: ``[lsp.servers.<language>]``, or what another plugin offers.

    What is left empty is taken from the ready entry of the language, if it has one; its
    ``initialization_options`` and ``settings`` only if ``command`` is empty too, as they are meant
    for a certain program.
    """

    command: list[str] = []
    """Program and arguments; it speaks the Language Server Protocol over standard streams."""
    extensions: list[str] = []
    """File name endings of the language, as ``.py``."""
    language_ids: dict[str, str] = {}
    """The protocol's language id by file name ending, where it isn't the language's name."""
    initialization_options: dict[str, Any] = {}
    """``initializationOptions`` of the initialize request."""
    settings: dict[str, Any] = {}
    """What the server gets when it asks for its configuration, by section."""
    install: str = ""
    """How to install it, for people."""


class LspSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the group ``lsp``."""

    servers: Annotated[
        dict[str, LanguageServerSpec],
        Meta(
            description="Servers beside or instead of the ready ones, as tables "
            "[lsp.servers.<language>] with command, extensions, language_ids, "
            "initialization_options, settings and install."
        ),
    ] = {}
    request_timeout: Annotated[
        float, Meta(gt=0, description="Seconds a language server may take to answer.")
    ] = 30.0
    start_timeout: Annotated[float, Meta(gt=0, description="Seconds it may take to start.")] = 60.0
    idle_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds without a request after which its process is ended; the next "
            "request brings it back, with its documents.",
        ),
    ] = 1800.0
    max_running: Annotated[
        int,
        Meta(ge=1, description="Processes at once; for one more, the longest idle one is ended."),
    ] = 8
    max_waiting: Annotated[
        int,
        Meta(
            ge=1,
            description="Requests that may wait for language servers at once; must be well below "
            "server.threads, or nothing else is answered meanwhile; the default is lowered to fit.",
            extra=BELOW_THREADS,
        ),
    ] = 64
