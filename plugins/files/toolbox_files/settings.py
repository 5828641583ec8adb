"""What an operator may set in ``[files.local]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the backend ``local``."""

    upload_max_age: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds after its last piece when a resumable upload is forgotten; "
            "0 keeps it forever.",
        ),
    ] = 86400
    state_dir: Annotated[
        str,
        Meta(
            description="Directory that remembers resumable uploads; in the temporary directory if "
            "empty."
        ),
    ] = ""
