"""Settings of the backend ``single``."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta


class SingleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table ``[fleet.single]``."""

    exclusive: Annotated[
        bool,
        Meta(
            description="Refuse a second create() with 409 until the sandbox is deleted; false "
            "lets every create() have it."
        ),
    ] = False
    on_delete: Annotated[
        Literal["release", "refuse", "stop"],
        Meta(
            description="The effect of delete(): release forgets what create() has set, files and "
            "processes stay; refuse responds 403; stop ends the service, as stop() does then."
        ),
    ] = "release"
