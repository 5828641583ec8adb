"""Sandboxes that are stopped, paused, archived and deleted in time.

A minute of these tests is short. The sandboxes are records, with a small HTTP server that tells
their activity, as services do.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.reaper import activity
from toolbox_fleet.reaper import reaper
from toolbox_fleet.reaper import watched
from toolbox_fleet.reaper.watched import Action
from toolbox_fleet.reaper.watched import Now
from toolbox_fleet.reaper.watched import Watched
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.times import format_time

from toolbox.sockets.loop import Loop
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

from .fleets import RecordFleet
from .fleets import record

MINUTE = 0.05
EVERYTHING: tuple[Action, ...] = ("stop", "pause", "archive", "delete")


class Sandboxes(ThreadingHTTPServer):
    """The activity of sandboxes, told by one server to all who ask."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = 0
        self.activity: dict[str, Any] = {"idleSeconds": 1e6, "busy": False}
        self.answers = threading.Event()
        self.answers.set()

    @property
    def address(self) -> Upstream:
        return Upstream(host="127.0.0.1", port=self.server_port, token="secret")


class _Handler(BaseHTTPRequestHandler):
    server: Sandboxes

    def do_GET(self) -> None:
        assert (self.path, self.headers["Authorization"]) == ("/x/activity", "Bearer secret")
        self.server.asked += 1
        self.server.answers.wait(DEADLINE)
        data = json.dumps(self.server.activity).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def sandboxes() -> Iterator[Sandboxes]:
    server = Sandboxes()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.answers.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "MINUTE", MINUTE)
    monkeypatch.setattr(reaper, "RETRY", MINUTE)


Make = Callable[..., RecordFleet]


@pytest.fixture
def fleet(make_backend: Callable[..., Any], quick: None) -> RecordFleet:
    made: RecordFleet = make_backend(RecordFleet, group_settings=FleetSettings())
    return made


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def create(fleet: RecordFleet, sandboxes: Sandboxes | None = None, **wanted: Any) -> str:
    """Create a sandbox, at ``sandboxes``, and return its id."""
    made = fleet.create(CreateSandbox())
    if sandboxes is not None:
        fleet.addresses[made.id] = sandboxes.address
    # Only now, so that nobody asks before there is an address.
    fleet.plane.changed(fleet.change(made.id, Changes(**wanted)))
    return made.id


def is_gone(fleet: RecordFleet, sandbox_id: str) -> bool:
    try:
        fleet.sandbox(sandbox_id)
    except NoSuchSandbox:
        return True
    return False


def test_an_idle_sandbox_is_stopped(fleet: RecordFleet, sandboxes: Sandboxes) -> None:
    one = create(fleet, sandboxes, auto_stop_interval=1)
    other = create(fleet, sandboxes)
    eventually(lambda: fleet.sandbox(one).state == "stopped")
    assert fleet.sandbox(other).state == "started"
    assert sandboxes.asked == 1


def test_an_idle_sandbox_is_paused(fleet: RecordFleet, sandboxes: Sandboxes) -> None:
    one = create(fleet, sandboxes, auto_pause_interval=1)
    eventually(lambda: fleet.sandbox(one).state == "paused")


def test_a_sandbox_with_a_running_job_is_not_stopped(
    fleet: RecordFleet, sandboxes: Sandboxes
) -> None:
    sandboxes.activity = {"idleSeconds": 1e6, "busy": True}
    one = create(fleet, sandboxes, auto_stop_interval=1)
    eventually(lambda: sandboxes.asked >= 3)
    assert fleet.sandbox(one).state == "started"
    sandboxes.activity = {"idleSeconds": 1e6, "busy": False}
    eventually(lambda: fleet.sandbox(one).state == "stopped")


def test_a_running_job_counts_only_if_it_shall(
    make_backend: Callable[..., Any], sandboxes: Sandboxes, quick: None
) -> None:
    fleet = make_backend(RecordFleet, group_settings=FleetSettings(autostop_running=True))
    sandboxes.activity = {"idleSeconds": 1e6, "busy": True}
    one = create(fleet, sandboxes, auto_stop_interval=1)
    eventually(lambda: fleet.sandbox(one).state == "stopped")


def test_requests_that_went_past_the_control_plane_count(
    fleet: RecordFleet, sandboxes: Sandboxes
) -> None:
    sandboxes.activity = {"idleSeconds": 0.0}
    one = create(fleet, sandboxes, auto_stop_interval=1)
    eventually(lambda: sandboxes.asked >= 3)
    assert fleet.sandbox(one).state == "started"


