"""Events of sandboxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from toolbox_fleet.models.sandboxes import Sandbox


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a sandbox, after it has happened."""

    kind: Literal["created", "state", "desired-state"]
    sandbox: Sandbox
    old: str = ""
    """The state, or desired state, before."""
    new: str = ""


def changes(old: Sandbox, new: Sandbox) -> Iterator[Event]:
    """Yield the events of a sandbox that has changed from ``old`` to ``new``."""
    # The wish first, as it comes before what fulfills it.
    if old.desired_state != new.desired_state:
        yield Event(kind="desired-state", sandbox=new, old=old.desired_state, new=new.desired_state)
    if old.state != new.state:
        yield Event(kind="state", sandbox=new, old=old.state, new=new.state)
