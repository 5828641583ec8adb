"""Settings as people read them: each value with its source, and a file with every option."""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from toolbox.plugins import Backend
from toolbox.plugins import Registry
from toolbox.settings import CoreSettings
from toolbox.settings import Values

WIDTH = 96


def describe(
    settings: CoreSettings, registry: Registry, values: Values
) -> Iterator[tuple[str, Any, str]]:
    """``(name, value, source)`` of every setting in force, the core's first."""
    yield from _describe(settings, (), values)
    for served in registry.served:
        section = (served.group.section,)
        name = (*section, "backend")
        yield ".".join(name), served.backend.name, _source(values, name)
        yield from _describe(served.options, section, values)
        yield from _describe(served.settings, (*section, served.backend.name), values)


def _describe(
    settings: msgspec.Struct, path: tuple[str, ...], values: Values
) -> Iterator[tuple[str, Any, str]]:
    for field in msgspec.structs.fields(type(settings)):
        value = getattr(settings, field.name)
        name = (*path, field.encode_name)
        if isinstance(value, msgspec.Struct):
            yield from _describe(value, name, values)
        else:
            yield ".".join(name), msgspec.to_builtins(value), _source(values, name)


def _source(values: Values, path: tuple[str, ...]) -> str:
    """Only what was set itself counts: a value whose neighbours were set is still a default."""
    for known, source in values.sources.items():
        if known[: len(path)] == path:
            return source
    return "default"


def template(registry: Registry) -> str:
    """A settings file with every option of the core and the installed plugins, each commented out
    at its default.
    """
    lines = [
        "# Every option of Sandbox Toolbox at its default. Written by: toolbox config --template",
        "# An option can also be set in the environment, lists as they are here:",
        """# TOOLBOX__SERVER__PORT=2281, TOOLBOX__PLUGINS__DISABLE='["git"]'.""",
    ]
    for field in msgspec.structs.fields(CoreSettings):
        kind = typing.cast(type[msgspec.Struct], field.type)
        lines += ["", *_comment(_first_line(kind)), f"[{field.encode_name}]", *_options(kind)]
    offers: dict[str, list[Backend]] = {}
    for some in registry.hook.toolbox_backends():
        for backend in some:
            offers.setdefault(backend.group, []).append(backend)
    for served in registry.served:
        group = served.group
        names = ", ".join(f'"{backend.name}"' for backend in offers[group.name])
        lines += ["", *_comment(group.summary), f"[{group.section}]"]
        lines += _comment(f"What serves the group: {names}.")
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
    """A default as TOML: the scalars and flat lists JSON and TOML write alike."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