def test_a_sandbox_that_does_not_respond_is_not_stopped_and_holds_up_no_other(
    fleet: RecordFleet, sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        frozen = create(fleet)
        port = mute.getsockname()[1]
        fleet.addresses[frozen] = Upstream(host="127.0.0.1", port=port, token="")
        fleet.plane.changed(fleet.change(frozen, Changes(auto_stop_interval=1)))
        one = create(fleet, sandboxes, auto_stop_interval=1)
        eventually(lambda: fleet.sandbox(one).state == "stopped")
        # It is asked again.
        for _ in range(2):
            mute.accept()[0].close()
    assert fleet.sandbox(frozen).state == "started"


def test_an_endless_response_ends(
    fleet: RecordFleet, sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A byte before each timeout of the socket would hold up the others for ever.
    monkeypatch.setattr(activity, "TIMEOUT", 0.2)
    sandboxes.answers.clear()
    with pytest.raises(activity.NoResponse):
        activity.ask(sandboxes.address, fleet.plane.context.loop)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" "),
        (b"HTTP/1.0 200 OK\r\n\r\n", b" "),
    ],
)
def test_a_response_that_drips_is_cut(
    fleet: RecordFleet, monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes
) -> None:
    """A sandbox may serve anything there, and each thread of the reaper is one for all others."""
    monkeypatch.setattr(activity, "TIMEOUT", 0.3)
    cut = threading.Event()

    def drip(listener: socket.socket) -> None:
        with listener.accept()[0] as sock:
            sock.sendall(head)
            until = time.monotonic() + DEADLINE
            while time.monotonic() < until:
                try:
                    sock.sendall(piece)
                except OSError:
                    cut.set()
                    return
                cut.wait(0.02)  # Well within the socket's own timeout.

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        upstream = Upstream(host="127.0.0.1", port=listener.getsockname()[1], token="")
        with pytest.raises(activity.NoResponse):
            activity.ask(upstream, fleet.plane.context.loop)
        thread.join()
    assert cut.is_set()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"idleSeconds": "x"},
        {"busy": True},
        [],
        "idle",
        {"idleSeconds": None},
        {"idleSeconds": -1e300},
        {"idleSeconds": 1, "busy": "no"},
        {"idleSeconds": 1, "padding": "x" * activity.LONGEST},
    ],
)
def test_what_is_no_activity_is_none(fleet: RecordFleet, sandboxes: Sandboxes, told: Any) -> None:
    sandboxes.activity = told
    with pytest.raises(activity.NoResponse):
        activity.ask(sandboxes.address, fleet.plane.context.loop)


def test_a_stopped_sandbox_is_archived_and_then_deleted(fleet: RecordFleet) -> None:
    one = create(fleet)
    seen: list[str] = []
    fleet.stop(one, force=False)
    fleet.change(one, Changes(auto_archive_interval=1, auto_delete_interval=1000))
    fleet.plane.changed(fleet.sandbox(one))
    eventually(lambda: fleet.sandbox(one).state == "archived")
    seen.append(fleet.sandbox(one).state)
    fleet.plane.changed(fleet.change(one, Changes(auto_delete_interval=2)))
    eventually(lambda: is_gone(fleet, one))


def test_an_ephemeral_sandbox_is_deleted_as_soon_as_it_is_stopped(fleet: RecordFleet) -> None:
    one = create(fleet, auto_delete_interval=0)
    fleet.stop(one, force=False)
    eventually(lambda: is_gone(fleet, one))


def test_a_sandbox_is_deleted_at_the_end_of_its_time_in_any_state(fleet: RecordFleet) -> None:
    started, stopped = create(fleet), create(fleet)
    fleet.stop(stopped, force=False)
    end = format_time(time.time() + MINUTE)
    for one in (started, stopped):
        fleet.plane.changed(fleet.change(one, Changes(auto_destroy_at=end)))
    eventually(lambda: is_gone(fleet, started) and is_gone(fleet, stopped))


def test_a_time_to_live_can_be_taken_back(fleet: RecordFleet) -> None:
    one, other = create(fleet), create(fleet)
    soon = format_time(time.time() + 3 * MINUTE)
    fleet.plane.changed(fleet.change(one, Changes(auto_destroy_at=soon)))
    fleet.plane.changed(fleet.change(one, Changes(auto_destroy_at=None)))
    fleet.plane.changed(fleet.change(other, Changes(auto_destroy_at=soon)))
    eventually(lambda: is_gone(fleet, other))
    assert fleet.sandbox(one).state == "started"


def test_a_record_that_another_process_has_changed_is_read_again(
    fleet: RecordFleet, sandboxes: Sandboxes
) -> None:
    one = create(fleet, sandboxes, auto_stop_interval=1)
    # Without a word to this plane.
    fleet.change(one, Changes(auto_stop_interval=0))
    other = create(fleet, sandboxes, auto_stop_interval=2)
    eventually(lambda: fleet.sandbox(other).state == "stopped")
    assert fleet.sandbox(one).state == "started"


def test_two_control_planes_may_reap_the_same_sandboxes(
    fleet: RecordFleet, sandboxes: Sandboxes
) -> None:
    second = reaper.Reaper(fleet, fleet.plane.context.loop, FleetSettings())
    second.start()
    ids = [create(fleet, sandboxes, auto_stop_interval=1) for _ in range(20)]
    for one in ids:
        second.look(one)
    eventually(lambda: all(fleet.sandbox(one).state == "stopped" for one in ids))
    for one in ids:
        fleet.plane.changed(fleet.change(one, Changes(auto_delete_interval=0)))
        second.look(one)
    eventually(lambda: not list(fleet.sandboxes()))
    second.close()


