"""The keys of signed URLs, which a sandbox's service and its Secret both have."""

from __future__ import annotations

import secrets

from toolbox.errors import Unavailable
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AGAIN
from toolbox_fleet_kubernetes.client.kinds import SECRET
from toolbox_fleet_kubernetes.client.retrying import attempts
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.lifecycle import there
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.preparing import NotPrepared
from toolbox_fleet_kubernetes.preparing import Preparer


class SigningAbility:
    """See :class:`toolbox_fleet.backend.CanRotateSigningKey`."""

    _connection: Connection
    _feeds: Feeds
    _lifecycle: Lifecycle
    _preparer: Preparer

    def rotate_signing_key(self, key: str) -> str:
        self._feeds.wait()
        entry = self._lifecycle.fresh(key)
        new = secrets.token_urlsafe(32)
        # First what lasts: a service that is started meanwhile has it from there.
        with there():
            kept = self._connection.merge(
                SECRET, entry.secret.metadata, manifests.signing_change(new)
            )
        self._feeds.secrets.put(kept)
        if entry.view.state != "started":
            return new
        # Another replica may rotate it, too: the service must have what lasts.
        for _ in attempts():
            told = entry.signing_key
            try:
                with there():
                    self._preparer.sign(entry)
            except NotPrepared as error:
                raise Unavailable(
                    f"the key is replaced, but the service does not know yet: {error}", AGAIN
                ) from None
            with there():
                kept = self._connection.get(SECRET, kept.metadata.name)
            self._feeds.secrets.put(kept)
            if entry.signing_key == told:
                return new
        raise AssertionError
