"""Discovery of the installed plugins, and the choice of a backend for each group.

The entry points of the group ``toolbox.plugins`` are walked here rather than by pluggy, so that a
disabled plugin is never imported and a broken one becomes a line in a report instead of ending the
service.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from importlib.metadata import PackageNotFoundError
from importlib.metadata import entry_points
from importlib.metadata import metadata
from typing import Any

from toolbox.group import Group
from toolbox.plugins import BackendReport
from toolbox.plugins import BackendSpec
from toolbox.plugins import PluginReport
from toolbox.plugins import Registry
from toolbox.plugins import ServedGroup
from toolbox.plugins.capabilities import HasCheck
from toolbox.plugins.capabilities import HasIdle
from toolbox.plugins.conformance import lacking
from toolbox.plugins.conformance import refuse_incomplete
from toolbox.plugins.former_names import ENTRY_POINTS as FORMER_NAMES
from toolbox.plugins.former_names import find_former_names
from toolbox.plugins.former_names import move_sections
from toolbox.plugins.former_names import with_current_names
from toolbox.plugins.root_ports import shared_ports
from toolbox.settings import CORE_SECTIONS
from toolbox.settings import PluginSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import nearest
from toolbox.settings.bounds import bounded
from toolbox.settings.values import Problems

ENTRY_POINTS = "toolbox.plugins"

log = logging.getLogger("toolbox")


def discover(settings: PluginSettings, values: Values) -> Registry:
    """Import and register the plugins that ``settings`` allow, and choose their backends.

    ``values`` get the current names of plugins that were renamed
    (:mod:`toolbox.plugins.former_names`). Raises SettingsError, with every mistake, if a plugin
    named in ``enable`` can't be used or if the settings name something that does not exist or give
    it a value it can't have.
    """
    registry = Registry()
    points = entry_points()  # Once: it reads a file of each distribution.
    found = sorted(points.select(group=ENTRY_POINTS), key=lambda point: point.name)
    names = [point.name for point in found]
    former = find_former_names(names, points.select(group=FORMER_NAMES))
    settings = with_current_names(settings, former)
    move_sections(values, former)
    offers: dict[str, list[tuple[str, BackendSpec]]] = {}
    groups: dict[str, tuple[PluginReport, Group]] = {}
    with Problems() as problems:
        problems.found += _wrong_names(settings, names)
        for point in found:
            _add(registry, point, settings, groups, offers)
        # Only now: a group may be served by the backend of a plugin that sorts after its own.
        for name, (report, group) in sorted(groups.items()):
            with problems.noted():
                _try(registry, report, _serve, group, offers.get(name, []), values)
        problems.found += shared_ports(registry.served)
        problems.found += _wrong_enabled(settings, registry)
        sections = [group.section for _, group in groups.values()]
        problems.found += _wrong_sections(values, [*CORE_SECTIONS, *sections], names)
    return registry


def _add(
    registry: Registry,
    point: EntryPoint,
    settings: PluginSettings,
    groups: dict[str, tuple[PluginReport, Group]],
    offers: dict[str, list[tuple[str, BackendSpec]]],
) -> None:
    """Import a plugin, if it is wanted, and record its groups and backends."""
    report = _report(point)
    registry.reports.append(report)
    if is_wanted(point.name, settings):
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
        # Whatever a third party's module raises: the plugin fails, not the service.
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
            # No error, since images may share settings, but perhaps a typo.
            log.warning("plugins.disable names %r, which is not installed", name)


def is_wanted(name: str, settings: PluginSettings) -> bool:
    """Report whether the settings allow a plugin to be imported."""
    if settings.enable:
        return name in settings.enable
    return name not in settings.disable


def _report(point: EntryPoint) -> PluginReport:
    # Once: each look parses the file.
    named = point.dist.metadata if point.dist else {"Name": "", "Version": ""}
    return PluginReport(
        name=point.name,
        status="enabled",
        distribution=named["Name"],
        version=named["Version"],
    )


def _register(
    registry: Registry,
    report: PluginReport,
    point: EntryPoint,
    groups: dict[str, tuple[PluginReport, Group]],
    offers: dict[str, list[tuple[str, BackendSpec]]],
) -> None:
    if registry.manager.has_plugin(point.name):
        raise ValueError(f"another installed plugin has the name {point.name!r}")
    module = point.load()
    registry.manager.register(module, name=point.name)
    registry.manager.check_pending()
    # Hooks of this plugin alone, so that what fails is known to be its fault.
    others = [other for other in registry.manager.get_plugins() if other is not module]
    call = registry.manager.subset_hook_caller
    made: list[Group] = call("toolbox_group", others)()
    backends = [backend for some in call("toolbox_backends", others)() for backend in some]
    report.authenticator = bool(call("toolbox_authenticator", others).get_hookimpls())
    for group in made:
        if group.name in groups:
            raise ValueError(f"the group name {group.name!r} is taken")
        sections = [other.section for _, other in groups.values()]
        if group.section in (*CORE_SECTIONS, *sections):
            raise ValueError(f"the settings section [{group.section}] is taken")
    for backend in backends:
        if any(other.name == backend.name for _, other in offers.get(backend.group, [])):
            raise ValueError(f"{backend.group} already has a backend {backend.name!r}")
    for group in made:
        groups[group.name] = (report, group)
        report.group = group.name
    for backend in backends:
        offers.setdefault(backend.group, []).append((point.name, backend))


def _serve(
    registry: Registry,
    report: PluginReport,
    group: Group,
    offers: list[tuple[str, BackendSpec]],
    values: Values,
) -> None:
    """Choose the backend of ``group``, import it and read its settings."""
    report.backends = [
        BackendReport(
            name=backend.name, summary=backend.summary, plugin=plugin, missing=backend.missing()
        )
        for plugin, backend in offers
    ]
    by_name = {backend.name: backend for _, backend in offers}
    chosen, where = _choose(group, by_name, values)
    report.backend = chosen
    group_settings, settings = _read_settings(group, by_name, values)
    backend_class: Any = _load(by_name[chosen], where)
    name = f"{values.source((group.section, 'backend'))}: {group.section}.backend"
    refuse_incomplete(name, chosen, lacking(backend_class, group.backend))
    if isinstance(backend_class, HasCheck):
        backend_class.check(settings[chosen])
    if isinstance(backend_class, HasIdle):
        report.idle = backend_class.idle(settings[chosen], group_settings)
    registry.served.append(
        ServedGroup(
            plugin=report.name,
            group=group,
            backend=by_name[chosen],
            backend_class=backend_class,
            group_settings=group_settings,
            backend_settings=settings[chosen],
        )
    )


def _choose(group: Group, by_name: dict[str, BackendSpec], values: Values) -> tuple[str, str]:
    """Return the name of the group's backend, and the setting that names it or an empty string."""
    section = group.section
    table = values.tree.get(section, {})
    source = values.source((section, "backend"))
    if not isinstance(table, dict):
        raise SettingsError(f"{values.source((section,))}: {section} must be a table")
    chosen = table.get("backend", group.default_backend)
    if chosen not in by_name:
        raise SettingsError(
            f"{source}: {section}.backend: no backend {chosen!r}"
            f" is installed{nearest(str(chosen), list(by_name))}"
        )
    return chosen, f"{source}: {section}.backend" if "backend" in table else ""


