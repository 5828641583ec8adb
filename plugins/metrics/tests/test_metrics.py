"""The figures, through the service, read by the client library's own parsers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

import toolbox
from toolbox.testing import Service

HAS_PROCESS = importlib.util.find_spec("toolbox_process") is not None


def figure(service: Service, sample: str, **labels: str) -> float:
    """The sum of the samples of that name that have those labels."""
    text = service.http.get("/metrics").raise_for_status().text
    return sum(
        each.value
        for family in parse(text)
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    )


def test_off_unless_enabled(service: Service) -> None:
    answer = service.http.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert "[metrics] enabled" in answer.json()["message"]


def test_off_costs_no_import() -> None:
    program = (
        "import sys; from toolbox_metrics import toolbox_group, prometheus; toolbox_group();"
        "print('prometheus_client' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


def test_nothing_without_the_token(counting: Service) -> None:
    with counting.client(None) as stranger:
        assert stranger.get("/metrics").status_code == 401


def test_requests_by_operation_and_status(counting: Service) -> None:
    def count(operation: str, status: str) -> float:
        return figure(
            counting, "toolbox_requests_total", operation=operation, status=status
        )  # fmt: skip

    before = count("core.list_plugins", "200")
    for _ in range(3):
        counting.http.get("/plugins")
    with counting.client(None) as stranger:
        stranger.get("/plugins")
    counting.http.get("/nowhere/1")
    counting.http.get("/nowhere/2")
    assert count("core.list_plugins", "200") == before + 3
    assert count("core.list_plugins", "401") == 1
    # What is asked for makes no label: a client could make up as many as it likes.
    assert count("none", "404") == 2
    assert "nowhere" not in counting.http.get("/metrics").text
    # Its own requests are told from the second on.
    assert count("metrics.get_metrics", "200") >= 2


def test_a_histogram_of_latencies(counting: Service) -> None:
    count = "toolbox_request_seconds_count"
    before = figure(counting, count, operation="core.get_openapi")
    counting.http.get("/openapi.json")
    assert figure(counting, count, operation="core.get_openapi") == before + 1
    bucket = "toolbox_request_seconds_bucket"
    last = figure(counting, bucket, operation="core.get_openapi", le="+Inf")
    first = figure(counting, bucket, operation="core.get_openapi", le="0.001")
    assert last == before + 1 and first <= last
    assert figure(counting, "toolbox_request_seconds_sum", operation="core.get_openapi") > 0


def test_bytes(counting: Service) -> None:
    labels = {"operation": "core.get_openapi"}
    before = figure(counting, "toolbox_sent_bytes_total", **labels)
    size = len(counting.http.get("/openapi.json").content)
    assert figure(counting, "toolbox_sent_bytes_total", **labels) == before + size


def test_the_process_and_the_build(counting: Service) -> None:
    (worker,) = counting.workers()
    assert figure(counting, "process_cpu_seconds_total") > 0
    assert figure(counting, "process_open_fds") >= len(os.listdir(f"/proc/{worker}/fd")) - 16
    assert figure(counting, "process_resident_memory_bytes") > 10_000_000
    assert figure(counting, "process_start_time_seconds") > 1_700_000_000
    assert figure(counting, "toolbox_build_info", version=toolbox.__version__) == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_the_format_is_the_scrapers_choice(
    counting: Service, accept: str, content_type: str
) -> None:
    answer = counting.http.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    read = parse_open if "openmetrics" in content_type else parse
    names = {family.name for family in read(answer.text)}
    assert {"toolbox_requests", "toolbox_request_seconds", "toolbox_websockets_open"} <= names


def test_it_is_described(counting: Service) -> None:
    # AC-96
    described = counting.http.get("/openapi.json").json()["paths"]["/metrics"]["get"]
    assert "text/plain" in described["responses"]["200"]["content"]


@pytest.mark.skipif(not HAS_PROCESS, reason="the group process is not installed")
def test_jobs_and_open_sockets(counting: Service) -> None:
    job = counting.http.post("/x/jobs", json={"command": "sleep 600"}).json()
    assert figure(counting, "toolbox_process_jobs_running") == 1
    path = "/process/pty/create-connect?id=counted"
    with contextlib.closing(counting.websocket(path)) as ws:
        ws.recv()
        assert figure(counting, "toolbox_websockets_open") == 1
        assert figure(counting, "toolbox_process_terminals") == 1
        ws.send("exit\n")
        with contextlib.suppress(websocket.WebSocketConnectionClosedException):
            while ws.recv():
                pass
    counting.http.delete(f"/x/jobs/{job['id']}")
    operation = {"operation": "process.create_and_connect_pty_session"}
    counting.wait_for(
        lambda: figure(counting, "toolbox_websockets_total", code="1000", **operation) == 1,
        "the socket's end",
    )
    assert figure(counting, "toolbox_received_bytes_total", **operation) > 5
    assert figure(counting, "toolbox_sent_bytes_total", **operation) > 5
    assert figure(counting, "toolbox_websockets_open") == 0
    counting.wait_for(
        lambda: figure(counting, "toolbox_process_jobs_running") == 0, "the jobs' end"
    )
    assert figure(counting, "toolbox_process_jobs_finished") == 2


def test_a_misspelt_option_is_refused(tmp_path: Path, make_service: Callable[..., Service]) -> None:
    with pytest.raises(AssertionError, match=r"unknown option metrics\.enable"):
        make_service(settings="[metrics]\nenable = true")
