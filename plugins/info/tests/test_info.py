"""The info operations, through the service."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime

import pytest
from daytona_toolbox_api_client import ApiClient
from daytona_toolbox_api_client import Configuration
from daytona_toolbox_api_client import InfoApi
from daytona_toolbox_api_client import SystemApi
from daytona_toolbox_api_client import SystemMetrics

import toolbox
from toolbox.testing import TOKEN
from toolbox.testing import Service
from toolbox.testing import ending


@pytest.fixture
def client(service: Service) -> Iterator[ApiClient]:
    """The generated client, whose models are strict."""
    with ApiClient(Configuration(host=service.url), "Authorization", f"Bearer {TOKEN}") as client:
        yield client


def test_version(client: ApiClient) -> None:
    assert InfoApi(client).get_version() == {"version": f"v{toolbox.__version__}"}


def test_version_needs_no_token(service: Service) -> None:
    with service.client(None) as stranger:
        assert stranger.get("/version").status_code == 200
        for path in ("/work-dir", "/user-home-dir", "/project-dir", "/system/metrics"):
            assert stranger.get(path).status_code == 401


def test_work_dir_is_where_the_service_was_started(client: ApiClient, service: Service) -> None:
    assert InfoApi(client).get_work_dir().dir == str(service.work_dir)


def test_work_dir_can_be_set(make_service: Callable[..., Service]) -> None:
    service = make_service(env={"TOOLBOX__SERVER__WORK_DIR": "/usr"})
    assert service.http.get("/work-dir").json() == {"dir": "/usr"}


def test_home_dir_is_home(make_service: Callable[..., Service]) -> None:
    service = make_service(env={"HOME": "/home/somebody"})
    for path in ("/user-home-dir", "/project-dir"):
        assert service.http.get(path).json() == {"dir": "/home/somebody"}


def test_home_dir_with_the_generated_client(client: ApiClient, service: Service) -> None:
    assert InfoApi(client).get_user_home_dir().dir == str(service.home)


@pytest.mark.parametrize("path", ["/user-home-dir", "/project-dir"])
def test_no_home_is_a_typed_error(make_service: Callable[..., Service], path: str) -> None:
    """F-C14."""
    answer = make_service(wrapper=("env", "-u", "HOME")).http.get(path)
    assert answer.status_code == 404
    body = answer.json()
    assert (body["statusCode"], body["code"]) == (404, "HOME_NOT_FOUND")
    assert (body["source"], body["path"], body["method"]) == ("DAYTONA_DAEMON", path, "GET")
    assert "HOME" in body["message"]


def test_metrics(client: ApiClient) -> None:
    metrics = SystemApi(client).get_system_metrics()
    assert isinstance(metrics, SystemMetrics)
    assert not metrics.additional_properties
    assert metrics.cpu_count and 1 <= metrics.cpu_count <= (os.cpu_count() or 1)
    assert metrics.cpu_used_pct is not None and 0 <= metrics.cpu_used_pct <= 100
    assert metrics.mem_total and metrics.mem_used
    assert 0 < metrics.mem_used <= metrics.mem_total
    assert metrics.mem_cache is not None and metrics.mem_cache >= 0
    assert metrics.disk_total and metrics.disk_used is not None and metrics.disk_free is not None
    assert metrics.disk_used + metrics.disk_free <= metrics.disk_total


def test_metrics_tell_the_time(service: Service) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    metrics = service.http.get("/system/metrics").json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metrics["timestamp"])
    moment = datetime.fromisoformat(metrics["timestamp"])
    assert before <= moment <= datetime.now(UTC)
    assert metrics["timestampUnix"] == int(moment.timestamp())


def test_integers_are_json_integers(service: Service) -> None:
    metrics = service.http.get("/system/metrics").json()
    floats = {name for name, value in metrics.items() if isinstance(value, float)}
    assert floats <= {"cpuUsedPct"}
    assert len(metrics) == 10


def test_busy_children_raise_the_percentage(service: Service) -> None:
    def metrics() -> dict[str, float]:
        answer: dict[str, float] = service.http.get("/system/metrics").json()
        return answer

    burn = [sys.executable, "-c", "while True: pass"]
    with contextlib.ExitStack() as burning:
        for _ in range(int(metrics()["cpuCount"])):
            burning.enter_context(ending(subprocess.Popen(burn)))
        service.wait_for(lambda: metrics()["cpuUsedPct"] > 60, "the rise")


def test_many_may_ask_at_once(service: Service) -> None:
    def ask(_: int) -> dict[str, float]:
        metrics: dict[str, float] = service.http.get("/system/metrics").raise_for_status().json()
        return metrics

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert all(0 <= each["cpuUsedPct"] <= 100 for each in answers)
    assert all(0 < each["memUsed"] <= each["memTotal"] for each in answers)
