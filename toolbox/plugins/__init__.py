"""Plugins and backends: what a plugin offers, what became of it, and what is in use.

:mod:`toolbox.plugins.discovery` finds and imports them.
"""

from __future__ import annotations

import importlib
import shutil
from typing import Any
from typing import Literal

import msgspec
import pluggy

from toolbox import hookspecs
from toolbox.group import Group
from toolbox.group import Operation
from toolbox.settings import NoSettings

__all__ = [
    "BackendReport",
    "BackendSpec",
    "CommandSpec",
    "NoSettings",
    "PluginReport",
    "Registry",
    "ServedGroup",
]


class BackendSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One implementation of a group's Protocol.

    ``target`` is ``"package.module:Class"``. The class is called with ``(settings, context)``: the
    struct read from the table ``[<group>.<name>]`` and a :class:`toolbox.lifecycle.Context`.
    :mod:`toolbox.plugins.capabilities` lists the methods that a backend may have beside those of
    the Protocol. ``requires`` names programs that it runs; operators see which are missing.
    """

    group: str
    name: str
    target: str
    summary: str = ""
    settings: type[msgspec.Struct] = NoSettings
    requires: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Return the required programs that are not on PATH."""
        return [program for program in self.requires if shutil.which(program) is None]

    def load(self) -> type[Any]:
        """Import the class."""
        module, _, name = self.target.partition(":")
        loaded: type[Any] = getattr(importlib.import_module(module), name)
        return loaded


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A subcommand of ``toolbox``.

    ``target`` is ``"package.module:function"``. The function is called with the arguments after
    the command's name, a list of texts, and returns the exit status: 0 for success, 2 for a
    mistake that the caller can fix. It may exit, as argparse does.
    """

    name: str
    target: str
    summary: str
    """One sentence for ``toolbox --help``."""

    def run(self, arguments: list[str]) -> int:
        """Import the function and call it."""
        module, _, name = self.target.partition(":")
        status: int = getattr(importlib.import_module(module), name)(arguments)
        return status


class PluginReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state of one installed plugin."""

    name: str
    status: Literal["enabled", "disabled", "failed"]
    distribution: str = ""
    version: str = ""
    reason: str = ""
    group: str = ""
    backend: str = ""
    backends: list[BackendReport] = []
    authenticator: bool = False
    """True if it offers an authenticator: ``[auth] mode = "plugin"`` uses it."""
    idle: str = ""
    """The reason why the backend in use does nothing although it is enabled."""
    details: dict[str, str] = {}
    """Texts that the backend in use reports about itself once it runs."""


class BackendReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One backend that can serve a group."""

    name: str
    summary: str = ""
    plugin: str = ""
    missing: list[str] = []


class ServedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group with the backend chosen for it, and the settings of both."""

    plugin: str
    group: Group
    backend: BackendSpec
    backend_class: type[Any]
    group_settings: msgspec.Struct
    backend_settings: msgspec.Struct


class Registry:
    """The plugins in use."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("toolbox")
        self.manager.add_hookspecs(hookspecs)
        self.reports: list[PluginReport] = []
        self.served: list[ServedGroup] = []

    @property
    def hook(self) -> Any:
        """The caller of hooks: each call reaches every plugin in use."""
        return self.manager.hook

    def operations(self) -> list[Operation]:
        """Return every operation of every group in use."""
        return [operation for served in self.served for operation in served.group.operations]
