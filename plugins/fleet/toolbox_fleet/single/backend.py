"""The backend ``single``: this machine is the sandbox."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterable

import msgspec

from toolbox.lifecycle import Context
from toolbox_fleet.access.address import SANDBOX_ID
from toolbox_fleet.access.previews import OwnPreviews
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSigningKey
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.metrics import Series
from toolbox_fleet.models.sandboxes import LANGUAGE_LABEL
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.plane import Plane
from toolbox_fleet.single.environment import Environment
from toolbox_fleet.single.machine import series
from toolbox_fleet.single.machine import this_machine
from toolbox_fleet.single.settings import SingleSettings
from toolbox_fleet.times import format_time

# A program that asks for these would not notice that it hasn't got them.
_IMPOSSIBLE = (
    *("snapshot", "build_info", "volumes", "secrets", "linked_sandbox", "kvm", "spot", "gpu"),
    *("network_block_all", "network_allow_list", "domain_allow_list", "outbound_proxy_url"),
)

log = logging.getLogger("toolbox")


class SingleFleet:
    """See :class:`toolbox_fleet.backend.FleetBackend`.

    The sandbox has any id: a control plane elsewhere may know it by one that it hasn't told us.
    What ``create`` sets is kept in memory, and forgotten by ``delete`` and by a restart.
    """

    def __init__(self, settings: SingleSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._lock = threading.RLock()
        self._record = this_machine()
        self._created = False
        self._environment = Environment()
        self.plane = Plane(self, context, OwnPreviews(context.auth))

    def create(self, wanted: CreateSandbox) -> Sandbox:
        if impossible := [name for name in _IMPOSSIBLE if getattr(wanted, name)]:
            names = ", ".join(impossible).replace("_", " ")
            raise Unsupported(f"this machine is the only sandbox, as it is: it takes no {names}")
        with self._lock:
            if self._created and self._settings.exclusive:
                raise NameTaken("this machine is the only sandbox, and has been created already")
            self._created = True
            self._environment.add(wanted.env or {})
            self._record = _made(self._record, wanted)
            self.plane.report(Event(kind="created", sandbox=self._record))
            return self._record

    def sandbox(self, key: str) -> Sandbox:
        record = self._record
        if key in (record.id, record.name):
            return record
        if not re.fullmatch(SANDBOX_ID, key):
            raise NoSuchSandbox("sandbox not found: none has this id or name")
        return msgspec.structs.replace(record, id=key, name=key)

    def sandboxes(self) -> Iterable[Sandbox]:
        return [self._record]

    def start(self, key: str) -> Sandbox:
        return self.sandbox(key)

    def stop(self, key: str, force: bool) -> Sandbox:
        self.sandbox(key)
        if self._settings.on_delete != "stop":
            raise Refused("this machine is the only sandbox: it can't be stopped")
        return self._end(key, "stopping", "stopped")

    def delete(self, key: str) -> Sandbox:
        self.sandbox(key)
        match self._settings.on_delete:
            case "refuse":
                raise Refused("this machine is the only sandbox: it can't be deleted")
            case "stop":
                return self._end(key, "destroying", "destroyed")
        return self._release(key)

    def change(self, key: str, changes: Changes) -> Sandbox:
        self.sandbox(key)
        with self._lock:
            made = {**changes.made(), "updated_at": format_time()}
            self._record = msgspec.structs.replace(self._record, **made)
        # By its own id: the operations tell by the id that the client has used.
        self.plane.changed(self._record)
        return self.sandbox(key)

    def upstream(self, key: str) -> Upstream:
        raise Refused("the only sandbox is the service itself")

    def signing_key(self, key: str) -> str:
        self.sandbox(key)
        secret = self._context.auth.store.signing_key
        if not secret:
            raise NoSigningKey("no signing key is configured: set TOOLBOX_SIGNING_KEY")
        return secret

    def metrics(self, key: str, start: float, end: float) -> list[Series]:
        self.sandbox(key)
        info = self._context.backends.get("info")
        if info is None:
            raise Unsupported("metrics of this machine need the group info")
        # There is no record of the past: a range that ends before now has no values.
        return series(info.metrics()) if start <= time.time() <= end + 1 else []

    def close(self) -> None:
        self.plane.close()

    def _release(self, key: str) -> Sandbox:
        """Forget what ``create`` has set; the next one finds a sandbox as the first did."""
        with self._lock:
            gone = msgspec.structs.replace(
                self.sandbox(key), state="destroyed", desired_state="destroyed"
            )
            self._environment.restore()
            self._record = this_machine()
            self._created = False
        self.plane.report(Event(kind="state", sandbox=gone, old="started", new="destroyed"))
        return gone

    def _end(self, key: str, state: str, desired: str) -> Sandbox:
        """Stop the service, which completes this request first."""
        with self._lock:
            self._record = msgspec.structs.replace(
                self._record, state=state, desired_state=desired, updated_at=format_time()
            )
            ending = self.sandbox(key)
        self.plane.report(Event(kind="state", sandbox=ending, old="started", new=state))
        log.info("stopping, as the sandbox is deleted or stopped")
        # The master's pid: from it the service is stopped as by its operator.
        os.kill(os.getppid(), signal.SIGTERM)
        return ending


def _made(record: Sandbox, wanted: CreateSandbox) -> Sandbox:
    """Return the record after a ``create``, which leaves what it doesn't mention as it is."""
    given = {
        name: value
        for name in Changes.__struct_fields__
        if (value := getattr(wanted, name, None)) is not None
    }
    if wanted.labels is not None:
        given["labels"] = {LANGUAGE_LABEL: "python", **wanted.labels}
    if wanted.ttl_minutes:
        given["auto_destroy_at"] = format_time(time.time() + 60 * wanted.ttl_minutes)
    now = format_time()
    return msgspec.structs.replace(
        record,
        name=wanted.name or record.name,
        env={**record.env, **(wanted.env or {})},
        created_at=now,
        updated_at=now,
        **given,
    )
