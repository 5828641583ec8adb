"""SandboxTemplates, and what snapshots are of them."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

from toolbox_fleet_kubernetes.client.kinds import Template
from toolbox_fleet_kubernetes.objects.manifests import resources
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import RECORD

Manifest = dict[str, Any]

_QUANTITY = re.compile(r"([0-9.]+(?:[eE][0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|)")

_FROM = re.compile(r"(?i)from\s+(?:--platform=\S+\s+)?(\S+)(?:\s+as\s+\S+)?")

_UNITS = {
    **{"": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15},
    **{"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50},
}

GIB = 2**30

Sizes = tuple[int | None, int | None, int | None]
"""Cores, GiB of memory and GiB of disk; None for as it is."""


def snapshot_name(template: Template) -> str:
    """Return the name of the snapshot that a template is."""
    return template.metadata.annotations.get(RECORD) or template.metadata.name


def snapshot_id(template: Template) -> str:
    """Return the id of the snapshot that a template is: of one that we haven't made, its uid."""
    return template.metadata.labels.get(ID) or template.metadata.uid


def of_image(spec: Manifest, image: str) -> Manifest:
    """Return a blueprint whose container has another image."""
    changed = copy.deepcopy(spec)
    container(changed)["image"] = image
    return changed


def image(dockerfile: str) -> str | None:
    """Return the image that a Dockerfile begins with if that is all it does, else None."""
    lines = [line.strip() for line in dockerfile.splitlines()]
    steps = [line for line in lines if line and not line.startswith("#")]
    found = _FROM.fullmatch(steps[0]) if len(steps) == 1 else None
    return found[1] if found else None


def is_managed(spec: Manifest) -> bool:
    """Report whether the controller gives a template's pods a network policy."""
    return bool(spec.get("networkPolicyManagement", "Managed") == "Managed")


def container(spec: Manifest) -> Manifest:
    """Return the container with the service: the first one."""
    found: list[Manifest] = spec.get("podTemplate", {}).get("spec", {}).get("containers", [])
    return found[0] if found else {}


def sizes(spec: Manifest) -> tuple[int, int, int]:
    """Return cores, GiB of memory and GiB of disk of a template; each at least 1."""
    return amounts(container(spec).get("resources", {}))


def amounts(own: Manifest) -> tuple[int, int, int]:
    """Return the same of the resources of a container."""
    found = {**own.get("requests", {}), **own.get("limits", {})}
    cpu = quantity(found.get("cpu"))
    memory = quantity(found.get("memory")) / GIB
    disk = quantity(found.get("ephemeral-storage")) / GIB
    return max(1, math.ceil(cpu)), max(1, math.ceil(memory)), max(1, math.ceil(disk))


def quantity(text: Any) -> float:
    """Return the number that a quantity stands for; 0 for none."""
    match = _QUANTITY.fullmatch(str(text)) if text is not None else None
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def with_sizes(spec: Manifest, given: Sizes) -> Manifest:
    """Return a blueprint whose container has other sizes, as far as they are given."""
    if all(one is None for one in given):
        return spec
    changed = copy.deepcopy(spec)
    own = container(changed)
    own["resources"] = sized(own.get("resources", {}), given)
    return changed


def sized(before: Manifest, given: Sizes) -> Manifest:
    """Return the resources of a container with other sizes, as far as they are given."""
    cpu, memory, disk = (one or size for one, size in zip(given, amounts(before), strict=True))
    limits_disk = given[2] is not None or "ephemeral-storage" in str(before)
    wanted = resources(cpu, memory, disk if limits_disk else None)
    # GPUs and whatever else it has stay.
    changed = {name: {**before.get(name, {}), **wanted[name]} for name in ("requests", "limits")}
    return {**before, **changed}
