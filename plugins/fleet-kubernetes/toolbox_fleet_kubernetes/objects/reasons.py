"""The reasons for which a sandbox doesn't run, for people."""

from __future__ import annotations

from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import ContainerStatus
from toolbox_fleet_kubernetes.client.kinds import Phase
from toolbox_fleet_kubernetes.client.kinds import Pod
from toolbox_fleet_kubernetes.client.kinds import SandboxObject

LONGEST = 500
"""Characters of a message that are passed on."""

# The kubelet tries all of these again, less and less often; none is mended by waiting alone.
_HOPELESS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)

# The claim's controller goes on trying for as long as the claim exists.
_CLAIM_FAILURES = frozenset(
    {
        "TemplateNotFound",
        "WarmPoolNotFound",
        "InvalidMetadata",
        "EnvVarsInjectionRejected",
        "VolumeClaimTemplatesError",
        "SandboxExpired",
        "ClaimExpired",
        "ReconcilerError",
    }
)


def failure_of_claim(claim: Claim) -> str | None:
    """Return why a claim gets no Sandbox, None if it may still get one."""
    for one in claim.status.conditions:
        if one.type == "Ready" and one.status == "False" and one.reason in _CLAIM_FAILURES:
            return _text(one.reason, one.message)
    return None


def failure_of_pod(sandbox: SandboxObject, pod: Pod | None) -> str | None:
    """Return why a Sandbox that should run doesn't, None if it may only need time."""
    if pod is not None:
        failure = _of_containers(pod) or _of_phase(pod)
        if failure:
            return failure
    for one in sandbox.status.conditions:
        if one.type == "Finished" and one.status == "True":
            return _text(one.reason, one.message)
        if one.type == "Ready" and one.reason in ("ReconcilerError", "MultiplePods"):
            return _text(one.reason, one.message)
        if one.type == "Ready" and one.reason == "SandboxExpired":
            return _text(one.reason, one.message)
    return None


def waiting_of_pod(sandbox: SandboxObject, pod: Pod | None) -> str | None:
    """Return what a Sandbox waits for, None if it just starts."""
    conditions = [*(pod.status.conditions if pod else []), *sandbox.status.conditions]
    for one in conditions:
        # A larger cluster may come: no failure until the time is up.
        if one.type == "PodScheduled" and one.status == "False":
            return _text(one.reason, one.message)
    return None


def _of_phase(pod: Pod) -> str | None:
    status = pod.status
    if status.phase not in ("Failed", "Succeeded"):
        return None
    # Evicted, Preempting, DeadlineExceeded, NodeLost...
    return _text(status.reason or f"Pod{status.phase}", status.message)


def _of_containers(pod: Pod) -> str | None:
    for one in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = one.state.waiting
        if waiting is not None and waiting.reason in _HOPELESS:
            ended = _end(one)
            # Why it ended says more than that it is started again.
            if waiting.reason == "CrashLoopBackOff" and ended is not None:
                return _ended(one, ended)
            return _text(waiting.reason, waiting.message)
        if pod.status.phase == "Failed" and (ended := _end(one)) is not None and ended.exit_code:
            return _ended(one, ended)
    return None


def _end(status: ContainerStatus) -> Phase | None:
    return status.state.terminated or status.last_state.terminated


def _ended(status: ContainerStatus, ended: Phase) -> str:
    message = ended.message or f"container {status.name} ended with exit code {ended.exit_code}"
    return _text(ended.reason or "Error", message)


def _text(reason: str, message: str) -> str:
    text = f"{reason}: {message}" if message else reason
    return text[:LONGEST]
