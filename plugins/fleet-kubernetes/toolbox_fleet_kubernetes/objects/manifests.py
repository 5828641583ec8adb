"""The objects of a sandbox, as they are created."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from toolbox_fleet.access.address import ID_VARIABLE
from toolbox_fleet.models.secrets import Secret

from toolbox_fleet_kubernetes.client.kinds import TOKEN_VARIABLE
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.client.parts import Named
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import NAME
from toolbox_fleet_kubernetes.objects.names import NETWORK
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.objects.names import RECORD
from toolbox_fleet_kubernetes.objects.names import SECRET
from toolbox_fleet_kubernetes.objects.names import digest
from toolbox_fleet_kubernetes.objects.names import kept_name
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.names import secret_name
from toolbox_fleet_kubernetes.objects.names import selectable
from toolbox_fleet_kubernetes.objects.names import template_name
from toolbox_fleet_kubernetes.objects.names import volume_name
from toolbox_fleet_kubernetes.objects.network import limits
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.records import encode

Manifest = dict[str, Any]

NONE: Mapping[str, str] = MappingProxyType({})

SIGNING_VARIABLE = "TOOLBOX_SIGNING_KEY"

TOKEN, SIGNING_KEY, ENVIRONMENT = "token", "signing-key", "environment"
"""The keys of a sandbox's Secret."""

VALUE = "value"
"""The key of the Secret of a client's secret."""


def secret(record: Record, owner: str, token: str, key: str, env: Mapping[str, str]) -> Manifest:
    """Return the Secret of a sandbox: what no annotation may show."""
    values = {TOKEN: token, SIGNING_KEY: key, ENVIRONMENT: msgspec.json.encode(env).decode()}
    return {"metadata": _metadata(secret_name(record.name), record, owner), "data": _data(values)}


def signing_change(key: str) -> Manifest:
    """Return the change of a sandbox's Secret to another signing key."""
    return {"data": _data({SIGNING_KEY: key})}


