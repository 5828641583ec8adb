"""The group ``agentsandbox``."""

from __future__ import annotations

from toolbox.group import Group
from toolbox_agentsandbox import files_routes
from toolbox_agentsandbox import routes
from toolbox_agentsandbox.backend import Runtime
from toolbox_agentsandbox.models import ROOT as ROOT
from toolbox_agentsandbox.settings import RuntimeSettings

FIRST = frozenset({"", "execute", "upload", "download", "list", "exists", "v1"})
"""First segments of the paths of the runtime; "" is its health check."""

group = Group(
    "agentsandbox",
    backend=Runtime,
    default_backend="local",
    settings=RuntimeSettings,
    summary="The runtime of kubernetes-sigs/agent-sandbox",
    root=ROOT,
    error_source="AGENT_SANDBOX",
)
group.include(routes.operations, files_routes.operations)
