"""The subcommands of ``toolbox`` that plugins add."""

from __future__ import annotations

import logging
from collections.abc import Collection
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points

import pluggy

from toolbox import hookspecs
from toolbox.plugins import CommandSpec
from toolbox.plugins.discovery import ENTRY_POINTS
from toolbox.plugins.discovery import is_wanted
from toolbox.settings import PluginSettings

log = logging.getLogger("toolbox")


def added_commands(settings: PluginSettings, taken: Collection[str]) -> list[CommandSpec]:
    """Return the commands of the plugins that ``settings`` allow, without those whose name is
    ``taken`` or another plugin's.
    """
    found: dict[str, CommandSpec] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        if not is_wanted(point.name, settings):
            continue
        for spec in _commands_of(point):
            if spec.name in taken or spec.name in found:
                log.warning("plugin %s: the command %r is taken", point.name, spec.name)
            else:
                found[spec.name] = spec
    return list(found.values())


def _commands_of(point: EntryPoint) -> Iterator[CommandSpec]:
    # Without groups and backends: a command may be all that is used on this machine.
    manager = pluggy.PluginManager("toolbox")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(point.load(), name=point.name)
        for commands in manager.hook.toolbox_commands():
            yield from commands
    except Exception as error:
        # It fails alone, as in the service; ``toolbox plugins`` shows more.
        log.warning("plugin %s has no commands: %s", point.name, error)
