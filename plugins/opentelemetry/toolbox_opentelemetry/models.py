"""The options of the group."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class TracesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything else is set by OpenTelemetry's own variables, ``OTEL_...``."""

    endpoint: Annotated[
        str,
        Meta(
            pattern=r"^(https?://.+)?$",
            description="Where spans are sent by OTLP/HTTP, as http://collector:4318; "
            "OTEL_EXPORTER_OTLP_ENDPOINT if empty; none are made without either.",
        ),
    ] = ""
