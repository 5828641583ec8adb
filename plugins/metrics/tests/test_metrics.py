"""The figures, through the service, read by the client library's own parsers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

import toolbox
from toolbox.testing import Service


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


def test_nothing_without_the_token(counting: Any) -> None:
    with counting.client(None) as stranger:
        assert stranger.get("/metrics").status_code == 401


def test_requests_by_operation_and_status(counting: Any) -> None:
    def count(operation: str, status: str) -> float:
        return counting.figure(
            "toolbox_requests_total", operation=operation, status=status
        )  # fmt: skip

    before = count("core.list_plugins", "200")
    for _ in range(3):
        counting.http.get("/plugins")
    with counting.client(None) as stranger:
        stranger.get("/plugins")
    counting.http.get("/nowhere/1")
    counting.http.get("/nowhere/2")
    assert count("core.list_plugins", "200") == before + 3
    # A request of another connection is counted after its answer has been sent.
    counting.wait_for(lambda: count("core.list_plugins", "401") == 1, "the stranger's count")
    # What is asked for makes no label: a client could make up as many as it likes.
    assert count("none", "404") == 2
    assert "nowhere" not in counting.http.get("/metrics").text
    # Its own requests are told from the second on.
    assert count("metrics.get_metrics", "200") >= 2


def test_a_histogram_of_latencies(counting: Any) -> None:
    count = "toolbox_request_seconds_count"
    before = counting.figure(count, operation="core.get_openapi")
    counting.http.get("/openapi.json")
    assert counting.figure(count, operation="core.get_openapi") == before + 1
    bucket = "toolbox_request_seconds_bucket"
    last = counting.figure(bucket, operation="core.get_openapi", le="+Inf")
    first = counting.figure(bucket, operation="core.get_openapi", le="0.001")
    assert last == before + 1 and first <= last
    assert counting.figure("toolbox_request_seconds_sum", operation="core.get_openapi") > 0


def test_bytes(counting: Any) -> None:
    labels = {"operation": "core.get_openapi"}
    before = counting.figure("toolbox_sent_bytes_total", **labels)
    size = len(counting.http.get("/openapi.json").content)
    assert counting.figure("toolbox_sent_bytes_total", **labels) == before + size


def test_the_process_and_the_build(counting: Any) -> None:
    (worker,) = counting.workers()
    assert counting.figure("process_cpu_seconds_total") > 0
    assert counting.figure("process_open_fds") >= len(os.listdir(f"/proc/{worker}/fd")) - 16
    assert counting.figure("process_resident_memory_bytes") > 10_000_000
    assert counting.figure("process_start_time_seconds") > 1_700_000_000
    assert counting.figure("toolbox_build_info", version=toolbox.__version__) == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_the_format_is_the_scrapers_choice(counting: Any, accept: str, content_type: str) -> None:
    answer = counting.http.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    read = parse_open if "openmetrics" in content_type else parse
    names = {family.name for family in read(answer.text)}
    assert {"toolbox_requests", "toolbox_request_seconds", "toolbox_websockets_open"} <= names


def test_it_is_described(counting: Any) -> None:
    # AC-96
    described = counting.http.get("/openapi.json").json()["paths"]["/metrics"]["get"]
    assert "text/plain" in described["responses"]["200"]["content"]


def test_a_misspelt_option_is_refused(tmp_path: Path, make_service: Callable[..., Service]) -> None:
    with pytest.raises(AssertionError, match=r"unknown option metrics\.enable"):
        make_service(settings="[metrics]\nenable = true")
