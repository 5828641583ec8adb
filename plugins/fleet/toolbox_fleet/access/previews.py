"""Preview URLs: the ports of a sandbox, reached from outside."""

from __future__ import annotations

from typing import Protocol

from toolbox.auth.access import Auth
from toolbox.request import RequestInfo
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import OWN_PORT
from toolbox_fleet.access.address import root_url
from toolbox_fleet.errors import InvalidPort
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.access import PreviewUrl
from toolbox_fleet.models.access import SignedPreviewUrl


class Previews(Protocol):
    """Makes preview URLs, and recognizes the requests that come by them."""

    def url(self, sandbox_id: str, port: int, request: RequestInfo) -> PreviewUrl:
        """Return the URL of a port for the client of ``request``.

        Raises InvalidPort, InvalidHost, NoCapacity, NotSupported.
        """

    def signed_url(
        self, sandbox_id: str, port: int, seconds: int, request: RequestInfo
    ) -> SignedPreviewUrl:
        """Return a URL that needs no other credential for ``seconds``. Raises as :meth:`url`."""

    def expire(self, sandbox_id: str, port: int, token: str) -> None:
        """Make a signed URL void. Raises NoSuchResource."""

    def forget(self, sandbox_id: str) -> None:
        """Make all URLs of a sandbox void."""


class OwnPreviews:
    """Preview URLs below the service's own URL, for a sandbox that is the service."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    def url(self, sandbox_id: str, port: int, request: RequestInfo) -> PreviewUrl:
        """Return the URL of a port for the client of ``request``.

        Raises InvalidPort, InvalidHost.
        """
        if not 0 < port < 65536:
            raise InvalidPort("port must be a number from 1 to 65535")
        # What clients mean by 2280 is the service, wherever it really listens.
        own = port in (OWN_PORT, int(request.environ.get("SERVER_PORT", OWN_PORT)))
        root = root_url(request)
        return PreviewUrl(
            sandbox_id=sandbox_id,
            url=root if own else f"{root}{MOUNT}/{sandbox_id}/proxy/{port}",
            token=self._auth.authenticator.preview_token(None if own else port),
        )

    def signed_url(
        self, sandbox_id: str, port: int, seconds: int, request: RequestInfo
    ) -> SignedPreviewUrl:
        """Raise Unsupported."""
        raise Unsupported("a backend that makes sandboxes is needed for signed preview URLs")

    def expire(self, sandbox_id: str, port: int, token: str) -> None:
        """Raise Unsupported."""
        raise Unsupported("a backend that makes sandboxes is needed for signed preview URLs")

    def forget(self, sandbox_id: str) -> None:
        """Do nothing: there are no URLs to be forgotten."""
