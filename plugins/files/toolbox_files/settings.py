"""Options of the section ``[files.local]``."""

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
            description="Seconds after its last piece at which a resumable upload expires; "
            "0 for never.",
        ),
    ] = 86400
    state_dir: Annotated[
        str,
        Meta(
            description="Directory that records resumable uploads; if empty, one in the temporary "
            "directory."
        ),
    ] = ""