def _read_settings(
    group: Group, by_name: dict[str, BackendSpec], values: Values
) -> tuple[Any, dict[str, Any]]:
    """Return the group's settings, and those of each backend by its name."""
    section = group.section
    with Problems() as problems:
        with problems.noted():
            of_group = values.section((section,), group.settings, frozenset({"backend", *by_name}))
            group_settings = bounded(values, section, of_group)
        settings = {}
        # Those of the others too: a mistake in them would show only once they are chosen.
        for name, backend in by_name.items():
            with problems.noted():
                settings[name] = values.section((section, name), backend.settings)
    return group_settings, settings


def _load(backend: BackendSpec, where: str) -> type[Any]:
    """Import a backend.

    Raises SettingsError if ``where`` is not empty, which is the setting that names the backend;
    for a default backend, whatever its module raises.
    """
    try:
        return backend.load()
    except Exception as error:
        if not where:
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        message = f"{where}: {backend.name!r} can't be imported: {reason}"
        raise SettingsError(message) from error


def _failed(registry: Registry, report: PluginReport, error: Exception) -> None:
    report.status = "failed"
    report.reason = f"{type(error).__name__}: {error}".splitlines()[0]
    log.error("plugin %s failed: %s", report.name, report.reason, exc_info=error)
    plugin = registry.manager.get_plugin(report.name)
    # Of two plugins with one name the first stays.
    if plugin is not None and not any(
        other.name == report.name and other is not report and other.status == "enabled"
        for other in registry.reports
    ):
        registry.manager.unregister(plugin)


def _wrong_enabled(settings: PluginSettings, registry: Registry) -> Iterator[str]:
    for report in registry.reports:
        if report.name in settings.enable and report.status == "failed":
            yield f"plugin {report.name!r} can't be used: {report.reason}"


def _extras() -> Collection[str]:
    """Return the names of the groups that exist, installed or not: each is an extra of the core."""
    try:
        return metadata("sandbox-toolbox").get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return []


def _wrong_sections(values: Values, known: list[str], plugins: list[str]) -> Iterator[str]:
    """Yield a line for each section without an owner, which would silently have no effect.

    A section of a plugin that is not in use, or of one of ours that is not installed, is accepted.
    """
    for section in values.tree:
        if section in known or section in plugins:
            continue
        if section in _extras():
            # Images that leave a group out share the settings of those that have it.
            log.info("[%s]: the group is not installed", section)
        else:
            hint = nearest(section, [*known, *plugins])
            yield f"{values.source((section,))}: unknown section [{section}]{hint}"
