"""Network policies of sandboxes."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from toolbox_fleet.errors import InvalidValue

from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.records import Record

Manifest = dict[str, Any]

MOST = 64
"""Networks in an allow list."""

CLAIM_UID = "agents.x-k8s.io/claim-uid"
"""The label with which the controller marks the pod that a claim has got."""


def networks(text: str | None) -> list[str]:
    """Return the networks of an allow list. Raises InvalidValue."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if len(parts) > MOST:
        raise InvalidValue(f"networkAllowList has at most {MOST} networks")
    try:
        return [str(ipaddress.ip_network(part, strict=False)) for part in parts]
    except ValueError as error:
        raise InvalidValue(f"networkAllowList: {error}") from None


def limits(record: Record) -> str:
    """Return what limits the network of a sandbox, empty for nothing."""
    return "all" if record.network_block_all else record.network_allow_list or ""


def policy(
    record: Record, owner: str, pods: Mapping[str, str], shared: Mapping[str, Any] | None
) -> Manifest | None:
    """Return the policy of the pods with these labels, None if they need none.

    ``shared`` is that of the template's other pods, which does not reach this one. Policies only
    add up, so its rules are repeated here, as far as the wishes don't replace them.
    """
    allowed = networks(record.network_allow_list)
    is_limited = record.network_block_all or bool(allowed)
    if not is_limited and shared is None:
        return None
    spec: Manifest = {"podSelector": {"matchLabels": dict(pods)}, **(shared or {})}
    spec["policyTypes"] = ["Ingress", "Egress"] if shared is not None else ["Egress"]
    if is_limited:
        peers = [{"ipBlock": {"cidr": one}} for one in allowed]
        # No rule at all: nothing may leave, not even to name servers.
        is_closed = record.network_block_all or not peers
        spec["egress"] = [] if is_closed else [{"to": peers}]
    labels = {OWNER: owner, ID: record.id}
    return {"metadata": {"name": object_name(record.id), "labels": labels}, "spec": spec}
