"""Discovery: which plugins are installed, which of them are used, and which backend serves a group.

The entry points of the group ``toolbox.plugins`` are walked here rather than by pluggy, so that a
disabled plugin is never imported and a broken one is a line in a report instead of the end.
"""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import Any
from typing import Literal

import msgspec
import pluggy

from toolbox import hookspecs
from toolbox.bounds import bounded
from toolbox.group import Group
from toolbox.protocols import lacking
from toolbox.settings import CORE_SECTIONS
from toolbox.settings import PluginSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import nearest
from toolbox.values import Problems

ENTRY_POINTS = "toolbox.plugins"

log = logging.getLogger("toolbox")


class NoSettings(msgspec.Struct, frozen=True):
    """For a group or backend that has no options."""


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One implementation of a group's Protocol.

    ``target`` is ``"package.module:Class"``. The class is made with ``(settings, context)``: the
    struct of its table ``[<group>.<name>]`` and a :class:`toolbox.lifecycle.Context`. If it has
    ``close()``, that is called at the end. ``requires`` names programs it runs; operators are
    shown which of them are missing, and what its ``details()`` returns, if it has that, and what
    its ``idle()`` returns: why it does nothing as it is set, or an empty string. If it has
    ``figures()``, metrics are made of the ``dict[str, float]`` of what it has right now.
    """

    group: str
    name: str
    target: str
    summary: str = ""
    settings: type[msgspec.Struct] = NoSettings
    requires: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """The required programs that are not on PATH."""
        return [program for program in self.requires if shutil.which(program) is None]

    def load(self) -> type[Any]:
        """Import the class."""
        module, _, name = self.target.partition(":")
        loaded: type[Any] = getattr(importlib.import_module(module), name)
        return loaded


class PluginReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one plugin."""

    name: str
    status: Literal["enabled", "disabled", "failed"]
    distribution: str = ""
    version: str = ""
    reason: str = ""
    group: str = ""
    backend: str = ""
    backends: list[BackendReport] = []
    idle: str = ""
    """Why the backend in use does nothing, though it is enabled: ``idle()``, if it has that."""
    details: dict[str, str] = {}
    """What the backend in use tells of itself, once it runs: ``details()``, if it has that."""


class BackendReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One backend that could serve a group."""

    name: str
    summary: str = ""
    plugin: str = ""
    missing: list[str] = []


class ServedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group with the backend chosen for it, and the typed settings of both."""

    plugin: str
    group: Group
    backend: Backend
    backend_class: type[Any]
    options: msgspec.Struct
    settings: msgspec.Struct


