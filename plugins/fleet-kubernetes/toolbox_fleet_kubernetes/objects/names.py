"""Names, labels and annotations of objects.

What strangers have chosen is in none of the first two but as a digest: names and labels of a
cluster are short and of few characters, and paths are made of names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from toolbox_fleet_kubernetes.client.parts import PREFIX

OWNER = f"{PREFIX}/owner"
"""The label of all objects of a control plane and its replicas: no other is ever changed."""

ID = f"{PREFIX}/id"
"""The label with the id of the sandbox, snapshot, pool or volume that an object is for."""

NAME = f"{PREFIX}/name"
"""The label with the digest of its name."""

RECORD = f"{PREFIX}/record"
"""The annotation with what a client has asked for, as JSON."""

PREPARED = f"{PREFIX}/prepared"
"""The annotation with the run of the pod that has its token and environment."""

SIGNED = f"{PREFIX}/signed"
"""The annotation with the digest of the signing key that its service has."""

NETWORK = f"{PREFIX}/network"
"""The annotation with the limits that its network has: the record says which it should have."""

ARCHIVED = f"{PREFIX}/archived"
"""The annotation of a Sandbox that is archived: on that which has the operating mode, so that one
change sets both.
"""

SECRET = f"{PREFIX}/secret"
"""The label with the id of a client's secret, in place of the other: it is no sandbox's."""

_LABEL = f"label.{PREFIX}"

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_id(key: str) -> bool:
    """Report whether a text is one of our ids."""
    return _ID.fullmatch(key) is not None


def object_name(sandbox_id: str) -> str:
    """Return the name of a sandbox's Sandbox or SandboxClaim.

    It begins with a letter: a Service may get the same, and takes no digit there.
    """
    return f"sandbox-{sandbox_id}"


def secret_name(name: str) -> str:
    """Return the name of the Secret of the sandbox that is called ``name``.

    By the name and not the id: the API server lets only one of several creations succeed, whichever
    replica they come from. So names are unique.
    """
    return f"sandbox-{digest(name)}"


def template_name(name: str) -> str:
    """Return the name of the SandboxTemplate of the snapshot that is called ``name``."""
    return f"snapshot-{digest(name)}"


def volume_name(name: str) -> str:
    """Return the name of the claim of the volume that is called ``name``."""
    return f"volume-{digest(name)}"


def kept_name(name: str) -> str:
    """Return the name of the Secret of the client's secret that is called ``name``."""
    return f"secret-{digest(name)}"


def digest(text: str) -> str:
    """Return a digest that is a valid label and part of a name."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def selectable(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels for selectors, of digests: ``label.sandbox-toolbox/<name>: <value>``."""
    return {f"{_LABEL}/{digest(name)}": digest(value) for name, value in labels.items()}


def is_selectable(label: str) -> bool:
    """Report whether an object's label is one of those."""
    return label.startswith(f"{_LABEL}/")
