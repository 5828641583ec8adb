"""The resources that sandboxes used, by time and not by metric."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from toolbox_e2b.control.models import Metric

PREFIX = "daytona.sandbox."
"""The beginning of the names of metrics in the group ``fleet``."""


def by_time(series: list[Any]) -> list[Metric]:
    """Return one record for each time of ``series``, in order; a value that isn't there is 0."""
    # The group's records are by metric, since that is how clients of its own API plot them.
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for one in series:
        name = one.metric_name.removeprefix(PREFIX)
        for point in one.data_points:
            values[point.timestamp][name] = point.value
    return [_metric(timestamp, found) for timestamp, found in sorted(values.items())]


def _metric(timestamp: str, values: dict[str, float]) -> Metric:
    def whole(name: str) -> int:
        return int(values.get(name, 0))

    return Metric(
        timestamp=timestamp,
        timestamp_unix=int(datetime.fromisoformat(timestamp).timestamp()),
        cpu_count=whole("cpu.limit"),
        cpu_used_pct=values.get("cpu.utilization", 0.0),
        mem_used=whole("memory.usage"),
        mem_total=whole("memory.limit"),
        mem_cache=whole("memory.cache"),
        disk_used=whole("filesystem.usage"),
        disk_total=whole("filesystem.total"),
    )
