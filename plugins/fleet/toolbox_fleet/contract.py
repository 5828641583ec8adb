"""The behavior that every backend of the group gives: subclass it and give it a backend.

::

    class TestMine(FleetContract):
        @pytest.fixture
        def backend(self, make_backend):
            return make_backend(MyFleet, MySettings(), group_settings=FleetSettings())

``make_backend`` is a fixture of :mod:`toolbox.testing`. A backend whose only sandbox is there
already subclasses :class:`SandboxContract`, the part about one sandbox. Tests of an ability that
the backend lacks are skipped; nothing else is. Names, labels and environments come checked
(:mod:`toolbox_fleet.names`), so what is invalid is none of the backend's business.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from toolbox.testing import DEADLINE
from toolbox_fleet import backend as protocols
from toolbox_fleet.abilities_contract import AbilitiesContract
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSigningKey
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.plane import plane_of
from toolbox_fleet.testing import Recorder
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet.testing import stopped
from toolbox_fleet.times import parse_time

NOBODY = "no such/sandbox'; --"
"""A key that no sandbox has, and that is dangerous in a path, a shell or SQL."""

HOSTILE = {"a'b\"; DROP TABLE x": "$(reboot) `x` \\ \n ../..", "ключ": "значение \U0001f9ea"}

CHANGES = (
    Changes(labels={}),
    Changes(labels=HOSTILE),
    Changes(public=True),
    Changes(auto_stop_interval=0),
    Changes(auto_stop_interval=30),
    Changes(auto_pause_interval=30),
    Changes(auto_archive_interval=30),
    Changes(auto_delete_interval=-1),
    Changes(auto_delete_interval=30),
    Changes(auto_destroy_at="2199-01-01T00:00:00.000Z"),
    Changes(auto_destroy_at=None),
    Changes(last_activity_at="2001-01-01T00:00:00.000Z"),
)
"""Changes of records, one after another of the same sandbox."""


def _methods(ability: type[Any]) -> list[str]:
    functions = inspect.getmembers(ability, inspect.isfunction)
    return [name for name, _ in functions if not name.startswith("_")]


class SandboxContract:
    """Tests of one sandbox, by a backend that the fixture ``backend`` gives and closes."""

    @pytest.fixture
    def events(self, backend: FleetBackend) -> Recorder:
        return Recorder(backend)

    def test_an_ability_is_complete(self, backend: FleetBackend) -> None:
        """A backend has all methods of an ability, or none."""
        for name, ability in inspect.getmembers(protocols, inspect.isclass):
            if getattr(ability, "_is_runtime_protocol", False):
                had = [hasattr(backend, method) for method in _methods(ability)]
                assert all(had) or not any(had), name

    def test_create(self, backend: FleetBackend, events: Recorder) -> None:
        """A sandbox is there at once, by id and by name, and starts by itself."""
        wanted = CreateSandbox(name="a name", labels=HOSTILE, env={"GIVEN": "x y"})
        created = backend.create(wanted)
        assert (created.name, created.env["GIVEN"]) == ("a name", "x y")
        assert created.labels.items() >= HOSTILE.items()
        assert created.desired_state == "started"
        assert parse_time(created.updated_at) >= parse_time(created.created_at)
        started = reaches(backend, created.id, "started")
        assert backend.sandbox("a name").id == created.id == started.id
        assert started.labels == created.labels
        assert [one.id for one in backend.sandboxes()].count(created.id) == 1
        (event,) = events.of(created.id, "created")
        assert event.sandbox.name == "a name"

    def test_start_of_a_started_one_changes_nothing(
        self, backend: FleetBackend, events: Recorder
    ) -> None:
        """It is as desired, so there is no event either."""
        sandbox = made(backend)
        assert backend.start(sandbox.id).state == "started"
        # A change is an event only after it is stored, so the first start may be told just now.
        eventually(lambda: events.states(sandbox.id)[-1:] in ([], ["started"]))
        assert events.states(sandbox.id).count("started") <= 1
        assert events.states(sandbox.id).count("starting") <= 1

    def test_change(self, backend: FleetBackend) -> None:
        """The fields that are given change, in what is returned and for those who ask later."""
        before = made(backend, auto_stop_interval=15)
        for changes in CHANGES:
            changed = backend.change(before.id, changes)
            asked = backend.sandbox(before.id)
            for name, value in changes.made().items():
                assert getattr(changed, name) == getattr(asked, name) == value
            others = set(Changes.__struct_fields__) - set(changes.made())
            assert all(getattr(asked, name) == getattr(before, name) for name in others)
            assert asked.state == "started"
            before = asked

    @pytest.mark.parametrize(
        "call",
        [
            lambda backend: backend.sandbox(NOBODY),
            lambda backend: backend.start(NOBODY),
            lambda backend: backend.stop(NOBODY, force=False),
            lambda backend: backend.delete(NOBODY),
            lambda backend: backend.change(NOBODY, Changes(public=True)),
            lambda backend: backend.signing_key(NOBODY),
        ],
    )
    def test_nobody(self, backend: FleetBackend, call: Callable[[FleetBackend], object]) -> None:
        """A key that no sandbox has is NoSuchSandbox everywhere."""
        with pytest.raises(NoSuchSandbox):
            call(backend)

    def test_the_signing_key_stays(self, backend: FleetBackend) -> None:
        """It is the same each time, or there is none."""
        sandbox = made(backend)
        try:
            key = backend.signing_key(sandbox.id)
        except NoSigningKey:
            return
        assert key and backend.signing_key(sandbox.id) == key


class FleetContract(SandboxContract, AbilitiesContract):
    """Tests of a backend that makes sandboxes."""

    def test_each_is_one_of_its_own(self, backend: FleetBackend) -> None:
        """Ids, names and tokens differ; the name is the id if none was given."""
        first, second = made(backend), made(backend)
        assert len({first.id, first.name, second.id, second.name}) == 2
        assert {first.id, second.id} <= {one.id for one in backend.sandboxes()}
        tokens = [backend.upstream(one.id).token for one in (first, second)]
        assert not all(tokens) or tokens[0] != tokens[1]

    def test_names_are_taken_once(self, backend: FleetBackend) -> None:
        """Neither the name nor the id of another is free, until that is deleted."""
        first = made(backend, name="taken")
        for name in ("taken", first.id):
            with pytest.raises(NameTaken):
                backend.create(CreateSandbox(name=name))
        assert len(list(backend.sandboxes())) == 1
        backend.delete("taken")
        eventually(lambda: is_gone(backend, first.id))
        assert made(backend, name="taken").id != first.id

    def test_one_of_many_gets_a_name(self, backend: FleetBackend) -> None:
        """Creates at the same time with one name: one succeeds."""

        def create(_: int) -> int:
            try:
                backend.create(CreateSandbox(name="wanted"))
            except NameTaken:
                return 0
            return 1

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(create, range(8))) == 1
        reaches(backend, "wanted", "started")

    def test_stop_and_start(self, backend: FleetBackend, events: Recorder) -> None:
        """A stopped one keeps what it was given; the states follow each other without a gap."""
        sandbox = made(backend, name="box", labels=HOSTILE, env={"GIVEN": "x"})
        assert backend.stop(sandbox.id, force=False).state in ("stopping", "stopped")
        assert reaches(backend, sandbox.id, "stopped").desired_state == "stopped"
        assert backend.stop(sandbox.id, force=False).state == "stopped"
        assert backend.start(sandbox.id).state in ("starting", "started")
        again = reaches(backend, sandbox.id, "started")
        assert (again.name, again.labels, again.env) == ("box", sandbox.labels, sandbox.env)
        eventually(lambda: events.states(sandbox.id)[-1:] == ["started"])
        told = events.of(sandbox.id)
        assert [event.old for event in told[1:]] == [event.new for event in told[:-1]]
        assert [event.new for event in told if event.new in ("started", "stopped")] == [
            *("started", "stopped", "started")
        ]
        assert all(event.sandbox.state == event.new for event in told)
        desired = [event.new for event in events.of(sandbox.id, "desired-state")]
        assert desired == ["stopped", "started"]

    @pytest.mark.parametrize("prepare", [made, stopped])
    def test_delete(
        self, backend: FleetBackend, events: Recorder, prepare: Callable[[FleetBackend], Any]
    ) -> None:
        """It is gone, from the list, too; the last event says so."""
        sandbox = prepare(backend)
        assert backend.delete(sandbox.id).state in ("destroying", "destroyed")
        eventually(lambda: is_gone(backend, sandbox.id))
        eventually(lambda: events.states(sandbox.id)[-1:] == ["destroyed"])
        left = [one.state for one in backend.sandboxes() if one.id == sandbox.id]
        assert left in ([], ["destroyed"])
        assert events.states(sandbox.id).count("destroyed") == 1

    def test_many_may_delete_one(self, backend: FleetBackend, events: Recorder) -> None:
        """Deletes at the same time: it is deleted once."""
        sandbox = made(backend)

        def delete(_: int) -> None:
            try:
                assert backend.delete(sandbox.id).state in ("destroying", "destroyed")
            except NoSuchSandbox:
                pass

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(delete, range(4)))
        eventually(lambda: events.states(sandbox.id)[-1:] == ["destroyed"])
        assert events.states(sandbox.id).count("destroyed") == 1

    def test_upstream(self, backend: FleetBackend) -> None:
        """The service of a started one responds; a stopped one has no address."""
        sandbox = made(backend)
        upstream = backend.upstream(sandbox.id)
        connection = HTTPConnection(upstream.host, upstream.port, timeout=DEADLINE)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        backend.stop(sandbox.id, force=True)
        reaches(backend, sandbox.id, "stopped")
        with pytest.raises(WrongState):
            backend.upstream(sandbox.id)
        with pytest.raises(NoSuchSandbox):
            backend.upstream(NOBODY)

    def test_an_ephemeral_one_goes_when_it_is_stopped(self, backend: FleetBackend) -> None:
        """The plane hears of the stop by the backend's event, and deletes it."""
        sandbox = stopped_soon(backend, auto_delete_interval=0)
        eventually(lambda: is_gone(backend, sandbox))

    def test_a_time_to_live_ends_it(self, backend: FleetBackend) -> None:
        """The plane deletes it in any state."""
        sandbox = made(backend)
        end = Changes(auto_destroy_at="2001-01-01T00:00:00.000Z")
        plane_of(backend).changed(backend.change(sandbox.id, end))
        eventually(lambda: is_gone(backend, sandbox.id))


def stopped_soon(backend: FleetBackend, **wanted: object) -> str:
    """Return the id of a new sandbox that has been told to stop."""
    sandbox = made(backend, **wanted)
    backend.stop(sandbox.id, force=True)
    return sandbox.id
