"""The record of the resources that a sandbox used."""

from __future__ import annotations

from typing import Annotated

import msgspec


class MetricsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A range of time, RFC 3339, and names of metrics."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    metric_names: Annotated[list[str], msgspec.Meta()] = msgspec.field(
        name="metricNames", default_factory=list
    )


class DataPoint(msgspec.Struct, frozen=True):
    """A value at a time, RFC 3339."""

    timestamp: str
    value: float


class Series(msgspec.Struct, frozen=True, rename="camel"):
    """The values of one metric, in the order of their times."""

    metric_name: str
    data_points: list[DataPoint]


class Metrics(msgspec.Struct, frozen=True):
    """Series of several metrics."""

    series: list[Series]
