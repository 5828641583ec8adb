"""Facts about the control plane, and where the files of image builds go."""

from __future__ import annotations

import toolbox
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import root_url
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasObjectStorage
from toolbox_fleet.errors import InvalidHost
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.configuration import Configuration
from toolbox_fleet.models.configuration import StorageAccess
from toolbox_fleet.plane import plane_of
from toolbox_fleet.routes.abilities import able
from toolbox_fleet.routes.sandbox_settings import LONGEST

operations = Operations()


@operations.get("/api/config", errors=(InvalidHost,))
def get_config(backend: FleetBackend, request: RequestInfo) -> Configuration:
    """Return facts about the control plane: its version and URLs."""
    root = root_url(request)
    return Configuration(
        version=f"v{toolbox.__version__}",
        proxy_template_url=_template(plane_of(backend).settings.preview_host, root),
        proxy_toolbox_url=f"{root}{MOUNT}",
        dashboard_url=root,
        max_auto_archive_interval=LONGEST,
    )


@operations.get("/api/object-storage/push-access", errors=(Unsupported,))
def get_push_access(backend: FleetBackend) -> StorageAccess:
    """Return credentials to upload the files of an image build."""
    return able(backend, HasObjectStorage).push_access()


def _template(preview_host: str, root: str) -> str:
    """Return the URL of a port with marks for sandbox and port: by name, else by the proxy."""
    if not preview_host:
        return f"{root}{MOUNT}/{{{{sandboxId}}}}/proxy/{{{{PORT}}}}"
    scheme = "" if "://" in preview_host else f"{root.partition('://')[0]}://"
    marked = preview_host.replace("{sandbox}", "{{sandboxId}}").replace("{port}", "{{PORT}}")
    return scheme + marked
