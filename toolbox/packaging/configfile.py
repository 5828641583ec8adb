"""Settings for people: each value with its source, and a file with every option."""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from toolbox.plugins import BackendSpec
from toolbox.plugins import Registry
from toolbox.settings import CoreSettings
from toolbox.settings import Values

WIDTH = 96


def settings_in_force(
    settings: CoreSettings, registry: Registry, values: Values
) -> Iterator[tuple[str, Any, str]]:
    """Yield ``(name, value, source)`` of every setting in force, the core's first."""
    yield from _settings_in(settings, (), values)
    for served in registry.served:
        section = (served.group.section,)
        name = (*section, "backend")
        yield ".".join(name), served.backend.name, _source(values, name)
        yield from _settings_in(served.group_settings, section, values)
        yield from _settings_in(served.backend_settings, (*section, served.backend.name), values)


def _settings_in(
    settings: msgspec.Struct, path: tuple[str, ...], values: Values
) -> Iterator[tuple[str, Any, str]]:
    for field in msgspec.structs.fields(type(settings)):
        value = getattr(settings, field.name)
        name = (*path, field.encode_name)
        if isinstance(value, msgspec.Struct):
            yield from _settings_in(value, name, values)
        else:
            yield ".".join(name), msgspec.to_builtins(value), _source(values, name)


def _source(values: Values, path: tuple[str, ...]) -> str:
    # Unlike Values.source it ignores neighbors: a value beside one that was set is still a default.
    for known, source in values.sources.items():
        if known[: len(path)] == path:
            return source
    return "default"


def template(registry: Registry) -> str:
    """Return a settings file with every option of the core and the installed plugins, each
    commented out at its default.
    """
    lines = [
        "# Every option of Sandbox Toolbox at its default. Written by: toolbox config --template",
        "# An option can also be set in the environment, lists as they are here:",
        """# TOOLBOX__SERVER__PORT=2281, TOOLBOX__PLUGINS__DISABLE='["git"]'.""",
    ]
    for field in msgspec.structs.fields(CoreSettings):
        kind = typing.cast(type[msgspec.Struct], field.type)
        lines += ["", *_comment(_first_line(kind)), f"[{field.encode_name}]", *_options(kind)]
    offers: dict[str, list[BackendSpec]] = {}
    for some in registry.hook.toolbox_backends():
        for backend in some:
            offers.setdefault(backend.group, []).append(backend)
    # Backends that are not chosen have their tables, too: the file is for choosing.
    for served in registry.served:
        group = served.group
        names = ", ".join(f'"{backend.name}"' for backend in offers[group.name])
        lines += ["", *_comment(group.summary), f"[{group.section}]"]
        lines += _comment(f"The backend: {names}.")
        lines += [f'# backend = "{group.default_backend}"', *_options(group.settings)]
        for backend in offers[group.name]:
            if options := _options(backend.settings):
                lines += ["", *_comment(backend.summary), f"[{group.section}.{backend.name}]"]
                lines += options
    return "\n".join(lines) + "\n"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _comment(text: str) -> list[str]:
    return [f"## {line}" for line in textwrap.wrap(text, WIDTH)]


def _options(kind: type[msgspec.Struct]) -> list[str]:
    lines: list[str] = []
    # With extras: descriptions are in the msgspec.Meta of Annotated types.
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        for extra in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(extra, msgspec.Meta) and extra.description:
                lines += _comment(extra.description)
        lines.append(f"# {field.encode_name} = {_toml(_default(field))}")
    return lines


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _toml(value: Any) -> str:
    """Return a default as TOML. Scalars and flat lists are written alike in JSON and TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
