"""The kinds of objects that are used, with the fields that are read.

Only those are decoded and kept: a pod has a hundred more. All have defaults: the object of a
bookmark is empty but for its version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Generic
from typing import TypeVar

import msgspec


class Owner(msgspec.Struct, frozen=True):
    """A reference to an object that another belongs to, and is deleted with."""

    kind: str
    name: str
    uid: str
    controller: bool | None = None


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """The metadata of an object."""

    name: str = ""
    uid: str = ""
    # The library reads it by this name.
    resourceVersion: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[Owner] = []

    @property
    def controller(self) -> Owner | None:
        """The object that manages this one, or None."""
        return next((one for one in self.owner_references if one.controller), None)


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """An observation by a controller."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    """Null for one that was written without a time: the API server keeps it so for pods."""


class Secret(msgspec.Struct, frozen=True):
    """Values in base64, which only those see who may read secrets."""

    metadata: Meta
    data: dict[str, str] = {}


class Reference(msgspec.Struct, frozen=True):
    """A reference to an object by name."""

    name: str = ""


class ClaimSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The wish of a claim."""

    warm_pool_ref: Reference = Reference()


class ClaimStatus(msgspec.Struct, frozen=True):
    """The Sandbox that a claim got."""

    conditions: list[Condition] = []
    sandbox: Reference = Reference()


class Claim(msgspec.Struct, frozen=True):
    """A SandboxClaim: it gets a Sandbox from a warm pool."""

    metadata: Meta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class KeyReference(msgspec.Struct, frozen=True):
    """A key of a Secret."""

    name: str = ""
    key: str = ""


class ValueSource(msgspec.Struct, frozen=True, rename="camel"):
    """The source of a variable whose value is elsewhere."""

    secret_key_ref: KeyReference | None = None


class Variable(msgspec.Struct, frozen=True, rename="camel"):
    """A variable of a container's environment."""

    name: str
    value: str = ""
    value_from: ValueSource | None = None


class Container(msgspec.Struct, frozen=True):
    """A container of a pod, as it is asked for."""

    name: str
    env: list[Variable] = []
    resources: dict[str, Any] = {}


class PodSpec(msgspec.Struct, frozen=True):
    """The containers of a pod."""

    containers: list[Container] = []


class PodTemplate(msgspec.Struct, frozen=True):
    """The pod of a Sandbox, as it is asked for."""

    spec: PodSpec = PodSpec()


class SandboxSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The wish of a Sandbox."""

    pod_template: PodTemplate = PodTemplate()
    operating_mode: str = "Running"


class SandboxStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a Sandbox."""

    conditions: list[Condition] = []
    pod_ips: list[str] = msgspec.field(default=[], name="podIPs")


class SandboxObject(msgspec.Struct, frozen=True):
    """A Sandbox of agent-sandbox: a pod that may be suspended, with what belongs to it."""

    metadata: Meta
    spec: SandboxSpec = SandboxSpec()
    status: SandboxStatus = SandboxStatus()


class Phase(msgspec.Struct, frozen=True, rename="camel"):
    """A container that waits, or has ended."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0


class ContainerState(msgspec.Struct, frozen=True):
    """The state of a container that does not run."""

    waiting: Phase | None = None
    terminated: Phase | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a container."""

    name: str
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] = []
    init_container_statuses: list[ContainerStatus] = []
    container_statuses: list[ContainerStatus] = []


class Pod(msgspec.Struct, frozen=True):
    """A pod."""

    metadata: Meta
    status: PodStatus = PodStatus()


class Template(msgspec.Struct, frozen=True):
    """A SandboxTemplate: Sandboxes are made of it."""

    metadata: Meta
    spec: dict[str, Any] = {}


class WarmPoolSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The wish of a pool."""

    sandbox_template_ref: Reference = Reference()
    replicas: int = 1


class WarmPoolStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a pool."""

    ready_replicas: int = 0


class WarmPoolObject(msgspec.Struct, frozen=True):
    """A SandboxWarmPool: Sandboxes of a template that wait to be claimed."""

    metadata: Meta
    spec: WarmPoolSpec = WarmPoolSpec()
    status: WarmPoolStatus = WarmPoolStatus()


class VolumeStatus(msgspec.Struct, frozen=True):
    """The state of a volume claim."""

    phase: str = ""


class VolumeClaim(msgspec.Struct, frozen=True):
    """A PersistentVolumeClaim."""

    metadata: Meta
    status: VolumeStatus = VolumeStatus()


class NetworkPolicy(msgspec.Struct, frozen=True):
    """The traffic that pods may have."""

    metadata: Meta
    spec: dict[str, Any] = {}


T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of objects in a namespace."""

    type: type[T]
    group: str
    """Group and version, such as ``apps/v1``; ``v1`` for the core's."""
    name: str
    plural: str

    def url(self, namespace: str, name: str = "") -> str:
        """Return the path of a namespace's objects, or of one."""
        root = "apis" if "/" in self.group else "api"
        path = f"{root}/{self.group}/namespaces/{namespace}/{self.plural}"
        return f"{path}/{name}" if name else path


_AGENTS = "agents.x-k8s.io/v1beta1"
_EXTENSIONS = f"extensions.{_AGENTS}"

SECRET = Kind(Secret, "v1", "Secret", "secrets")
POD = Kind(Pod, "v1", "Pod", "pods")
VOLUME_CLAIM = Kind(VolumeClaim, "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
NETWORK_POLICY = Kind(NetworkPolicy, "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
SANDBOX = Kind(SandboxObject, _AGENTS, "Sandbox", "sandboxes")
CLAIM = Kind(Claim, _EXTENSIONS, "SandboxClaim", "sandboxclaims")
TEMPLATE = Kind(Template, _EXTENSIONS, "SandboxTemplate", "sandboxtemplates")
WARM_POOL = Kind(WarmPoolObject, _EXTENSIONS, "SandboxWarmPool", "sandboxwarmpools")


def kind_of(primary: Claim | SandboxObject) -> Kind[Any]:
    """Return the kind of a sandbox's own object."""
    return CLAIM if isinstance(primary, Claim) else SANDBOX
