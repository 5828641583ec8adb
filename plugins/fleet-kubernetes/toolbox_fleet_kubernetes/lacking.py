"""Abilities that sandboxes of a cluster lack, and what each would take."""

from __future__ import annotations

from typing import Any

from toolbox_fleet import backend as protocols

_BUILDER = "it would take an image builder: push an image, and make a snapshot of its name"

LACKS: dict[Any, str] = {
    # A suspended Sandbox has no pod: what programs have in memory is lost, so that is a stop.
    protocols.CanPause: (
        "the memory of a pod can't be kept; it would take checkpoints of containers, for which"
        " agent-sandbox has no object. Stop it: volumes stay"
    ),
    protocols.CanFork: (
        "the files of a pod can't be copied; it would take VolumeSnapshots of all of its storage."
        " Share a volume, or make a snapshot of an image"
    ),
    protocols.HasMetrics: (
        "it would take the metrics of the nodes, and somebody to record them: the monitoring of the"
        " cluster has those of each pod"
    ),
    protocols.HasObjectStorage: _BUILDER,
    protocols.HasBuildLogs: _BUILDER,
}
"""Texts by the Protocol of the ability, after "this control plane can't ...: "."""
