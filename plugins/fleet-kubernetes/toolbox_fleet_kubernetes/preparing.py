"""Giving the service of a pod its token, signing key and environment.

A pod of a warm pool has been started before anybody has asked for it, and a pod after a resume is a
new one: it knows the token of its template only. Whichever replica does this, does it alike; twice
does no harm.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from toolbox_fleet.models.addresses import Upstream

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.threads import Crew
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.kinds import SECRET
from toolbox_fleet_kubernetes.client.kinds import TOKEN_VARIABLE
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import kind_of
from toolbox_fleet_kubernetes.objects.names import PREPARED
from toolbox_fleet_kubernetes.objects.names import SIGNED
from toolbox_fleet_kubernetes.objects.names import digest
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.states import is_prepared
from toolbox_fleet_kubernetes.objects.states import is_up
from toolbox_fleet_kubernetes.objects.states import run_of
from toolbox_fleet_kubernetes.traffic import Traffic

THREADS = 32
"""Services that are prepared at once."""

TIMEOUT = 10.0
"""Seconds for a response of a service."""

OTHERS = 1.0, 3.0
"""Seconds that a replica leaves to the one that has been asked to start the sandbox."""

AGAIN = 0.5, 15.0
"""Seconds until the next attempt, at first and at most."""

LAUNCH = "agents.x-k8s.io/launch-type"
"""The label by which the controller tells what it took from a pool from what it had to start."""

log = logging.getLogger("toolbox")


class NotPrepared(Exception):
    """The service has not taken its token or environment; the text says why."""


class Preparer:
    """Prepares services that are up. *Any thread.*"""

    def __init__(
        self,
        context: Context,
        connection: Connection,
        traffic: Traffic,
    ) -> None:
        self._loop = context.loop
        self._connection = connection
        self._traffic = traffic
        self._crew = Crew(THREADS)
        self._lock = threading.Lock()
        self._own: set[str] = set()
        """Sandboxes that this replica has been asked to start."""
        self._doing: dict[str, str] = {}
        """The run of each sandbox that is being prepared, or soon will be."""
        self.find: Callable[[str], Entry | None] = lambda identity: None
        """Return a sandbox by id."""
        self.prepared: Callable[[Any], None] = lambda primary: None
        """Take note of the object whose annotation says that its service is prepared."""
        self.troubled: Callable[[str, str], None] = lambda identity, text: None
        """Take note of why a service could not be prepared."""
        self.secrets: Callable[[Record], dict[str, str]] = lambda record: {}
        """Return the variables of a sandbox that are secrets."""
        self.took_warm: Callable[[], None] = lambda: None
        """Called for each new sandbox that a pool had ready."""

    def expect(self, identity: str) -> None:
        """Note that this replica is to prepare a sandbox, without delay."""
        with self._lock:
            self._own.add(identity)

    def notice(self, entry: Entry) -> None:
        """Look at a sandbox about which something new is known. It doesn't wait."""
        identity, objects = entry.record.id, entry.objects
        if entry.deleting or not is_up(objects) or is_prepared(objects) or objects.pod is None:
            return
        run = run_of(objects.pod)
        with self._lock:
            if self._doing.get(identity) == run:
                return
            self._doing[identity] = run
            mine = identity in self._own
        job = partial(self._prepare, identity, run, 0)
        if mine:
            self._crew.submit(job)
        else:
            self._later(random.uniform(*OTHERS), job)

    def forget(self, identity: str) -> None:
        """Forget a sandbox that is gone."""
        with self._lock:
            self._own.discard(identity)
            self._doing.pop(identity, None)

    def close(self) -> None:
        """Begin nothing more."""
        self._crew.shutdown()

    def _later(self, seconds: float, job: Callable[[], None]) -> None:
        self._loop.call_later(seconds, lambda: self._crew.submit(job))

    def _prepare(self, identity: str, run: str, attempt: int) -> None:
        entry = self.find(identity)
        objects = entry.objects if entry is not None else None
        is_current = objects and objects.pod and is_up(objects) and run_of(objects.pod) == run
        # Stopped, replaced or done by another replica meanwhile.
        if entry is None or not is_current or is_prepared(entry.objects):
            self._done(identity, run)
            return
        try:
            key = entry.signing_key
            self._give(entry, key)
            self._note(entry, run, key)
        except NotThere:
            # Deleted meanwhile, and perhaps made again.
            self._done(identity, run)
        except Exception as error:
            if not isinstance(error, ToolboxError | NotPrepared):
                log.exception("sandbox %s could not be prepared", identity)
            self.troubled(identity, f"its service could not be prepared: {error}")
            seconds = min(AGAIN[1], AGAIN[0] * 2**attempt)
            self._later(seconds, partial(self._prepare, identity, run, min(attempt + 1, 10)))
        else:
            self._done(identity, run)

    def _done(self, identity: str, run: str) -> None:
        with self._lock:
            if self._doing.get(identity) == run:
                del self._doing[identity]
                self._own.discard(identity)

    def _note(self, entry: Entry, run: str, key: str) -> None:
        primary, sandbox = entry.objects.primary, entry.objects.sandbox
        is_new = PREPARED not in primary.metadata.annotations
        change = {"metadata": {"annotations": {PREPARED: run, SIGNED: digest(key)}}}
        self.prepared(self._connection.merge(kind_of(primary), primary.metadata, change))
        self.troubled(entry.record.id, "")
        if is_new and sandbox is not None and sandbox.metadata.labels.get(LAUNCH) == "warm":
            self.took_warm()

    def _give(self, entry: Entry, key: str) -> None:
        """Set token, key and environment. Raises NotPrepared, and what the connection raises."""
        upstream = self._traffic.direct(entry.objects, entry.token)
        self._set_token(entry, upstream, key)
        body = {"set": entry.env | self.secrets(entry.record)}
        status = _post(upstream, "/env", body, entry.token)
        if status != 200:
            raise NotPrepared(f"it refuses the environment with status {status}")

    def _set_token(self, entry: Entry, upstream: Upstream, key: str) -> None:
        # A pod of our own Sandbox has its token from the start, one of a pool that of the pool,
        # unless another replica was first.
        tokens = [lambda: entry.token, lambda: self._pool_token(entry)]
        if isinstance(entry.objects.primary, Claim):
            tokens.reverse()
        body = {"token": entry.token, "signingKey": key}
        status = _post(upstream, "/init", body, tokens[0]())
        if status == 401:
            status = _post(upstream, "/init", body, tokens[1]())
        if status != 200:
            raise NotPrepared(f"it refuses the token with status {status}")

    def sign(self, entry: Entry) -> None:
        """Give a service its signing key of now. Raises NotPrepared, WrongState, NotThere."""
        key, primary = entry.signing_key, entry.objects.primary
        upstream = self._traffic.direct(entry.objects, entry.token)
        body = {"token": entry.token, "signingKey": key}
        status = _post(upstream, "/init", body, entry.token)
        if status != 200:
            raise NotPrepared(f"it refuses the key with status {status}")
        change = {"metadata": {"annotations": {SIGNED: digest(key)}}}
        self.prepared(self._connection.merge(kind_of(primary), primary.metadata, change))

    def _pool_token(self, entry: Entry) -> str:
        """Return the token with which a pod's service has started."""
        sandbox = entry.objects.sandbox
        containers = sandbox.spec.pod_template.spec.containers if sandbox is not None else []
        for one in containers[0].env if containers else []:
            if one.name != TOKEN_VARIABLE:
                continue
            reference = one.value_from and one.value_from.secret_key_ref
            if not reference:
                return one.value
            # Not kept: whoever changes it need not restart us.
            secret = self._connection.get(SECRET, reference.name)
            return base64.b64decode(secret.data.get(reference.key, "")).decode()
        return ""


def _post(upstream: Upstream, path: str, body: dict[str, Any], token: str) -> int:
    """Send a request to a service; return the status. Raises NotPrepared."""
    connection = http.client.HTTPConnection(upstream.host, upstream.port, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        response.read(64 * 1024)
        return response.status
    except (OSError, http.client.HTTPException) as error:
        raise NotPrepared(f"{type(error).__name__}: {error}") from None
    finally:
        connection.close()


def is_signed(entry: Entry) -> bool:
    """Report whether the service of a sandbox that is started has its signing key of now."""
    signed = entry.objects.primary.metadata.annotations.get(SIGNED)
    return entry.view.state != "started" or signed == digest(entry.signing_key)
