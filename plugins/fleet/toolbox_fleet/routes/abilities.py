"""The abilities that a backend has beside :class:`toolbox_fleet.backend.FleetBackend`."""

from __future__ import annotations

from typing import Any
from typing import TypeVar

from toolbox_fleet import backend as protocols
from toolbox_fleet.errors import Unsupported

T = TypeVar("T")

# What a client has asked for, after "can't".
_ASKED: dict[Any, str] = {
    protocols.CanPause: "pause sandboxes",
    protocols.CanArchive: "archive sandboxes",
    protocols.CanRecover: "recover sandboxes",
    protocols.CanResize: "resize sandboxes",
    protocols.CanFork: "fork sandboxes",
    protocols.CanIsolateNetwork: "limit the network of sandboxes",
    protocols.CanRotateSigningKey: "replace signing keys",
    protocols.HasMetrics: "record the resources that sandboxes use",
    protocols.HasSnapshots: "keep snapshots",
    protocols.HasVolumes: "keep volumes",
    protocols.HasSecrets: "keep secrets",
    protocols.HasWarmPools: "keep warm pools",
    protocols.HasSshAccess: "give access by SSH",
    protocols.HasObjectStorage: "take the files of an image build",
    protocols.HasBuildLogs: "build images, so there are no build logs",
}

# Of these no backend of ours has any, so another one is no advice.
_NOWHERE: dict[Any, str] = {
    protocols.HasSshAccess: (
        "it takes an SSH server whose users are tokens, and a backend with HasSshAccess;"
        " terminals of a sandbox are at /process/pty of its own API"
    ),
}


def able(backend: Any, ability: type[T]) -> T:
    """Return ``backend`` as one with ``ability``, a Protocol of :mod:`toolbox_fleet.backend`.

    Raises Unsupported if it lacks it; the message tells what a backend would need.
    """
    if isinstance(backend, ability):
        return backend
    asked = _ASKED.get(ability, "do this")
    if reason := _NOWHERE.get(ability) or getattr(backend, "lacks", {}).get(ability):
        raise Unsupported(f"this control plane can't {asked}: {reason}")
    raise Unsupported(
        f"this control plane can't {asked}: its backend, {type(backend).__name__}, lacks"
        f" {ability.__name__}; [fleet] backend chooses another"
    )
