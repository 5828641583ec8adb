"""The language servers of each language: built-in, of other plugins, and of the settings.

Another plugin adds a server by an entry point of the group ``toolbox_lsp.servers``: its name is
the language, its value a :class:`~toolbox_lsp.settings.LanguageServerSpec`::

    [options.entry_points]
    toolbox_lsp.servers =
        zig = my_package:ZLS

It is not a hook of the core, because the core knows no API group.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points

import msgspec

from toolbox.processes import environment
from toolbox.settings import nearest
from toolbox_lsp.errors import LanguageUnsupported
from toolbox_lsp.errors import ServerNotInstalled
from toolbox_lsp.settings import LanguageServerSpec

ENTRY_POINTS = "toolbox_lsp.servers"

log = logging.getLogger("toolbox")

_SCRIPT_IDS = {
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "typescriptreact",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".jsx": "javascriptreact",
}


def _python(install: str, *command: str) -> LanguageServerSpec:
    return LanguageServerSpec(command=[*command], extensions=[".py", ".pyi"], install=install)


def _script(*extensions: str) -> LanguageServerSpec:
    return LanguageServerSpec(
        command=["typescript-language-server", "--stdio"],
        extensions=[*extensions],
        language_ids=_SCRIPT_IDS,
        # Else it downloads type declarations of the project's dependencies in the background.
        initialization_options={
            "disableAutomaticTypingAcquisition": True,
            # Its own file watching lags behind; our notifications precede our requests.
            "tsserver": {"useSyntaxServer": "never", "useClientFileWatcher": True},
        },
        # TypeScript 7 no longer includes tsserver, which this server runs.
        install="npm install -g typescript-language-server typescript@5",
    )


def _clangd(*extensions: str) -> LanguageServerSpec:
    return LanguageServerSpec(
        command=["clangd"],
        extensions=[*extensions],
        language_ids={".c": "c"},
        install="apt install clangd",
    )


BUILT_IN: dict[str, tuple[LanguageServerSpec, ...]] = {
    "python": (
        _python("pip install python-lsp-server", "pylsp"),
        _python("pip install basedpyright", "basedpyright-langserver", "--stdio"),
        _python("pip install pyright", "pyright-langserver", "--stdio"),
        _python("pip install jedi-language-server", "jedi-language-server"),
    ),
    "typescript": (_script(".ts", ".tsx", ".mts", ".cts"),),
    "javascript": (_script(".js", ".jsx", ".mjs", ".cjs"),),
    "go": (
        LanguageServerSpec(
            command=["gopls"],
            extensions=[".go"],
            install="go install golang.org/x/tools/gopls@latest",
        ),
    ),
    "rust": (
        LanguageServerSpec(
            command=["rust-analyzer"],
            extensions=[".rs"],
            install="rustup component add rust-analyzer",
        ),
    ),
    "c": (_clangd(".c", ".h"),),
    "cpp": (_clangd(".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h", ".ipp"),),
    "java": (
        LanguageServerSpec(
            command=["jdtls"],
            extensions=[".java"],
            install="put jdtls of Eclipse JDT Language Server on PATH",
        ),
    ),
}
"""The known servers of each language; the first one that is installed is used."""


class Catalog:
    """The servers of all languages. ``configured`` override other plugins', those the built-in."""

    def __init__(self, configured: Mapping[str, LanguageServerSpec]) -> None:
        self._configured = configured

    @cached_property
    def _specs(self) -> dict[str, tuple[LanguageServerSpec, ...]]:
        # Once it is asked for: to look through all installed distributions takes 10 ms.
        offered, configured = _plugin_servers(), self._configured
        names = sorted({*BUILT_IN, *offered, *configured})
        return {name: _candidates(name, offered.get(name), configured.get(name)) for name in names}

    def find(self, language: str) -> LanguageServerSpec:
        """Return the server of ``language``. Raises LanguageUnsupported, ServerNotInstalled."""
        candidates = self._specs.get(language)
        if not candidates:
            hint = nearest(language, list(self._specs))
            raise LanguageUnsupported(f"unsupported language: {language!r}{hint}")
        for spec in candidates:
            if _installed(spec):
                return spec
        raise ServerNotInstalled(
            f"no language server for {language} is installed: {_missing(candidates)}"
        )

    def servers(self) -> dict[str, str]:
        """Return for each language the program that would be used, or the missing ones."""
        return {
            language: next(
                (spec.command[0] for spec in candidates if _installed(spec)),
                f"missing: {_missing(candidates)}",
            )
            for language, candidates in self._specs.items()
            if candidates
        }


def _candidates(
    language: str, offered: LanguageServerSpec | None, configured: LanguageServerSpec | None
) -> tuple[LanguageServerSpec, ...]:
    candidates = BUILT_IN.get(language, ())
    for spec in (offered, configured):
        if spec is not None:
            candidates = _overlay(spec, candidates)
    return tuple(spec for spec in candidates if spec.command)


def _overlay(
    spec: LanguageServerSpec, below: tuple[LanguageServerSpec, ...]
) -> tuple[LanguageServerSpec, ...]:
    """Return ``spec`` with its empty fields taken from each of ``below``."""
    if not below:
        return (spec,)
    # Another program keeps what belongs to the language, not to the built-in program.
    inherited = ("extensions", "language_ids")
    if not spec.command:
        inherited = spec.__struct_fields__  # type: ignore[assignment]
    merged = [
        msgspec.structs.replace(
            spec, **{name: getattr(spec, name) or getattr(base, name) for name in inherited}
        )
        for base in below
    ]
    return tuple(merged[:1] if spec.command else merged)


def _installed(spec: LanguageServerSpec) -> bool:
    # The PATH with which the server will be started.
    return shutil.which(spec.command[0], path=environment().get("PATH")) is not None


def _missing(candidates: tuple[LanguageServerSpec, ...]) -> str:
    programs = " or ".join(spec.command[0] for spec in candidates)
    hint = candidates[0].install
    return f"{programs} not found on PATH" + (f"; to install: {hint}" if hint else "")


def _plugin_servers() -> dict[str, LanguageServerSpec]:
    """Return the servers that other plugins offer; log one that can't be loaded."""
    found: dict[str, LanguageServerSpec] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            spec = point.load()
            if not isinstance(spec, LanguageServerSpec):
                raise TypeError(f"{point.value} is not a LanguageServerSpec")
        except Exception as error:
            # Other people's modules may raise anything; the other languages must still work.
            log.error("can't load the language server for %s: %s", point.name, error)
        else:
            found[point.name] = spec
    return found