def test_nothing_is_kept_of_deleted_sandboxes(fleet: RecordFleet) -> None:
    for _ in range(10):
        fleet.delete(create(fleet, auto_delete_interval=5))
    eventually(lambda: not fleet.plane.reaper._watched)


# Times, without waiting for them


def started(**fields: Any) -> Sandbox:
    return msgspec.structs.replace(record(CreateSandbox()), state="started", **fields)


def test_a_clock_that_jumps_expires_nothing() -> None:
    one = started(auto_destroy_at=format_time(1000.0), last_activity_at=format_time(0.0))
    seen = Watched(one, Now(clock=50.0, wall=940.0), restarted=False)
    assert seen.due(EVERYTHING) == (110.0, "delete")
    for wall in (1e9, 0.0):
        seen.see(msgspec.structs.replace(one, name="x"), Now(clock=60.0, wall=wall))
        assert seen.due(EVERYTHING) == (110.0, "delete")


def test_an_activity_in_the_past_counts_from_then() -> None:
    one = started(auto_stop_interval=10)
    seen = Watched(one, Now(clock=0.0, wall=5000.0), restarted=False)
    assert seen.due(EVERYTHING) == (600.0, "stop")
    noted = msgspec.structs.replace(one, last_activity_at=format_time(5940.0))
    seen.see(noted, Now(clock=1000.0, wall=6000.0))
    assert seen.due(EVERYTHING) == (940.0 + 600.0, "stop")


def test_after_a_restart_the_time_goes_on_but_nothing_ends_at_once() -> None:
    now = Now(clock=10.0, wall=100_000.0)
    minutes = {"auto_delete_interval": 60, "updated_at": format_time(100_000.0 - 3000)}
    stopped = msgspec.structs.replace(started(**minutes), state="stopped")
    assert Watched(stopped, now, True).due(EVERYTHING) == (610.0, "delete")
    # A clock that says years have passed, as of a machine that has no time yet or a wrong one.
    late = now._replace(wall=1e9)
    assert Watched(stopped, late, True).due(EVERYTHING) == (10.0 + watched.GRACE, "delete")
    # Or that it is not even the time of the record.
    assert Watched(stopped, now._replace(wall=0.0), True).due(EVERYTHING) == (3610.0, "delete")


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"auto_stop_interval": 3, "auto_pause_interval": 2}, (120.0, "pause")),
        ({"auto_stop_interval": 3, "warm_pool_id": "pool"}, None),
        ({"auto_stop_interval": 3, "state": "stopping"}, None),
        ({"auto_stop_interval": 3, "state": "error"}, None),
        ({"auto_delete_interval": 3, "state": "stopped"}, (180.0, "delete")),
        ({"auto_delete_interval": 3, "state": "archived"}, (180.0, "delete")),
        ({"auto_delete_interval": 3, "state": "paused"}, None),
        ({"auto_delete_interval": -1, "state": "stopped"}, None),
        ({"auto_archive_interval": 3, "state": "stopped"}, (180.0, "archive")),
        ({"auto_archive_interval": 0, "state": "stopped"}, None),
        ({"auto_destroy_at": format_time(60.0), "state": "error"}, (60.0, "delete")),
        ({"auto_destroy_at": format_time(60.0), "state": "destroying"}, None),
    ],
)
def test_what_is_due(fields: dict[str, Any], due: Any) -> None:
    one = msgspec.structs.replace(started(), **fields)
    assert Watched(one, Now(0.0, 0.0), restarted=False).due(EVERYTHING) == due


def test_what_a_backend_can_not_do_is_not_due() -> None:
    one = started(auto_pause_interval=1, auto_stop_interval=2)
    assert Watched(one, Now(0.0, 0.0), False).due(("stop", "delete")) == (120.0, "stop")
    stopped = msgspec.structs.replace(started(auto_archive_interval=1), state="stopped")
    assert Watched(stopped, Now(0.0, 0.0), False).due(("stop", "delete")) is None


# The activity of a real service


def test_a_service_with_a_running_job_is_not_stopped(
    fleet: RecordFleet, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[activity.Activity] = []

    def ask(upstream: Upstream, loop: Loop) -> activity.Activity:
        told.append(activity.ask(upstream, loop))
        return told[-1]

    monkeypatch.setattr(reaper, "ask", ask)
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    command = {"command": "sleep 1000", "runAsync": True}
    service.http.post("/process/session/s/exec", json=command).raise_for_status()
    one = fleet.create(CreateSandbox()).id
    fleet.addresses[one] = Upstream(host="127.0.0.1", port=service.port, token=TOKEN)
    fleet.plane.changed(fleet.change(one, Changes(auto_stop_interval=1)))
    eventually(lambda: len(told) >= 3)
    assert all(each.busy for each in told)
    assert fleet.sandbox(one).state == "started"
    service.http.delete("/process/session/s").raise_for_status()
    eventually(lambda: fleet.sandbox(one).state == "stopped")
    assert not told[-1].busy
