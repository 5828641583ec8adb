"""Options that make sense only below another one."""

from __future__ import annotations

import typing
from typing import Any

import msgspec

from toolbox.settings import ServerSettings
from toolbox.settings import Values
from toolbox.values import Problems
from toolbox.values import T

BELOW_THREADS = {"below": "server.threads"}
"""``extra`` of the ``msgspec.Meta`` of a number of requests that may wait at once: were it as many
as there are threads, nothing else could be answered meanwhile.
"""


def bounded(values: Values, section: str, options: T) -> T:
    """``options`` with all that is to be below ``server.threads`` below it.

    A default is lowered to seven eighths of the threads. Raises SettingsError for values that were
    set.
    """
    threads = values.section(("server",), ServerSettings).threads
    lowered: dict[str, int] = {}
    with Problems() as problems:
        for field in msgspec.structs.fields(type(options)):
            value = getattr(options, field.name)
            if not _is_below_threads(field.type) or value < threads:
                continue
            path = (section, field.encode_name)
            if path in values.sources:
                problems.found.append(
                    f"{values.sources[path]}: {'.'.join(path)}: {value} must be below"
                    f" server.threads, which is {threads}, or nothing else would be answered"
                )
            lowered[field.name] = threads * 7 // 8
    return msgspec.structs.replace(options, **lowered)


def _is_below_threads(kind: Any) -> bool:
    metas = typing.get_args(kind)[1:] if typing.get_origin(kind) is typing.Annotated else ()
    return any(isinstance(each, msgspec.Meta) and each.extra == BELOW_THREADS for each in metas)