def kept_secret(secret: Secret, owner: str, value: str) -> Manifest:
    """Return the Secret of a client's secret."""
    labels = {OWNER: owner, SECRET: secret.id, NAME: digest(secret.name)}
    annotations = {RECORD: msgspec.json.encode(secret).decode()}
    metadata = {"name": kept_name(secret.name), "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "data": _data({VALUE: value})}


def kept_change(secret: Secret, version: str, value: str | None) -> Manifest:
    """Return the change of that Secret, if it still has this version; None leaves its value."""
    annotations = {RECORD: msgspec.json.encode(secret).decode()}
    change: Manifest = {"metadata": {"annotations": annotations, "resourceVersion": version}}
    return change if value is None else {**change, "data": _data({VALUE: value})}


def _data(values: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


def claim(record: Record, owner: str, pool: str) -> Manifest:
    """Return a SandboxClaim, without an environment: it would be started cold with one."""
    # Nor labels of the pod: the controller allows those of its own domains only.
    spec: Manifest = {"warmPoolRef": {"name": pool}}
    if record.auto_destroy_at:
        spec["lifecycle"] = claim_end(record.auto_destroy_at)
    return {"metadata": _with_record(record, owner), "spec": spec}


def claim_end(time: str | None) -> Manifest | None:
    """Return the lifecycle of a claim that ends at a time, None for never."""
    return {"shutdownTime": time, "shutdownPolicy": "Delete"} if time else None


def sandbox_end(time: str | None) -> Manifest:
    """Return the fields of a Sandbox's ``spec`` that make it end at a time, None for never."""
    return {"shutdownTime": time, "shutdownPolicy": "Delete" if time else None}


def sandbox(
    record: Record,
    owner: str,
    blueprint: Manifest,
    claims: Mapping[str, str] = MappingProxyType({}),
) -> Manifest:
    """Return a Sandbox made of ``spec`` of a SandboxTemplate.

    ``claims`` has the name of the claim for storage for the id of each volume.
    """
    spec: Manifest = {
        key: copy.deepcopy(blueprint[key])
        for key in ("podTemplate", "volumeClaimTemplates", "service")
        if key in blueprint
    }
    template = spec["podTemplate"]
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    # Copied to the pod, so that network policies find it.
    labels |= {OWNER: owner, ID: record.id}
    pod = template["spec"]
    # What runs in there has nothing to do in the cluster.
    pod["automountServiceAccountToken"] = False
    _set_variables(pod["containers"][0], record)
    _mount(pod, record, claims)
    if record.auto_destroy_at:
        spec |= sandbox_end(record.auto_destroy_at)
    return {"metadata": _with_record(record, owner), "spec": spec}


def _set_variables(container: Manifest, record: Record) -> None:
    name = secret_name(record.name)
    own: list[Manifest] = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
        for variable, key in ((TOKEN_VARIABLE, TOKEN), (SIGNING_VARIABLE, SIGNING_KEY))
    ]
    own.append({"name": ID_VARIABLE, "value": record.id})
    names = {one["name"] for one in own}
    others = [one for one in container.get("env", []) if one["name"] not in names]
    container["env"] = [*others, *own]


def _mount(pod: Manifest, record: Record, claims: Mapping[str, str]) -> None:
    # Each once in the pod, however often it is mounted.
    for number, identity in enumerate(sorted({one.volume_id for one in record.volumes})):
        name = f"toolbox-volume-{number}"
        source = {"claimName": claims[identity]}
        pod.setdefault("volumes", []).append({"name": name, "persistentVolumeClaim": source})
        for one in record.volumes:
            if one.volume_id == identity:
                mount = {"name": name, "mountPath": one.mount_path}
                if path := (one.subpath or "").strip("/"):
                    mount["subPath"] = path
                pod["containers"][0].setdefault("volumeMounts", []).append(mount)


def resources(cpu: int, memory: int, disk: int | None) -> Manifest:
    """Return the resources of a container: cores and GiB, requested and limited."""
    amounts = {"cpu": str(cpu), "memory": f"{memory}Gi"}
    if disk is not None:
        amounts["ephemeral-storage"] = f"{disk}Gi"
    # Alike, so that a pod has what it was promised and is the last to be evicted.
    return {"requests": amounts, "limits": dict(amounts)}


def owned_by(*owners: tuple[Kind[Any], Named]) -> Manifest:
    """Return the change of an object that makes it end with others: with the last of them."""
    references = [
        {"apiVersion": kind.group, "kind": kind.name, "name": owner.name, "uid": owner.uid}
        for kind, owner in owners
    ]
    return {"metadata": {"ownerReferences": references}}


def metadata_change(record: Record, before: Iterable[str], version: str) -> Manifest:
    """Return the change of an object's metadata to a record; ``before`` are its labels."""
    # In a merge patch, null removes.
    labels: dict[str, str | None] = dict.fromkeys(before)
    labels |= selectable(record.labels)
    return {
        "metadata": {
            "labels": labels,
            "annotations": {RECORD: encode(record)},
            "resourceVersion": version,
        }
    }


def template(name: str, identity: str, owner: str, spec: Manifest) -> Manifest:
    """Return a SandboxTemplate that is a snapshot."""
    return {"metadata": _resource(template_name(name), name, identity, owner), "spec": spec}


def warm_pool(template: str, identity: str, owner: str, size: int) -> Manifest:
    """Return a SandboxWarmPool for a template."""
    # By the template's name: one pool for each.
    metadata = _resource(f"pool-{digest(template)}", template, identity, owner)
    return {
        "metadata": metadata,
        "spec": {"replicas": size, "sandboxTemplateRef": {"name": template}},
    }


def volume(name: str, identity: str, owner: str, access: str, size: int, kind: str) -> Manifest:
    """Return the PersistentVolumeClaim of a volume of ``size`` GiB."""
    spec: Manifest = {
        "accessModes": [access],
        "resources": {"requests": {"storage": f"{size}Gi"}},
    }
    # Left out it is the cluster's default; empty it would be none.
    if kind:
        spec["storageClassName"] = kind
    return {"metadata": _resource(volume_name(name), name, identity, owner), "spec": spec}


def _resource(object_name: str, name: str, identity: str, owner: str) -> Manifest:
    labels = {OWNER: owner, ID: identity, NAME: digest(name)}
    return {"name": object_name, "labels": labels, "annotations": {RECORD: name}}


def _metadata(name: str, record: Record, owner: str) -> Manifest:
    return {"name": name, "labels": {OWNER: owner, ID: record.id, NAME: digest(record.name)}}


def _with_record(record: Record, owner: str) -> Manifest:
    metadata = _metadata(object_name(record.id), record, owner)
    metadata["labels"] |= selectable(record.labels)
    metadata["annotations"] = {RECORD: encode(record)}
    if limited := limits(record):
        metadata["annotations"][NETWORK] = limited
    return metadata
