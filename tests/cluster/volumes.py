"""What a pod's container gets of other objects: its environment, and a directory for each mount."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx2

from .api import Api
from .api import Object

ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
"""The directory of the account's token, which /var/run leads to."""


class MissingObject(Exception):
    """A secret, a claim or the like that a pod names isn't there."""


def environment(api: Api, found: Object, address: str) -> dict[str, str]:
    """Return the environment of a pod's first container. Raises MissingObject."""
    namespace = found["metadata"]["namespace"]
    # Every container is told where the API server is.
    server = httpx2.URL(api.url)
    env = {
        "KUBERNETES_SERVICE_HOST": server.host,
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(server.port),
    }
    for variable in found["spec"]["containers"][0].get("env", []):
        source = variable.get("valueFrom") or {}
        if "secretKeyRef" in source or "configMapKeyRef" in source:
            value = _of_key(api, source, namespace)
        elif "fieldRef" in source:
            value = _field(found, source["fieldRef"]["fieldPath"], address)
        else:
            value = variable.get("value", "")
        env[variable["name"]] = value
    return env


def _of_key(api: Api, source: Object, namespace: str) -> str:
    kind = "secrets" if "secretKeyRef" in source else "configmaps"
    wanted = source.get("secretKeyRef") or source["configMapKeyRef"]
    data = _data(api, kind, wanted["name"], namespace)
    if wanted["key"] not in data:
        raise MissingObject(f"couldn't find key {wanted['key']} in {kind} {wanted['name']}")
    return data[wanted["key"]].decode()


def _data(api: Api, kind: str, name: str, namespace: str) -> dict[str, bytes]:
    found = api.find(kind, name, namespace)
    if found is None:
        raise MissingObject(f"{kind} {name} not found")
    data = found.get("data") or {}
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in data.items()}
    return {key: value.encode() for key, value in data.items()}


def _field(found: Object, path: str, address: str) -> str:
    if path in ("status.podIP", "status.hostIP"):
        return address
    head, _, name = path.partition("['")
    value: Object | str = found
    for step in head.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    if name and isinstance(value, dict):  # metadata.labels['name']
        value = value.get(name.removesuffix("']"), "")
    return str(value)


def mounts(api: Api, found: Object, directory: Path, storage: Path) -> dict[str, Path]:
    """Return the directory for each path that a pod's first container mounts.

    ``directory`` is the pod's, ``storage`` keeps the claims' files. Raises MissingObject.
    """
    namespace = found["metadata"]["namespace"]
    volumes = {volume["name"]: volume for volume in found["spec"].get("volumes", [])}
    made: dict[str, Path] = {}
    for mount in found["spec"]["containers"][0].get("volumeMounts", []):
        volume = volumes[mount["name"]]
        if "persistentVolumeClaim" in volume:
            name = volume["persistentVolumeClaim"]["claimName"]
            source = storage / _claim(api, name, namespace)
        else:
            source = directory / "volumes" / mount["name"]
        source = source / mount.get("subPath", "")
        source.mkdir(parents=True, exist_ok=True)
        _fill(api, found, volume, source)
        made[mount["mountPath"]] = source
    if found["spec"].get("automountServiceAccountToken", True):
        made[ACCOUNT] = _account(api, found, directory / "account")
    return made


def _account(api: Api, found: Object, target: Path) -> Path:
    """Return a directory with the credentials of a pod's account."""
    target.mkdir(parents=True, exist_ok=True)
    (target / "token").write_bytes(_token(api, found, {}))
    (target / "ca.crt").write_bytes(api.certificate.read_bytes())
    (target / "namespace").write_text(found["metadata"]["namespace"])
    return target


def _claim(api: Api, name: str, namespace: str) -> str:
    """Return the name of a claim's directory; bind the claim, as a provisioner does."""
    claim = api.find("persistentvolumeclaims", name, namespace)
    if claim is None:
        raise MissingObject(f'persistentvolumeclaim "{name}" not found')
    if (claim.get("status") or {}).get("phase") != "Bound":
        capacity = claim["spec"]["resources"]["requests"]
        status = {"status": {"phase": "Bound", "capacity": capacity}}
        api.patch("persistentvolumeclaims/status", name, status, namespace)
    return str(claim["metadata"]["uid"])


def _fill(api: Api, found: Object, volume: Object, target: Path) -> None:
    namespace = found["metadata"]["namespace"]
    files: dict[str, bytes] = {}
    for source in volume.get("projected", {}).get("sources", [volume]):
        if "secret" in source:
            name = source["secret"].get("secretName") or source["secret"]["name"]
            files |= _data(api, "secrets", name, namespace)
        if "configMap" in source:
            files |= _data(api, "configmaps", source["configMap"]["name"], namespace)
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            files[token["path"]] = _token(api, found, token)
        for item in source.get("downwardAPI", {}).get("items", []):
            files[item["path"]] = _field(found, item["fieldRef"]["fieldPath"], "").encode()
    for name, content in files.items():
        (target / name).write_bytes(content)


def _token(api: Api, found: Object, wanted: Object) -> bytes:
    account = found["spec"].get("serviceAccountName", "default")
    namespace = found["metadata"]["namespace"]
    where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    spec = {"audiences": [wanted["audience"]] if "audience" in wanted else []}
    token: str = api.call("POST", where, {"spec": spec})["status"]["token"]
    return token.encode()
