"""Requests to the API server, of the namespace of the sandboxes. *Any thread.*

The library's own client needs a class of its own for each kind, decodes whole objects, and asks for
no bookmarks (without which a quiet watch has to list everything again when it reconnects), so what
is used of the library is the level below: configuration, credentials, transport, errors.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import suppress
from typing import Any
from typing import TypeVar
from typing import cast

import httpx2
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.generic_client import BasicRequest
from lightkube.core.generic_client import GenericSyncClient

from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.errors import translated
from toolbox_fleet_kubernetes.client.errors import unavailable
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.client.parts import Meta
from toolbox_fleet_kubernetes.client.retrying import attempts

T = TypeVar("T")

TIMEOUT = 15.0
"""Seconds for a step of a request: the API server itself gives up after 60, and clients earlier."""

LIST = 60.0
"""Seconds for a step of a list, after which the API server gives up, too."""

CONNECTIONS = 128
"""Connections at once: many sandboxes are created at the same time."""

PAGE = 500
"""Objects of a kind that are listed by one request, as other clients do."""

WATCH = 300
"""Seconds after which the API server ends a watch, so that replicas of it share the load."""

MERGE = "application/merge-patch+json"
PATCHES = "application/json-patch+json"

_KEEPALIVE = (
    # A watch has no timeout: without these it would wait for ever on a host that is gone.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class Connection(GenericSyncClient):
    """The objects of a namespace. Its methods raise as :func:`.errors.translated`."""

    def __init__(self, config: SingleConfig, namespace: str) -> None:
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=32)
        assert config.user is not None
        # Made here, as the library's own transport has no keepalive and few connections.
        tls = verify_cluster(config.cluster, config.user, config.abs_file)
        transport = httpx2.HTTPTransport(verify=tls, limits=limits, socket_options=_KEEPALIVE)
        parameters = ConnectionParams(timeout=httpx2.Timeout(TIMEOUT), transport=transport)
        super().__init__(parameters, config, namespace or None)
        self._streams: dict[int, httpx2.Response] = {}
        self._closed = False
        self._requests = 0
        self._released = False
        self._quiet = threading.Condition()

    def get(self, kind: Kind[T], name: str) -> T:
        """Return an object."""
        return self._call(kind, "GET", kind.url(self.namespace, name))

    def listed(
        self, kind: Kind[T], selector: str = "", cached: bool = False
    ) -> tuple[list[T], str]:
        """Return all objects that match, and the version of the list.

        With ``cached`` as the API server knows them, perhaps from a moment ago: it need not read
        and check thousands of objects then, which takes it seconds for each thousand.
        """
        parameters: dict[str, Any] = {"limit": PAGE}
        if cached:
            parameters["resourceVersion"] = "0"
        if selector:
            parameters["labelSelector"] = selector
        request = _request("GET", kind.url(self.namespace), kind, parameters)
        request.timeout = httpx2.Timeout(LIST)
        items: list[T] = []
        version, more = "", True  # The library puts the place of the next page in the request.
        while more:
            with translated():
                response = self.send(self.build_adapter_request(request))
                more, found, page = self.handle_response("list", response, request)
            version, items = found or "", items + page
        return items, version

    def create(self, kind: Kind[T], manifest: dict[str, Any]) -> T:
        """Create an object. Raises Unavailable, not NotThere, without the namespace."""
        body = {"apiVersion": kind.group, "kind": kind.name, **manifest}
        for _ in attempts():
            try:
                return self._call(kind, "POST", kind.url(self.namespace), body)
            except Outdated:
                # Of the namespace's quota, which others who create count in, too.
                continue
            except NotThere as error:
                raise unavailable(str(error)) from None
        raise AssertionError

    def patch(self, kind: Kind[T], name: str, change: dict[str, Any]) -> T:
        """Merge a change into an object. With its ``resourceVersion`` in it, only if that is still
        the object's; Outdated then.
        """
        return self._call(kind, "PATCH", kind.url(self.namespace, name), change, MERGE)

    def merge(self, kind: Kind[T], metadata: Meta, change: dict[str, Any]) -> T:
        """Merge a change into the very object that has this name and uid, whatever others change of
        it at the same time. Raises NotThere also if another has its name by now.
        """
        own = {**change.get("metadata", {}), "uid": metadata.uid}
        for _ in attempts():
            try:
                return self.patch(kind, metadata.name, {**change, "metadata": own})
            except Outdated:
                now: Any = self.get(kind, metadata.name)
                if now.metadata.uid != metadata.uid:
                    raise NotThere(metadata.name) from None
        raise AssertionError

    def replace(self, kind: Kind[T], metadata: Meta, path: str, value: Any) -> T:
        """Set one value in an object, at a path in the form of RFC 6901. Raises as :meth:`merge`.

        A merge would replace the whole of a list on the way.
        """
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
            {"op": "add", "path": path, "value": value},
        ]
        for _ in attempts():
            try:
                url = kind.url(self.namespace, metadata.name)
                return self._call(kind, "PATCH", url, operations, PATCHES)
            except Outdated:
                continue
        raise AssertionError

    def delete(self, kind: Kind[T], name: str, uid: str, grace: int | None = None) -> bool:
        """Delete an object with what belongs to it; report whether it was there.

        Only the one with this uid: another may have got its name.
        """
        # In the background: in the foreground it would stay until its pod has ended, name and all.
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        request = BasicRequest("DELETE", kind.url(self.namespace, name), data=options)
        try:
            with translated():
                self.raise_for_status(self.send(self.build_adapter_request(request)))
        # A conflict: the name is another object's now.
        except (NotThere, Outdated):
            return False
        return True

    def _call(
        self,
        kind: Kind[T],
        method: str,
        url: str,
        body: dict[str, Any] | list[dict[str, Any]] | None = None,
        content_type: str = "application/json",
    ) -> T:
        headers = {"Content-Type": content_type} if body is not None else None
        request = _request(method, url, kind)
        request.data, request.headers = body, headers
        with translated():
            response = self.send(self.build_adapter_request(request))
            found: T = self.handle_response(method.lower(), response, request)
        return found

    def follow(self, kind: Kind[T], version: str, selector: str) -> Iterator[tuple[str, T]]:
        """Yield the changes since ``version``: what has happened (``ADDED``, ``MODIFIED``,
        ``DELETED``, ``BOOKMARK``) and the object. It doesn't end by itself.
        """
        parameters: dict[str, Any] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": WATCH,
        }
        if selector:
            parameters["labelSelector"] = selector
        request = _request("GET", kind.url(self.namespace), kind, parameters)
        try:
            with translated():
                yield from self.watch(request)
        finally:
            self._end_stream()

    def send(self, req: httpx2.Request, stream: bool = False) -> httpx2.Response:
        """See the library: it calls this for everything."""
        if not stream:
            with self._begun():
                return cast(httpx2.Response, super().send(req))
        self._end_stream()
        with self._begun() as begun:
            response = cast(httpx2.Response, super().send(req, stream=True))
            begun.pop_all()  # It ends with the stream.
        self._streams[threading.get_ident()] = response
        if self._closed:
            # Closed in between: nobody else would end it.
            _interrupt(response)
        return response

    def _end_stream(self) -> None:
        # The library leaves it to the garbage collector, with its connection.
        if (response := self._streams.pop(threading.get_ident(), None)) is not None:
            try:
                response.close()
            finally:
                self._ended()

    def close(self) -> None:
        """End all watches: each raises Unavailable on its own thread."""
        self._closed = True
        for response in list(self._streams.values()):
            _interrupt(response)

    def _begun(self) -> ExitStack:
        """Count a request; return what counts its end."""
        with self._quiet:
            if self._released:
                raise ConnectionAbortedError("the client is closed")
            self._requests += 1
        with ExitStack() as ending:
            ending.callback(self._ended)
            return ending.pop_all()

    def _ended(self) -> None:
        with self._quiet:
            self._requests -= 1
            if self._released and not self._requests:
                super().close()
            self._quiet.notify_all()

    def release(self) -> None:
        """Wait for the requests and watches of other threads, and close all connections.

        A request that takes longer closes them when it ends: under it, another file could get the
        descriptor that it still writes to. A later one raises Unavailable: it would open a
        connection that nobody closes.
        """
        with self._quiet:
            self._released = True
            self._quiet.wait_for(lambda: not self._requests, 2 * TIMEOUT)
            if not self._requests:
                super().close()


def _request(
    method: str, url: str, kind: Kind[Any], parameters: dict[str, Any] | None = None
) -> BasicRequest:
    # Our own structs instead of the library's: it decodes into any.
    return BasicRequest(method, url, cast(Any, kind.type), parameters or {})


def _interrupt(response: httpx2.Response) -> None:
    """Wake the thread that reads a response: closing a socket doesn't."""
    stream = response.extensions.get("network_stream")
    opened = stream.get_extra_info("socket") if stream is not None else None
    if opened is not None:
        with suppress(OSError):
            # Not by its own method, after which another thread would go on without TLS.
            socket.socket.shutdown(opened, socket.SHUT_RDWR)
