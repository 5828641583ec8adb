"""The kinds of objects that are used, with the fields that are read.

Only those are decoded and kept: a pod has a hundred more. All have defaults: the object of a
bookmark is empty but for its version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from typing import Generic
from typing import TypeVar
from typing import cast

import msgspec

from toolbox_fleet_kubernetes.client.parts import Condition
from toolbox_fleet_kubernetes.client.parts import Meta
from toolbox_fleet_kubernetes.client.parts import Named
from toolbox_fleet_kubernetes.client.parts import Part

TOKEN_VARIABLE = "TOOLBOX_TOKEN"
"""The variable of a container with the token of its service."""


class Secret(Part, frozen=True):
    """Values in base64, which only those see who may read secrets."""

    metadata: Meta
    data: dict[str, str] = {}


class Reference(Part, frozen=True):
    """A reference to an object by name."""

    name: str = ""


class ClaimSpec(Part, frozen=True):
    """The wish of a claim."""

    warm_pool_ref: Reference = Reference()


class ClaimStatus(Part, frozen=True):
    """The Sandbox that a claim got."""

    conditions: tuple[Condition, ...] = ()
    sandbox: Reference = Reference()


class Claim(Part, frozen=True):
    """A SandboxClaim: it gets a Sandbox from a warm pool."""

    metadata: Meta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class KeyReference(Part, frozen=True):
    """A key of a Secret."""

    name: str = ""
    key: str = ""


class ValueSource(Part, frozen=True):
    """The source of a variable whose value is elsewhere."""

    secret_key_ref: KeyReference | None = None


class Variable(Part, frozen=True):
    """A variable of a container's environment."""

    name: str
    value: str = ""
    value_from: ValueSource | None = None


class Container(Part, frozen=True):
    """A container of a pod, as it is asked for."""

    name: str
    env: tuple[Variable, ...] = ()
    """The token of its service alone."""
    resources: dict[str, Any] = {}

    def __post_init__(self) -> None:
        self._keep("env", tuple(one for one in self.env if one.name == TOKEN_VARIABLE))
        self._keep("resources", _shared(msgspec.json.encode(self.resources)))


@lru_cache(256)
def _shared(encoded: bytes) -> dict[str, Any]:
    """Return the same object for the same resources."""
    return cast(dict[str, Any], msgspec.json.decode(encoded))


class PodSpec(Part, frozen=True):
    """The containers of a pod."""

    containers: tuple[Container, ...] = ()


class PodTemplate(Part, frozen=True):
    """The pod of a Sandbox, as it is asked for."""

    spec: PodSpec = PodSpec()


class SandboxSpec(Part, frozen=True):
    """The wish of a Sandbox."""

    pod_template: PodTemplate = PodTemplate()
    operating_mode: str = "Running"


class SandboxStatus(Part, frozen=True):
    """The state of a Sandbox."""

    conditions: tuple[Condition, ...] = ()
    pod_ips: tuple[str, ...] = msgspec.field(default=(), name="podIPs")


class SandboxObject(Part, frozen=True):
    """A Sandbox of agent-sandbox: a pod that may be suspended, with what belongs to it."""

    metadata: Meta
    spec: SandboxSpec = SandboxSpec()
    status: SandboxStatus = SandboxStatus()


class Phase(Part, frozen=True):
    """A container that waits, or has ended."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0


class ContainerState(Part, frozen=True):
    """The state of a container that does not run."""

    waiting: Phase | None = None
    terminated: Phase | None = None


class ContainerStatus(Part, frozen=True):
    """The state of a container."""

    name: str
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Part, frozen=True):
    """The state of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    """Those that are false."""
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()

    def __post_init__(self) -> None:
        self._keep("conditions", tuple(one for one in self.conditions if one.status != "True"))


class Pod(Part, frozen=True):
    """A pod."""

    metadata: Named
    status: PodStatus = PodStatus()


class Template(Part, frozen=True):
    """A SandboxTemplate: Sandboxes are made of it."""

    metadata: Meta
    spec: dict[str, Any] = {}


class WarmPoolSpec(Part, frozen=True):
    """The wish of a pool."""

    sandbox_template_ref: Reference = Reference()
    replicas: int = 1


class WarmPoolStatus(Part, frozen=True):
    """The state of a pool."""

    ready_replicas: int = 0


class WarmPoolObject(Part, frozen=True):
    """A SandboxWarmPool: Sandboxes of a template that wait to be claimed."""

    metadata: Meta
    spec: WarmPoolSpec = WarmPoolSpec()
    status: WarmPoolStatus = WarmPoolStatus()


class VolumeStatus(Part, frozen=True):
    """The state of a volume claim."""

    phase: str = ""


class VolumeClaim(Part, frozen=True):
    """A PersistentVolumeClaim."""

    metadata: Meta
    status: VolumeStatus = VolumeStatus()


class NetworkPolicy(Part, frozen=True):
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
