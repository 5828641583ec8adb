"""The network that sandboxes may reach."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.times import format_time

from toolbox.errors import ToolboxError
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.kinds import NETWORK_POLICY
from toolbox_fleet_kubernetes.client.kinds import POD
from toolbox_fleet_kubernetes.client.kinds import SECRET
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.client.kinds import Template
from toolbox_fleet_kubernetes.client.kinds import kind_of
from toolbox_fleet_kubernetes.client.parts import Named
from toolbox_fleet_kubernetes.client.retrying import attempts
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.lifecycle import there
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import NETWORK
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.network import CLAIM_UID
from toolbox_fleet_kubernetes.objects.network import limits
from toolbox_fleet_kubernetes.objects.network import networks
from toolbox_fleet_kubernetes.objects.network import policy
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.resources.templates import Templates

log = logging.getLogger("toolbox")

SHARED = "{template}-network-policy"
"""The name that the controller gives to the policy of a template's pods."""


class Networks:
    """Makes network policies. *Any thread.*"""

    def __init__(
        self, owner: str, connection: Connection, feeds: Feeds, templates: Templates
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._feeds = feeds
        self._templates = templates

    def open(self, record: Record, template: Template, secret: Named) -> bool:
        """Make the policy of a new Sandbox, before it has a pod; report whether it needs one.

        It ends with the Secret until it is bound. Raises InvalidValue.
        """
        manifest = policy(record, self._owner, {ID: record.id}, self._shared(template))
        if manifest is not None:
            self._connection.create(NETWORK_POLICY, _owned(manifest, SECRET, secret))
        return manifest is not None

    def _shared(self, template: Template) -> dict[str, Any] | None:
        """Return the rules that the controller gives to a template's pods, None for none."""
        if not blueprints.is_managed(template.spec):
            return None
        name = SHARED.format(template=template.metadata.name)
        try:
            spec = self._connection.get(NETWORK_POLICY, name).spec
        except NotThere:
            return None
        return {key: spec[key] for key in ("ingress", "egress") if key in spec}

    def bind(self, record: Record, *owners: tuple[Kind[Any], Named]) -> None:
        """Let a policy end with the last of some objects."""
        change = manifests.owned_by(*owners)
        try:
            self._connection.patch(NETWORK_POLICY, object_name(record.id), change)
        except (ToolboxError, NotThere, Outdated) as error:
            # It has an owner already, and none of these is the client's trouble.
            log.warning("the network policy of %s ends as it did: %s", record.id, error)

    def outlive(self, entry: Entry) -> None:
        """Let the policy of a sandbox that is about to be deleted not end before its pod.

        What runs there has some seconds to end, and might ignore that.
        """
        pod, record = entry.objects.pod, entry.record
        if pod is not None and (record.network_block_all or record.network_allow_list):
            primary = entry.objects.primary
            self.bind(record, (kind_of(primary), primary.metadata), (POD, pod.metadata))

    def close(self, record: Record) -> None:
        """Remove a policy whose sandbox could not be created."""
        self._connection.delete(NETWORK_POLICY, object_name(record.id), "")

    def check(self, entry: Entry) -> None:
        """Raise Unsupported if the network of a sandbox can't be changed."""
        primary = entry.objects.primary
        if isinstance(primary, Claim):
            self._check_unmanaged(primary)

    def apply(self, entry: Entry) -> None:
        """Make the policy of a sandbox as its record says, also if others change that meanwhile.

        Raises NoSuchSandbox, NoSuchResource.
        """
        primary = entry.objects.primary
        for _ in attempts():
            record = entry.record
            try:
                self._make(primary, record)
            except (NotThere, Outdated):
                continue  # Another replica makes it, too, or has removed it.
            change = {"metadata": {"annotations": {NETWORK: limits(record) or None}}}
            with there():
                noted = self._connection.merge(kind_of(primary), primary.metadata, change)
            self._feeds.put_primary(noted)
            if is_settled(entry):
                return

    def _make(self, primary: Claim | SandboxObject, record: Record) -> None:
        if isinstance(primary, Claim):
            manifest = policy(record, self._owner, {CLAIM_UID: primary.metadata.uid}, None)
        else:
            shared = self._shared(self._templates.of(record.snapshot))
            manifest = policy(record, self._owner, {ID: record.id}, shared)
        name = object_name(record.id)
        if manifest is None:
            self._connection.delete(NETWORK_POLICY, name, "")
            return
        manifest = _owned(manifest, kind_of(primary), primary.metadata)
        try:
            self._connection.create(NETWORK_POLICY, manifest)
        except AlreadyThere:
            self._connection.patch(NETWORK_POLICY, name, {"spec": manifest["spec"]})

    def _check_unmanaged(self, claim: Claim) -> None:
        """Raise Unsupported if another policy would still let a claim's pod out."""
        template = self._templates.of_claim(claim)
        if template is None or blueprints.is_managed(template.spec):
            raise Unsupported(
                "network policies only add up, and the pool's SandboxTemplate has one for its pods:"
                " give the limits when the sandbox is created, or set networkPolicyManagement ="
                " Unmanaged there"
            )


class NetworkAbility:
    """See :class:`toolbox_fleet.backend.CanIsolateNetwork`."""

    _feeds: Feeds
    _lifecycle: Lifecycle
    _networks: Networks

    def set_network(self, key: str, settings: NetworkSettings) -> Sandbox:
        self._feeds.wait()
        if settings.domain_allow_list:
            raise Unsupported("NetworkPolicies know addresses only; there is networkAllowList")
        networks(settings.network_allow_list)
        entry = self._lifecycle.entry(key)
        self._networks.check(entry)
        # First what all replicas see: of several changes the last one is made everywhere.
        changed = self._lifecycle.change(key, lambda record: _limited(record, settings))
        self._networks.apply(entry)
        return changed


def _owned(manifest: dict[str, Any], kind: Kind[Any], owner: Named) -> dict[str, Any]:
    metadata = manifest["metadata"] | manifests.owned_by((kind, owner))["metadata"]
    return {**manifest, "metadata": metadata}


def is_settled(entry: Entry) -> bool:
    """Report whether the network of a sandbox has the limits that its record says."""
    return entry.objects.primary.metadata.annotations.get(NETWORK, "") == limits(entry.record)


def _limited(record: Record, settings: NetworkSettings) -> Record:
    block, allow = settings.network_block_all, settings.network_allow_list
    return msgspec.structs.replace(
        record,
        network_block_all=record.network_block_all if block is None else block,
        network_allow_list=record.network_allow_list if allow is None else allow or None,
        updated_at=format_time(),
    )
