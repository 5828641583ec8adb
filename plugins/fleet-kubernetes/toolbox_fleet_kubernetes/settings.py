"""Settings of the backend ``kubernetes``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from toolbox_fleet.local.settings import DEFAULT_SNAPSHOTS


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table ``[fleet.kubernetes]``."""

    kubeconfig: Annotated[
        str,
        Meta(
            description="A kubeconfig; empty for the service account in a pod, and elsewhere for "
            "$KUBECONFIG or ~/.kube/config."
        ),
    ] = ""
    context: Annotated[
        str, Meta(description="A context of the kubeconfig; empty for its current one.")
    ] = ""
    namespace: Annotated[
        str,
        Meta(
            pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
            description="The namespace of the sandboxes; empty for that of the service account or "
            "context.",
        ),
    ] = ""
    owner: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
            description="The label of this control plane's objects. Its replicas share it; another "
            "control plane in the namespace needs another.",
        ),
    ] = "toolbox"
    template: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
            description="The SandboxTemplate of sandboxes for which no snapshot is asked.",
        ),
    ] = "toolbox"
    default_snapshots: Annotated[
        list[str],
        Meta(description="Names of snapshots that stand for that template: clients send them."),
    ] = msgspec.field(default_factory=lambda: list(DEFAULT_SNAPSHOTS))
    port: Annotated[
        int, Meta(ge=1, le=65535, description="The port of the service in each pod.")
    ] = 2280
    route: Annotated[
        str,
        Meta(
            description='The way to a sandbox: "pod" for the address of its pod, "router" for the '
            "sandbox-router of agent-sandbox, or a host name with {sandbox} and perhaps {namespace}"
            ' and a port, such as "{sandbox}.{namespace}.svc.cluster.local:2280".'
        ),
    ] = "pod"
    router: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$",
            description="Host and port of the sandbox-router.",
        ),
    ] = "sandbox-router-svc:8080"
    start_timeout: Annotated[
        int,
        Meta(
            ge=1,
            le=86400,
            description="Seconds after which a sandbox that doesn't become ready is in the state "
            "error; it recovers if its pod becomes ready later.",
        ),
    ] = 300
    storage_class: Annotated[
        str,
        Meta(description="The StorageClass of volumes; empty for the cluster's default."),
    ] = ""
    volume_size: Annotated[int, Meta(ge=1, description="GiB that a new volume requests.")] = 10
    volume_access: Annotated[
        str,
        Meta(
            pattern=r"^ReadWrite(Once|Many|OncePod)$",
            description="The access mode of volumes; ReadWriteMany lets sandboxes on several nodes "
            "share one, if the StorageClass can.",
        ),
    ] = "ReadWriteOnce"
