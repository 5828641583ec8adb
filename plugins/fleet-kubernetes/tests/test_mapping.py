"""The mapping between sandboxes and objects of a cluster, without a cluster."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Pod
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects import names
from toolbox_fleet_kubernetes.objects.records import changed
from toolbox_fleet_kubernetes.objects.records import decode
from toolbox_fleet_kubernetes.objects.records import encode
from toolbox_fleet_kubernetes.objects.records import new_record
from toolbox_fleet_kubernetes.objects.states import Objects
from toolbox_fleet_kubernetes.objects.states import observe
from toolbox_fleet_kubernetes.objects.states import run_of

HOSTILE = {"../a'b\"": "$(reboot)\n", "ключ": "\U0001f9ea" * 100, "": ""}
LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
BLUEPRINT: dict[str, Any] = {
    "podTemplate": {
        "metadata": {"labels": {"app": "box"}},
        "spec": {
            "automountServiceAccountToken": True,
            "containers": [
                {
                    "name": "toolbox",
                    "image": "toolbox",
                    "env": [
                        {"name": "TOOLBOX_TOKEN", "value": "of the pool"},
                        {"name": "TZ", "value": "UTC"},
                    ],
                    "resources": {"limits": {"cpu": "1500m", "memory": "512Mi", "gpu.x/y": 1}},
                }
            ],
        },
    },
    "envVarsInjectionPolicy": "Disallowed",
}


def parsed(kind: Any, **object_: Any) -> Any:
    """An object as the API server sends it."""
    return msgspec.json.decode(json.dumps({"apiVersion": "x", "kind": "y", **object_}), type=kind)


def ready(status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }


def suspended(status: str, reason: str = "PodTerminated") -> dict[str, str]:
    return {"type": "Suspended", "status": status, "reason": reason}


def sandbox(
    mode: str = "Running", *conditions: dict[str, str], prepared: str = "", **metadata: Any
) -> SandboxObject:
    annotations = {names.PREPARED: prepared} if prepared else {}
    found: SandboxObject = parsed(
        SandboxObject,
        metadata={"name": "s", "uid": "s-1", "annotations": annotations, **metadata},
        spec={"operatingMode": mode},
        status={"conditions": list(conditions), "podIPs": ["10.0.0.7"]},
    )
    return found


def pod(**status: Any) -> Pod:
    found: Pod = parsed(Pod, metadata={"name": "s", "uid": "p-1"}, status=status)
    return found


def container(restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": "toolbox", "restartCount": restarts, **state}


def seen(box: SandboxObject, its: Pod | None = None) -> tuple[str, str, str | None]:
    observed = observe(Objects(box, box, its))
    return observed.state, observed.desired, observed.reason


def test_names_are_those_of_objects_whatever_strangers_choose() -> None:
    record = new_record(CreateSandbox(name="$(x)'; --", labels=HOSTILE))
    for manifest in (
        manifests.secret(record, "me", "t", "k", {"A": "1"}),
        manifests.claim(record, "me", "pool"),
        manifests.sandbox(record, "me", BLUEPRINT),
    ):
        metadata = manifest["metadata"]
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,61}[a-z0-9]", metadata["name"])
        for label, value in metadata["labels"].items():
            assert LABEL.fullmatch(label) and len(label.partition("/")[2]) <= 63
            assert LABEL.fullmatch(value)


def test_a_record_outlives_its_annotation() -> None:
    record = new_record(CreateSandbox(labels=HOSTILE, ttl_minutes=5, public=True))
    assert decode(encode(record)) == record
    assert record.labels.items() >= HOSTILE.items()
    assert decode('{"name": "older", "newField": 1}').name == "older"
    assert decode("no JSON") is None


def test_nothing_secret_is_in_an_annotation_or_a_claim() -> None:
    record = new_record(CreateSandbox(env={"HIDDEN": "hidden-value"}))
    for manifest in (
        manifests.claim(record, "me", "pool"),
        manifests.sandbox(record, "me", BLUEPRINT),
        {"annotation": encode(record)},
    ):
        assert "hidden-value" not in json.dumps(manifest)
        assert "HIDDEN" not in json.dumps(manifest)


def test_a_claim_stays_warm() -> None:
    spec = manifests.claim(new_record(CreateSandbox(env={"A": "1"})), "me", "pool")["spec"]
    assert spec == {"warmPoolRef": {"name": "pool"}}


def test_a_sandbox_gets_no_token_of_the_cluster_and_its_own_of_its_secret() -> None:
    record = new_record(CreateSandbox(ttl_minutes=1))
    manifest = manifests.sandbox(record, "me", BLUEPRINT)
    spec = manifest["spec"]
    assert "envVarsInjectionPolicy" not in spec
    pod = spec["podTemplate"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["metadata"]["labels"] == {"app": "box", names.OWNER: "me", names.ID: record.id}
    (found,) = pod["spec"]["containers"]
    env = {one["name"]: one for one in found["env"]}
    assert env["TOOLBOX_TOKEN"]["valueFrom"]["secretKeyRef"] == {
        "name": names.secret_name(record.name),
        "key": "token",
    }
    assert env["TZ"]["value"] == "UTC"
    assert spec["shutdownTime"] == record.auto_destroy_at
    assert BLUEPRINT["podTemplate"]["spec"]["automountServiceAccountToken"], "a copy is changed"


def test_sizes() -> None:
    assert blueprints.sizes(BLUEPRINT) == (2, 1, 1)
    larger = blueprints.with_sizes(BLUEPRINT, (4, None, 20))
    limits = blueprints.container(larger)["resources"]["limits"]
    assert limits == {"cpu": "4", "memory": "1Gi", "ephemeral-storage": "20Gi", "gpu.x/y": 1}
    assert blueprints.with_sizes(BLUEPRINT, (None, None, None)) is BLUEPRINT
    assert blueprints.sizes({}) == (1, 1, 1)


def test_states_of_a_sandbox_that_runs() -> None:
    up = pod(phase="Running", containerStatuses=[container(2)])
    assert run_of(up) == "p-1/2"
    assert seen(sandbox("Running", ready("True"), prepared="p-1/2"), up)[0] == "started"
    assert seen(sandbox("Running", ready("True")), up)[0] == "creating", "it has no token yet"
    other = sandbox("Running", ready("True"), prepared="p-0/0")
    assert seen(other, up)[0] == "starting", "a new pod has no token yet"
    restarted = sandbox("Running", ready("True"), prepared="p-1/1")
    assert seen(restarted, up)[0] == "starting", "a restarted container has forgotten it"
    assert seen(sandbox(), None) == ("creating", "started", None)


def test_states_of_a_sandbox_that_is_suspended() -> None:
    stopped = sandbox("Suspended", suspended("True"), ready("False"))
    assert seen(stopped) == ("stopped", "stopped", None)
    # Conditions of the time before the change are still there.
    stopping = sandbox("Suspended", suspended("False"), ready("True"), prepared="p-1/0")
    assert seen(stopping, pod(phase="Running"))[:2] == ("stopping", "stopped")
    resumed = sandbox("Running", suspended("True"), ready("False"), prepared="p-1/0")
    assert seen(resumed)[:2] == ("starting", "started")


def test_a_sandbox_that_is_deleted() -> None:
    gone = sandbox("Running", ready("True"), deletionTimestamp="2026-01-01T00:00:00Z")
    assert seen(gone)[:2] == ("destroying", "destroyed")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"containerStatuses": [container(state={"waiting": {"reason": "ImagePullBackOff"}})]},
            "ImagePullBackOff",
        ),
        (
            {
                "containerStatuses": [
                    container(
                        5,
                        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                        lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                    )
                ]
            },
            "OOMKilled: container toolbox ended with exit code 137",
        ),
        (
            {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "The node was low on resource: memory.",
            },
            "Evicted: The node was low on resource: memory.",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [
                    container(state={"terminated": {"reason": "Error", "exitCode": 3}})
                ],
            },
            "Error: container toolbox ended with exit code 3",
        ),
        ({"phase": "Succeeded"}, "PodSucceeded"),
    ],
)
def test_failures_have_their_reason(status: dict[str, Any], reason: str) -> None:
    box = sandbox("Running", ready("False", "DependenciesNotReady"))
    assert seen(box, pod(**status)) == ("error", "started", reason)


def test_an_unschedulable_pod_waits_and_says_for_what() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available",
    }
    observed = observe(Objects(sandbox(), sandbox(), pod(conditions=[condition])))
    assert (observed.state, observed.coming) == ("creating", True)
    assert observed.reason == "Unschedulable: 0/1 nodes are available"


def test_a_claim_that_can_get_nothing() -> None:
    claim = parsed(
        Claim,
        metadata={"name": "c"},
        spec={"warmPoolRef": {"name": "pool"}},
        status={"conditions": [ready("False", "WarmPoolNotFound", "no pool")]},
    )
    observed = observe(Objects(claim, None, None))
    assert (observed.state, observed.reason) == ("error", "WarmPoolNotFound: no pool")


def test_a_condition_may_have_no_time() -> None:
    # One such pod must not keep all others from being read.
    untimed = {"type": "Ready", "status": "False", "lastTransitionTime": None}
    pod = parsed(Pod, metadata={"name": "p"}, status={"conditions": [untimed]})
    assert pod.status.conditions[0].last_transition_time is None


def test_a_bookmark_is_of_any_kind() -> None:
    for kind in (Claim, SandboxObject, Pod):
        metadata = {"resourceVersion": "7", "creationTimestamp": None}
        assert parsed(kind, metadata=metadata).metadata.resourceVersion == "7"


@pytest.mark.parametrize(
    "wanted",
    [
        CreateSandbox(gpu=1),
        CreateSandbox(kvm=True),
        CreateSandbox(domain_allow_list="x.example"),
    ],
)
def test_impossible_wishes_are_refused(wanted: CreateSandbox) -> None:
    with pytest.raises(Unsupported):
        new_record(wanted)


def test_no_variable_replaces_those_of_the_service() -> None:
    with pytest.raises(InvalidValue):
        new_record(CreateSandbox(env={"TOOLBOX_TOKEN": "mine"}))


def test_a_change_replaces_the_labels_of_selectors() -> None:
    record = new_record(CreateSandbox(labels={"a": "1"}))
    before = names.selectable(record.labels)
    new = changed(record, Changes(labels={"b": "2"}))
    change = manifests.metadata_change(new, before, "12")["metadata"]
    assert change["resourceVersion"] == "12"
    left = {label for label, value in change["labels"].items() if value is not None}
    assert left == set(names.selectable({"b": "2"}))
    assert set(before) <= set(change["labels"])
