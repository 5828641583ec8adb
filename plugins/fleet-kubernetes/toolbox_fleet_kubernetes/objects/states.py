"""The state of a sandbox, read from its objects."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from toolbox_fleet.models.sandboxes import DesiredState
from toolbox_fleet.models.sandboxes import State
from toolbox_fleet.times import format_time

from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Pod
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.client.parts import Condition
from toolbox_fleet_kubernetes.objects.names import ARCHIVED
from toolbox_fleet_kubernetes.objects.names import PREPARED
from toolbox_fleet_kubernetes.objects.reasons import failure_of_claim
from toolbox_fleet_kubernetes.objects.reasons import failure_of_pod
from toolbox_fleet_kubernetes.objects.reasons import waiting_of_pod

SUSPENDED = "Suspended"
RUNNING = "Running"


class Objects(NamedTuple):
    """The objects of a sandbox, as far as they are there."""

    primary: Claim | SandboxObject
    """The one that we have made: a claim, or the Sandbox itself."""
    sandbox: SandboxObject | None
    """The Sandbox: the primary, or that which the claim got."""
    pod: Pod | None


class Observed(NamedTuple):
    """The state of a sandbox."""

    state: State
    desired: DesiredState
    since: str = ""
    """The time of the last change that the cluster tells of; empty if it tells of none."""
    reason: str | None = None
    """The thing that has gone wrong, or that it waits for."""
    coming: bool = False
    """True while it only takes time."""


def run_of(pod: Pod) -> str:
    """Return what identifies one run of a pod's service: a container that is started again has
    forgotten token and environment.
    """
    restarts = sum(one.restart_count for one in pod.status.container_statuses)
    return f"{pod.metadata.uid}/{restarts}"


def is_prepared(objects: Objects) -> bool:
    """Report whether the service that runs has its token and environment."""
    prepared = objects.primary.metadata.annotations.get(PREPARED)
    return objects.pod is not None and prepared == run_of(objects.pod)


def is_up(objects: Objects) -> bool:
    """Report whether the service of a sandbox can be reached."""
    sandbox = objects.sandbox
    if sandbox is None or objects.pod is None or sandbox.spec.operating_mode != RUNNING:
        return False
    ready = condition(sandbox, "Ready")
    has_pod = objects.pod.metadata.deletion_timestamp is None and bool(sandbox.status.pod_ips)
    return has_pod and ready is not None and ready.status == "True"


def observe(objects: Objects) -> Observed:
    """Return the state of a sandbox."""
    if objects.primary.metadata.deletion_timestamp:
        return Observed("destroying", "destroyed", objects.primary.metadata.deletion_timestamp)
    sandbox = objects.sandbox
    if sandbox is None:
        failure = failure_of_claim(objects.primary) if isinstance(objects.primary, Claim) else None
        if failure:
            return Observed("error", "started", reason=failure)
        return _coming(objects, None)
    # The wish before conditions, which are of the time before it until they are looked at again.
    if sandbox.spec.operating_mode == SUSPENDED:
        return _suspended(sandbox)
    if is_up(objects) and is_prepared(objects):
        ready = condition(sandbox, "Ready")
        return Observed("started", "started", _time(ready))
    # Last: a pod that works is no failure, whatever its containers have been through.
    if failure := failure_of_pod(sandbox, objects.pod):
        return Observed("error", "started", _time(condition(sandbox, "Ready")), failure)
    return _coming(objects, waiting_of_pod(sandbox, objects.pod))


def _suspended(sandbox: SandboxObject) -> Observed:
    suspended = condition(sandbox, "Suspended")
    if suspended is not None and suspended.status == "True":
        if ARCHIVED in sandbox.metadata.annotations:
            return Observed("archived", "archived", _time(suspended))
        return Observed("stopped", "stopped", _time(suspended))
    refused = suspended is not None and suspended.reason == "PodNotOwned"
    reason = suspended.message if refused and suspended is not None else None
    return Observed("stopping", "stopped", _time(suspended), reason)


def _coming(objects: Objects, reason: str | None) -> Observed:
    was_started = PREPARED in objects.primary.metadata.annotations
    ready = condition(objects.sandbox, "Ready") if objects.sandbox else None
    state: State = "starting" if was_started else "creating"
    return Observed(state, "started", _time(ready), reason, coming=True)


def overdue(observed: Observed) -> Observed:
    """Return the state of a sandbox that has been coming for too long."""
    reason = observed.reason or "the pod did not become ready in time"
    return observed._replace(state="error", reason=reason, coming=False)


def condition(sandbox: SandboxObject, name: str) -> Condition | None:
    """Return a condition of a Sandbox, None if it has none of this name."""
    return next((one for one in sandbox.status.conditions if one.type == name), None)


def _time(condition: Condition | None) -> str:
    """Return the time of a condition as our own are written; empty if there is none."""
    if condition is None or not condition.last_transition_time:
        return ""
    return format_time(datetime.fromisoformat(condition.last_transition_time).timestamp())
