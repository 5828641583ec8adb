"""Former names of plugins, under which settings still find them.

A plugin that was renamed declares its former name as an entry point of the group
``toolbox.former_names``, whose value is ``<name>:<former backend>.<backend>``::

    toolbox.former_names =
        salutation = greeter:local.polite

Then the section ``[salutation]`` is ``[greeter]``, where that doesn't say something else, its
backend ``local`` is ``polite`` and is the default there, and ``[plugins]`` may name ``salutation``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import NamedTuple

import msgspec

from toolbox.settings import PluginSettings
from toolbox.settings import Values
from toolbox.settings.values import KeyPath

ENTRY_POINTS = "toolbox.former_names"

log = logging.getLogger("toolbox")


class Current(NamedTuple):
    """The present names of a plugin and of its backend."""

    name: str
    former_backend: str
    backend: str


def find_former_names(plugins: Collection[str], points: Iterable[EntryPoint]) -> dict[str, Current]:
    """Return what each former name of the installed ``plugins`` stands for now, by the entry points
    of the group :data:`ENTRY_POINTS`.
    """
    found: dict[str, Current] = {}
    for point in points:
        name, _, backends = point.value.partition(":")
        # A plugin of that name that is still installed has a better claim to it.
        if name in plugins and point.name not in plugins:
            found[point.name] = Current(name, *backends.split(".", 1))
    return found


def with_current_names(settings: PluginSettings, former: dict[str, Current]) -> PluginSettings:
    """Return ``settings`` with the current names of plugins."""
    return msgspec.structs.replace(
        settings,
        enable=_rename(settings.enable, former),
        disable=_rename(settings.disable, former),
    )


def _rename(names: Iterable[str], former: dict[str, Current]) -> list[str]:
    renamed = (former[name].name if name in former else name for name in names)
    return list(dict.fromkeys(renamed))


def move_sections(values: Values, former: dict[str, Current]) -> None:
    """Give the sections in ``values`` that have former names the current ones."""
    for old, current in former.items():
        table = values.tree.get(old)
        # What is no table stays, to be refused as a section that nobody has.
        if isinstance(table, dict) and isinstance(values.tree.get(current.name, {}), dict):
            log.warning("%s: [%s] is now [%s]", values.source((old,)), old, current.name)
            _move(values, old, current)


def _move(values: Values, old: str, current: Current) -> None:
    source = values.source((old,))
    moved = {path: values.sources.pop(path) for path in list(values.sources) if path[0] == old}
    table = {old: values.tree.pop(old)}
    chosen = (current.name, "backend")
    for path, origin in moved.items():
        new = _new_path(path, current)
        value = _value_at(table, path)
        if new == chosen and value == current.former_backend:
            value = current.backend
        # An empty table says nothing; what has the current name says it better.
        if len(path) > 1 and new not in values.sources:
            values.set(new, value, origin)
    # The default was the former backend, whatever it is by now.
    if chosen not in values.sources:
        values.set(chosen, current.backend, source)


def _new_path(path: KeyPath, current: Current) -> KeyPath:
    rest = path[1:]
    if len(rest) > 1 and rest[0] == current.former_backend:
        rest = (current.backend, *rest[1:])
    return (current.name, *rest)


def _value_at(table: object, path: KeyPath) -> object:
    for key in path:
        assert isinstance(table, dict)
        table = table[key]
    return table
