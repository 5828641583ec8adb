"""The backend ``local``: this machine is the sandbox."""

from __future__ import annotations

import os
import pwd
import re
from datetime import UTC
from datetime import datetime

import toolbox
from toolbox.handler import SocketHandler
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox.request import RequestInfo
from toolbox_standalone.address import MOUNT
from toolbox_standalone.address import OWN_PORT
from toolbox_standalone.address import SANDBOX_ID
from toolbox_standalone.address import root_url
from toolbox_standalone.errors import InvalidPort
from toolbox_standalone.errors import NoSigningKey
from toolbox_standalone.errors import NoSuchSandbox
from toolbox_standalone.events import EventSocket
from toolbox_standalone.models import PreviewUrl
from toolbox_standalone.models import Sandbox

GIB = 1024**3


class LocalStandalone:
    """See :class:`toolbox_standalone.backend.StandaloneBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._context = context
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._started = now.replace("+00:00", "Z")

    def sandbox(self, sandbox_id: str, toolbox_proxy_url: str) -> Sandbox:
        _check(sandbox_id)
        return Sandbox(
            id=sandbox_id,
            name=sandbox_id,
            toolbox_proxy_url=toolbox_proxy_url,
            user=_user(),
            cpu=os.cpu_count() or 1,
            memory=_gib(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
            disk=_gib(_disk()),
            created_at=self._started,
            updated_at=self._started,
            daemon_version=f"v{toolbox.__version__}",
        )

    def signing_key(self, sandbox_id: str) -> str:
        _check(sandbox_id)
        key = self._context.auth.signing_key
        if not key:
            raise NoSigningKey("no key is configured: set TOOLBOX_SIGNING_KEY")
        return key

    def preview(self, sandbox_id: str, port: int, request: RequestInfo) -> PreviewUrl:
        _check(sandbox_id)
        if not 0 < port < 65536:
            raise InvalidPort("a port is a number from 1 to 65535")
        own = port in (OWN_PORT, int(request.environ.get("SERVER_PORT", OWN_PORT)))
        root = root_url(request)
        return PreviewUrl(
            sandbox_id=sandbox_id,
            url=root if own else f"{root}{MOUNT}/{sandbox_id}/proxy/{port}",
            token=self._context.auth.preview_token(None if own else port),
        )

    def events(self) -> SocketHandler:
        return EventSocket(self._context.auth, self._context.loop)


def _check(sandbox_id: str) -> None:
    if not re.fullmatch(SANDBOX_ID, sandbox_id):
        raise NoSuchSandbox("there is no sandbox of that id")


def _gib(count: int) -> int:
    """Bytes in GiB, rounded up."""
    return -(-count // GIB)


def _disk() -> int:
    info = os.statvfs("/")
    return info.f_blocks * info.f_frsize


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
