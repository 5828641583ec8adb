"""What a backend of the group ``standalone`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox.handler import SocketHandler
from toolbox.request import RequestInfo
from toolbox_standalone.models import PreviewUrl
from toolbox_standalone.models import Sandbox


class StandaloneBackend(Protocol):
    """Plays the control plane."""

    def sandbox(self, sandbox_id: str, toolbox_proxy_url: str) -> Sandbox:
        """Describe the sandbox, to be reached at ``toolbox_proxy_url``. Raises NoSuchSandbox."""

    def signing_key(self, sandbox_id: str) -> str:
        """The key that URLs are signed with. Raises NoSuchSandbox, NoSigningKey."""

    def preview(self, sandbox_id: str, port: int, request: RequestInfo) -> PreviewUrl:
        """Tell whoever has sent ``request`` where a port is reached.

        Raises NoSuchSandbox, InvalidPort, InvalidHost.
        """

    def events(self) -> SocketHandler:
        """Drive one client's Socket.IO connection."""