class Registry:
    """The plugins in use."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("toolbox")
        self.manager.add_hookspecs(hookspecs)
        self.reports: list[PluginReport] = []
        self.served: list[ServedGroup] = []

    @property
    def hook(self) -> Any:
        """Calls a hook of every plugin in use."""
        return self.manager.hook

    def operations(self) -> list[Any]:
        """Every operation of every group in use."""
        return [operation for served in self.served for operation in served.group.operations]


def discover(settings: PluginSettings, values: Values) -> Registry:
    """Import and register the plugins that ``settings`` lets in, and choose their backends.

    Raises SettingsError if a plugin named in ``enable`` can't be used, or if the settings name
    something that is not there, or set it to what it can't be: with all of that.
    """
    registry = Registry()
    found = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    names = [point.name for point in found]
    offers: dict[str, list[tuple[str, Backend]]] = {}
    groups: dict[str, tuple[PluginReport, Group]] = {}
    with Problems() as problems:
        problems.found += _wrong_names(settings, names)
        for point in found:
            _take(registry, point, settings, groups, offers)
        for name, (report, group) in sorted(groups.items()):
            with problems.noted():
                _try(registry, report, _serve, group, offers.get(name, []), values)
        problems.found += _wrong_enabled(settings, registry)
        sections = [group.section for _, group in groups.values()]
        problems.found += _wrong_sections(values, [*CORE_SECTIONS, *sections], names)
    return registry


def _take(
    registry: Registry,
    point: EntryPoint,
    settings: PluginSettings,
    groups: dict[str, tuple[PluginReport, Group]],
    offers: dict[str, list[tuple[str, Backend]]],
) -> None:
    """Import a plugin, if it is wanted, and note what it brings."""
    report = _report(point)
    registry.reports.append(report)
    if _wanted(point.name, settings):
        _try(registry, report, _register, point, groups, offers)
    else:
        report.status = "disabled"


def _try(
    registry: Registry, report: PluginReport, step: Callable[..., None], *arguments: Any
) -> None:
    try:
        step(registry, report, *arguments)
    except SettingsError:
        raise
    except Exception as error:
        # Whatever a stranger's module raises: it is its failure, not the service's.
        _failed(registry, report, error)


def _wrong_names(settings: PluginSettings, names: list[str]) -> Iterator[str]:
    for name in settings.enable:
        if name not in names:
            hint = nearest(name, names)
            yield f"plugins.enable names {name!r}, which is not installed{hint}"
        if name in settings.disable:
            yield f"plugins.enable and plugins.disable both name {name!r}"
    for name in settings.disable:
        if name not in names:
            # Settings may be shared by images, so it is no error, but it may be a slip.
            log.warning("plugins.disable names %r, which is not installed", name)


def _wanted(name: str, settings: PluginSettings) -> bool:
    if settings.enable:
        return name in settings.enable
    return name not in settings.disable


def _report(point: EntryPoint) -> PluginReport:
    return PluginReport(
        name=point.name,
        status="enabled",
        distribution=point.dist.name if point.dist else "",
        version=point.dist.version if point.dist else "",
    )


def _register(
    registry: Registry,
    report: PluginReport,
    point: EntryPoint,
    groups: dict[str, tuple[PluginReport, Group]],
    offers: dict[str, list[tuple[str, Backend]]],
) -> None:
    if registry.manager.has_plugin(point.name):
        raise ValueError(f"another installed plugin has the name {point.name!r}")
    module = point.load()
    registry.manager.register(module, name=point.name)
    registry.manager.check_pending()
    others = [each for each in registry.manager.get_plugins() if each is not module]
    call = registry.manager.subset_hook_caller
    made: list[Group] = call("toolbox_group", others)()
    backends = [backend for some in call("toolbox_backends", others)() for backend in some]
    for group in made:
        if group.name in groups:
            raise ValueError(f"the group name {group.name!r} is taken")
        sections = [other.section for _, other in groups.values()]
        if group.section in (*CORE_SECTIONS, *sections):
            raise ValueError(f"the settings section [{group.section}] is taken")
    for backend in backends:
        if any(other.name == backend.name for _, other in offers.get(backend.group, [])):
            raise ValueError(f"{backend.group} has a backend {backend.name!r} already")
    for group in made:
        groups[group.name] = (report, group)
        report.group = group.name
    for backend in backends:
        offers.setdefault(backend.group, []).append((point.name, backend))


def _serve(
    registry: Registry,
    report: PluginReport,
    group: Group,
    offers: list[tuple[str, Backend]],
    values: Values,
) -> None:
    """Choose the backend of ``group``, import it and type its settings."""
    report.backends = [
        BackendReport(
            name=backend.name, summary=backend.summary, plugin=plugin, missing=backend.missing()
        )
        for plugin, backend in offers
    ]
    by_name = {backend.name: backend for _, backend in offers}
    section = group.section
    table = values.tree.get(section, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{values.source((section,))}: {section} must be a table")
    chosen = table.get("backend", group.default_backend)
    if chosen not in by_name:
        raise SettingsError(
            f"{values.source((section, 'backend'))}: {section}.backend: no backend {chosen!r}"
            f" is installed{nearest(str(chosen), list(by_name))}"
        )
    report.backend = chosen
    with Problems() as problems:
        with problems.noted():
            skip = frozenset({"backend", *by_name})
            options = bounded(values, section, values.section((section,), group.settings, skip))
        tables = {}
        for name, backend in by_name.items():
            with problems.noted():
                tables[name] = values.section((section, name), backend.settings)
    where = f"{values.source((section, 'backend'))}: {section}.backend"
    kind = _load(by_name[chosen], where if "backend" in table else "")
    refuse_lacking(where, chosen, lacking(kind, group.backend))
    registry.served.append(
        ServedGroup(
            plugin=report.name,
            group=group,
            backend=by_name[chosen],
            backend_class=kind,
            options=options,
            settings=tables[chosen],
        )
    )


def _load(backend: Backend, where: str) -> type[Any]:
    """Import a backend. One that the settings name, at ``where``, must be there: SettingsError;
    the default one fails with whatever it raises.
    """
    try:
        return backend.load()
    except Exception as error:
        if not where:
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        message = f"{where}: {backend.name!r} can't be imported: {reason}"
        raise SettingsError(message) from error


def refuse_lacking(where: str, backend: str, lacks: list[str]) -> None:
    """Raises SettingsError if a backend lacks something: each call of it would be a failure."""
    if lacks:
        raise SettingsError(f"{where}: {backend!r} is incomplete, it lacks {', '.join(lacks)}")


def _failed(registry: Registry, report: PluginReport, error: Exception) -> None:
    report.status = "failed"
    report.reason = f"{type(error).__name__}: {error}".splitlines()[0]
    log.error("plugin %s failed: %s", report.name, report.reason, exc_info=error)
    plugin = registry.manager.get_plugin(report.name)
    if plugin is not None and not any(
        other.name == report.name and other is not report and other.status == "enabled"
        for other in registry.reports
    ):
        registry.manager.unregister(plugin)


def _wrong_enabled(settings: PluginSettings, registry: Registry) -> Iterator[str]:
    for report in registry.reports:
        if report.name in settings.enable and report.status == "failed":
            yield f"plugin {report.name!r} can't be used: {report.reason}"


def _wrong_sections(values: Values, known: list[str], plugins: list[str]) -> Iterator[str]:
    """Sections that belong to nothing: a misspelt one would be silently without effect. One of a
    plugin that is installed and not in use is fine.
    """
    for section in values.tree:
        if section not in known and section not in plugins:
            hint = nearest(section, [*known, *plugins])
            yield f"{values.source((section,))}: unknown section [{section}]{hint}"
