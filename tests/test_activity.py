"""``GET /x/activity``: whether somebody needs the service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from toolbox.activity import LATELY
from toolbox.activity import Activity
from toolbox.activity import Mark
from toolbox.activity import Traffic
from toolbox.activity import Work
from toolbox.linux import clock
from toolbox.testing import Service

ToyService = Callable[..., Service]


@pytest.fixture(scope="module")
def toys(
    tmp_path_factory: pytest.TempPathFactory, toy_site: Callable[..., Any]
) -> Iterator[Service]:
    site = toy_site("greeter", "faulty", "sockets")
    settings = "[metrics]\nenabled = true\n"
    running = Service(tmp_path_factory.mktemp("service"), settings=settings, env=site.env)
    try:
        yield running
    finally:
        running.stop()


def activity(service: Service) -> dict[str, Any]:
    response = service.http.get("/x/activity")
    assert response.status_code == 200
    report: dict[str, Any] = response.json()
    return report


def test_it_needs_the_token(toys: Service) -> None:
    with toys.client(None) as client:
        assert client.get("/x/activity").status_code == 401


def test_a_request_is_activity(toys: Service) -> None:
    before = activity(toys)
    assert toys.http.get("/greet/x").status_code == 200
    after = activity(toys)
    assert after["lastActivityAt"] > before["lastActivityAt"]
    assert after["sentBytes"] > before["sentBytes"]
    assert after["receivedBytes"] > before["receivedBytes"]
    assert not after["busy"]
    assert (after["inFlight"], after["openSockets"], after["runningJobs"]) == (0, 0, 0)
    at = datetime.fromisoformat(after["lastActivityAt"])
    assert after["lastActivityAt"].endswith("Z") and at <= datetime.now(UTC)


def test_monitors_and_strangers_are_none(toys: Service) -> None:
    toys.http.get("/greet/x")
    before = activity(toys)
    paths = ("/healthz", "/readyz", "/version", "/metrics", "/x/activity")
    for path in paths:
        assert toys.http.get(path).status_code == 200
    with toys.client("wrong") as client:
        for path in ("/greet/x", "/nowhere", "/x/activity"):
            assert client.get(path).status_code == 401
    after = activity(toys)
    assert after["lastActivityAt"] == before["lastActivityAt"]
    assert after["idleSeconds"] > before["idleSeconds"]
    assert after["receivedBytes"] == before["receivedBytes"]


def test_a_request_that_is_being_served_keeps_it_busy(toys: Service) -> None:
    with ThreadPoolExecutor() as pool:
        request = pool.submit(toys.http.get, "/faulty/until/file")
        toys.http.get("/faulty/waiting/1")
        report = activity(toys)
        assert (report["inFlight"], report["busy"]) == (1, True)
        (toys.work_dir / "file").touch()
        assert request.result().status_code == 200
    toys.wait_for(lambda: not activity(toys)["busy"], "its end")


def test_messages_of_a_websocket_are_activity_and_an_open_one_is_not(toys: Service) -> None:
    ws = toys.websocket("/sockets/echo")
    assert ws.recv() == "hello"
    before = activity(toys)
    assert (before["openSockets"], before["busy"]) == (1, True)
    ws.send("something")
    assert ws.recv() == "something"
    after = activity(toys)
    assert after["lastActivityAt"] > before["lastActivityAt"]
    assert after["receivedBytes"] > before["receivedBytes"]
    assert after["sentBytes"] > before["sentBytes"]
    ws.ping()
    # The pong has come when the next report has: the loop is in between.
    assert ws.recv_data_frame(control_frame=True)[0] == 10
    assert activity(toys)["lastActivityAt"] == after["lastActivityAt"]
    ws.close()
    toys.wait_for(lambda: activity(toys)["openSockets"] == 0, "the close")
    assert activity(toys)["lastActivityAt"] == after["lastActivityAt"]


def test_a_socket_is_busy_for_a_moment_after_its_last_message() -> None:
    record, now = Activity(), Mark.now()
    for age, busy in ((0.0, True), (LATELY + 1, False)):
        last = Mark(now.awake - age, now.at - age)
        report = record.report(1, Traffic(received=0, sent=0, last=last), [])
        assert report.busy is busy


def test_the_end_of_a_job_is_activity() -> None:
    record = Activity()
    silent = Traffic(received=0, sent=0, last=Mark.now())
    end = Mark(clock.awake() + 1, time.time() + 1)
    report = record.report(0, silent, [Work(running=1), Work(running=2, last_end=end)])
    assert (report.running_jobs, report.busy) == (3, True)
    assert datetime.fromisoformat(report.last_activity_at).timestamp() == pytest.approx(
        end.at, abs=0.002
    )
    assert report.idle_seconds == 0


def test_a_clock_that_is_set_changes_no_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Activity()
    silent = Traffic(received=0, sent=0, last=Mark(0.0, 0.0))
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert record.report(0, silent, []).idle_seconds < 1e6
    assert record.report(0, silent, []).last_activity_at < "2090"
    record.note()
    assert record.report(0, silent, []).last_activity_at.startswith("2096")


class Connection:
    """A connection that has received 7 bytes and sent 9 whenever it is asked."""

    def take_counts(self) -> tuple[int, int]:
        return 7, 9


def test_bytes_of_what_was_not_let_in_do_not_count() -> None:
    record, silent = Activity(), Traffic(received=0, sent=0, last=Mark.now())
    connection = Connection()
    record.leave(connection)
    assert record.report(0, silent, []).received_bytes == 0
    record.enter(connection)
    assert record.report(0, silent, []).in_flight == 1
    record.leave(connection)
    report = record.report(0, silent, [])
    assert (report.in_flight, report.received_bytes, report.sent_bytes) == (0, 7, 9)


def test_requests_of_many_threads_are_all_counted() -> None:
    record = Activity()

    def work() -> None:
        for _ in range(200):
            connection = Connection()
            record.enter(connection)
            record.leave(connection)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = record.report(0, Traffic(received=0, sent=0, last=Mark.now()), [])
    assert (report.in_flight, report.received_bytes) == (0, 5600)
