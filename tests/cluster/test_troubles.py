"""Sandboxes while something of the cluster is missing: a template, the controller, a history, or
etcd's response.
"""

from __future__ import annotations

import select
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet_kubernetes import creating
from toolbox_fleet_kubernetes import janitor
from toolbox_fleet_kubernetes.backend import KubernetesFleet
from toolbox_fleet_kubernetes.client import connection
from toolbox_fleet_kubernetes.client.connection import _interrupt
from toolbox_fleet_kubernetes.client.kinds import SECRET

from toolbox.errors import Unavailable
from toolbox.testing import DEADLINE

from .cluster import Cluster
from .fleets import add_pool
from .fleets import add_template
from .fleets import ask
from .fleets import delete_all
from .fleets import left
from .fleets import lists
from .fleets import settings


def test_a_template_that_is_deleted_under_its_pool(
    cluster: Cluster, place: str, backend: Any
) -> None:
    add_template(cluster, place, "doomed")
    add_pool(cluster, place, 1, "doomed")
    sandbox = made(backend, snapshot="doomed", env={"GIVEN": "x"})
    cluster.api.delete("sandboxtemplates", "doomed", place)
    eventually(lambda: _trouble_of_pool(backend, "doomed"))
    assert "doomed" in _trouble_of_pool(backend, "doomed")
    with pytest.raises(NoSuchResource):
        backend.create(CreateSandbox(snapshot="doomed"))
    # It needs neither any more.
    backend.stop(sandbox.id, force=True)
    reaches(backend, sandbox.id, "stopped")
    backend.start(sandbox.id)
    assert reaches(backend, sandbox.id, "started").env == {"GIVEN": "x"}
    cluster.api.delete("sandboxwarmpools", "doomed", place)
    eventually(lambda: list(backend.warm_pools()) == [])
    assert backend.sandbox(sandbox.id).state == "started"


def _trouble_of_pool(backend: Any, snapshot: str) -> str:
    (pool,) = [one for one in backend.warm_pools() if one.snapshot == snapshot]
    return pool.error_reason or ""


def test_without_the_controller_sandboxes_wait(
    cluster: Cluster, place: str, make_backend: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "WARM", 0.1)
    add_template(cluster, place, "waiting")
    add_pool(cluster, place, 1, "waiting")
    given = settings(cluster, place, start_timeout=1)
    backend = make_backend(KubernetesFleet, given, FleetSettings())
    eventually(lambda: [one.current_size for one in backend.warm_pools()] == [1])
    cluster.control_plane.controller.stop()
    try:
        found = [backend.create(CreateSandbox(snapshot=name)).id for name in (None, "waiting")]
        gone = backend.create(CreateSandbox(name="gone"))
        backend.delete("gone")
        for key in found:
            eventually(lambda key=key: backend.sandbox(key).state == "error")
            assert "did not become ready" in backend.sandbox(key).error_reason
        eventually(lambda: is_gone(backend, gone.id))
    finally:
        cluster.control_plane.controller.start()
    for key in found:
        eventually(lambda key=key: backend.sandbox(key).state == "started")
    delete_all(cluster, place, backend)


def test_a_history_that_the_api_server_has_forgotten_is_listed_anew(
    cluster: Cluster, place: str, backend: Any
) -> None:
    lost = made(backend)
    assert backend._feeds.lists() == 0
    for watch in backend._feeds._watches:
        # Of a time long before the API server's own memory begins.
        watch._version = "1"
    for response in list(backend._connection._streams.values()):
        _interrupt(response)
    cluster.api.delete("sandboxes", f"sandbox-{lost.id}", place)
    eventually(lambda: backend._feeds.lists() > 0)
    eventually(lambda: is_gone(backend, lost.id))
    assert made(backend).state == "started"
    assert backend.details()["cluster"] == "followed"


def test_a_watch_that_breaks_goes_on_without_a_list(
    cluster: Cluster, place: str, backend: Any
) -> None:
    sandbox = made(backend)
    before = lists(cluster.api)
    for _ in range(3):
        for response in list(backend._connection._streams.values()):
            _interrupt(response)
        backend.stop(sandbox.id, force=True)
        reaches(backend, sandbox.id, "stopped")
        backend.start(sandbox.id)
        reaches(backend, sandbox.id, "started")
    assert lists(cluster.api) == before


def test_after_a_restart_of_the_api_server_each_kind_is_listed_once(
    cluster: Cluster, place: str, backend: Any, replica: Any
) -> None:
    """By each of two replicas: it knows none of the places where their watches were."""
    sandbox = made(backend)
    assert replica.sandbox(sandbox.id).id == sandbox.id
    cluster.control_plane.restart_server()
    eventually(lambda: all(lists(cluster.api).values()), "a list of each kind")
    cluster.api.delete("sandboxes", f"sandbox-{sandbox.id}", place)
    eventually(lambda: is_gone(backend, sandbox.id) and is_gone(replica, sandbox.id))
    # A watch may go on where it was if nothing at all has changed since.
    assert max(lists(cluster.api).values()) <= 2


def test_what_has_come_before_a_watch_is_interrupted_is_read(
    cluster: Cluster, place: str, backend: Any
) -> None:
    """Its end comes from another thread, which must not change how this one reads."""
    connection = backend._connection
    _, version = connection.listed(SECRET)
    changes = connection.follow(SECRET, version, "")
    cluster.api.create("secrets", {"metadata": {"name": "first"}}, place)
    assert next(changes)[1].metadata.name == "first"
    (response,) = [connection._streams[threading.get_ident()]]
    opened = response.extensions["network_stream"].get_extra_info("socket")
    cluster.api.create("secrets", {"metadata": {"name": "second"}}, place)
    assert select.select([opened], [], [], DEADLINE)[0]
    _interrupt(response)
    assert next(changes)[1].metadata.name == "second"
    with pytest.raises(Unavailable):
        next(changes)
    for name in ("first", "second"):
        cluster.api.delete("secrets", name, place)


def test_while_etcd_is_slow_changes_wait_and_the_rest_does_not(
    cluster: Cluster, backend: Any
) -> None:
    there = made(backend, name="there")
    etcd = cluster.control_plane.etcd
    with ThreadPoolExecutor(1) as threads:
        etcd.send(signal.SIGSTOP)
        try:
            creating = threads.submit(backend.create, CreateSandbox(name="late"))
            assert [one.id for one in backend.sandboxes()] == [there.id]
            assert ask(backend, "there", "echo here") == "here"
            assert not creating.done()
        finally:
            etcd.send(signal.SIGCONT)
        assert creating.result(DEADLINE).name == "late"
    reaches(backend, "late", "started")


def test_what_etcd_keeps_after_the_client_was_told_that_it_failed_is_removed(
    cluster: Cluster, place: str, make_backend: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 1.0)
    monkeypatch.setattr(janitor, "BETWEEN", 0.5)
    backend = make_backend(KubernetesFleet, settings(cluster, place), FleetSettings())
    assert list(backend.sandboxes()) == []
    etcd = cluster.control_plane.etcd
    etcd.send(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="timed out"):
            backend.create(CreateSandbox(name="late"))
    finally:
        etcd.send(signal.SIGCONT)
    eventually(lambda: backend._janitor._jobs == [], "the removal")
    assert left(cluster, place) == []
    assert list(backend.sandboxes()) == []
    made(backend, name="late")
    delete_all(cluster, place, backend)
