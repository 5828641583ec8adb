"""The manifests of ``conf/kubernetes``, against the schemas that Kubernetes publishes.

kubernetes-validate ships those of Kubernetes itself. The resources of kubernetes-sigs/agent-sandbox
are in no package, so of those the parts that are Kubernetes' own are validated, and the few fields
around them are the ones that its client (k8s-agent-sandbox 1.0 on PyPI) sends or documents.
``tests/cluster/test_manifests.py`` applies all of them, where the programs of a cluster are built.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from toolbox.application import core_routes as status
from toolbox.serving.bootstrap import load

Manifest = dict[str, Any]

DIRECTORY = Path(__file__).parent.parent / "conf" / "kubernetes"
MANIFESTS: list[Manifest] = [
    manifest
    for file in sorted(DIRECTORY.glob("*.yaml"))
    for manifest in yaml.safe_load_all(file.read_text())
]
OWN = [manifest for manifest in MANIFESTS if "x-k8s.io" not in manifest["apiVersion"]]
EXTENSIONS = [manifest for manifest in MANIFESTS if manifest not in OWN]
FIELDS = {
    "Sandbox": {"podTemplate", "volumeClaimTemplates"},
    "SandboxTemplate": {"podTemplate", "networkPolicy", "service"},
    "SandboxWarmPool": {"replicas", "sandboxTemplateRef"},
    "SandboxClaim": {"warmPoolRef"},
}


def validate(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def pod_templates() -> list[Manifest]:
    """The template of every pod there is, whoever makes it."""
    found = [each["spec"].get("podTemplate") or each["spec"].get("template") for each in MANIFESTS]
    return [template for template in found if template]


def kind(manifest: Manifest) -> str:
    return str(manifest["kind"])


@pytest.mark.parametrize("manifest", OWN, ids=kind)
def test_what_is_of_kubernetes_follows_its_schema(manifest: Manifest) -> None:
    validate(manifest)
    wrong = copy.deepcopy(manifest)
    wrong["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(wrong)


@pytest.mark.parametrize("manifest", EXTENSIONS, ids=kind)
def test_what_is_of_kubernetes_within_agent_sandbox_follows_its_schema(manifest: Manifest) -> None:
    group = "agents.x-k8s.io" if kind(manifest) == "Sandbox" else "extensions.agents.x-k8s.io"
    assert manifest["apiVersion"] == f"{group}/v1beta1"
    spec = manifest["spec"]
    assert set(spec) == FIELDS[kind(manifest)]
    metadata = {"name": "x"}
    if "podTemplate" in spec:
        template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata}
        validate({**template, "template": spec["podTemplate"]})
    for claim in spec.get("volumeClaimTemplates", []):
        validate({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    if "networkPolicy" in spec:
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        rules = {**spec["networkPolicy"], "podSelector": {}}
        validate({**policy, "metadata": metadata, "spec": rules})


def test_there_is_a_way_with_agent_sandbox_and_one_without() -> None:
    assert {kind(manifest) for manifest in EXTENSIONS} == set(FIELDS)
    assert {kind(manifest) for manifest in OWN} == {"Deployment", "Service", "NetworkPolicy"}


def test_the_names_that_manifests_give_each_other_are_there() -> None:
    by_kind = {kind(manifest): manifest for manifest in MANIFESTS}
    for referring, field, referred in (
        ("SandboxWarmPool", "sandboxTemplateRef", "SandboxTemplate"),
        ("SandboxClaim", "warmPoolRef", "SandboxWarmPool"),
    ):
        name = by_kind[referring]["spec"][field]["name"]
        assert name == by_kind[referred]["metadata"]["name"]
    pod = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["Service"]["spec"]["selector"].items() <= pod.items()
    wanted = by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items()
    assert all(wanted <= template["metadata"]["labels"].items() for template in pod_templates())
    rules = by_kind["NetworkPolicy"]["spec"]
    assert by_kind["SandboxTemplate"]["spec"]["networkPolicy"] == {
        name: rules[name] for name in ("ingress", "egress")
    }


def test_every_pod_is_told_its_token_and_has_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    public = [operation.path for operation in status.group.operations if operation.public]
    assert len(pod_templates()) == 3
    for template in pod_templates():
        spec = template["spec"]
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() == container["resources"]["requests"].keys()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["path"] in public
        env = {each["name"]: each for each in container["env"]}
        assert env["TOOLBOX_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "toolbox"
        prefix = env["TOOLBOX__SERVER__PATH_PREFIX"]["value"].replace("$(SANDBOX)", "my-sandbox")
        monkeypatch.setenv("TOOLBOX__SERVER__PATH_PREFIX", prefix)
        settings = load(os.devnull)[0]
        assert settings.server.path_prefix == "/my-sandbox"
        assert spec["terminationGracePeriodSeconds"] > settings.server.shutdown_timeout
