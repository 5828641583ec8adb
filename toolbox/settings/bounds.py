"""Options whose upper limit is another option."""

from __future__ import annotations

import typing
from typing import Any

import msgspec

from toolbox.settings import ServerSettings
from toolbox.settings import Values
from toolbox.settings.values import Problems
from toolbox.settings.values import T

BELOW_THREADS = {"below": "server.threads"}
"""``extra`` of the ``msgspec.Meta`` of a limit of waiting requests: if it were as high as the count
of threads, waiting requests could take all of them, and nothing else would be served.
"""


def bounded(values: Values, section: str, options: T) -> T:
    """Return ``options`` with each limit marked by ``BELOW_THREADS`` below ``server.threads``.

    Defaults are lowered to seven eighths of the threads. Raises SettingsError for values that were
    set explicitly.
    """
    limits = [
        field for field in msgspec.structs.fields(type(options)) if _is_below_threads(field.type)
    ]
    # Read for each group: most have none.
    threads = values.section(("server",), ServerSettings).threads if limits else 0
    lowered: dict[str, int] = {}
    with Problems() as problems:
        for field in limits:
            value = getattr(options, field.name)
            if value < threads:
                continue
            # Only an explicit value is a mistake: the default was chosen for 256 threads.
            path = (section, field.encode_name)
            if path in values.sources:
                problems.found.append(
                    f"{values.sources[path]}: {'.'.join(path)}: {value} must be below"
                    f" server.threads, which is {threads}, or nothing else would be served"
                )
            lowered[field.name] = threads * 7 // 8
    return msgspec.structs.replace(options, **lowered)


def _is_below_threads(kind: Any) -> bool:
    metas = typing.get_args(kind)[1:] if typing.get_origin(kind) is typing.Annotated else ()
    return any(isinstance(meta, msgspec.Meta) and meta.extra == BELOW_THREADS for meta in metas)
