"""A sandbox with all that its objects tell of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import msgspec
from toolbox_fleet.models.sandboxes import Sandbox

from toolbox_fleet_kubernetes.client.kinds import Secret
from toolbox_fleet_kubernetes.objects.manifests import ENVIRONMENT
from toolbox_fleet_kubernetes.objects.manifests import SIGNING_KEY
from toolbox_fleet_kubernetes.objects.manifests import TOKEN
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.states import Objects


@dataclass(slots=True)
class Entry:
    """A sandbox. Changed under the lock of :class:`.cluster.Cluster` only; what it refers to never
    changes.
    """

    objects: Objects
    secret: Secret
    annotation: str
    """The record as it was read."""
    record: Record
    env: dict[str, str]
    view: Sandbox
    """The sandbox as clients see it."""
    deleting: bool = False
    """True once we have deleted its object, whether the watch knows or not."""
    trouble: str = ""
    """The reason for which its service could not be given token and environment."""
    coming_since: float = 0.0
    """The time, of the clock that doesn't jump, since which it has been starting; 0 if it isn't."""
    timer: Any = field(default=None, repr=False)
    """The timer that ends our patience."""

    @property
    def token(self) -> str:
        """The token of its service."""
        return _value(self.secret, TOKEN)

    @property
    def signing_key(self) -> str:
        """The key of its signed URLs."""
        return _value(self.secret, SIGNING_KEY)


def _value(secret: Secret, name: str) -> str:
    # Others may have written anything, which must not keep the rest from being read.
    return base64.b64decode(secret.data.get(name, "")).decode(errors="backslashreplace")


def environment_of(secret: Secret) -> dict[str, str]:
    """Return the environment in a sandbox's Secret."""
    try:
        return msgspec.json.decode(_value(secret, ENVIRONMENT), type=dict[str, str])
    except msgspec.DecodeError:
        return {}
