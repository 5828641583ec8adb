"""What the sandbox is, by each SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import Daytona
from daytona import Sandbox
from daytona import SandboxMetrics
from daytona import SandboxState

import toolbox
from toolbox.testing import Service

JavaScript = Callable[..., Any]


def test_get(make_daytona: Callable[..., Daytona], service: Service) -> None:
    sandbox = make_daytona().get("some-other.id")
    assert (sandbox.id, sandbox.state) == ("some-other.id", SandboxState.STARTED)
    assert sandbox.daemon_version == f"v{toolbox.__version__}"
    assert sandbox.toolbox_proxy_url == f"{service.url}/toolbox"


def test_refresh(sandbox: Sandbox) -> None:
    sandbox.refresh_data()
    assert sandbox.state == SandboxState.STARTED


def test_its_events_can_be_followed(make_daytona: Callable[..., Daytona], service: Service) -> None:
    daytona = make_daytona()
    daytona.get("any-id")
    dispatcher = daytona._event_dispatcher
    assert dispatcher is not None
    service.wait_for(lambda: dispatcher.is_connected or dispatcher.is_failed, "the connection")
    assert dispatcher.fail_error is None


def test_directories(sandbox: Sandbox, service: Service) -> None:
    assert sandbox.get_work_dir() == str(service.work_dir)
    assert sandbox.get_user_home_dir() == str(service.home)


def test_metrics(sandbox: Sandbox) -> None:
    check_metrics(sandbox.get_metrics_latest())


def check_metrics(metrics: SandboxMetrics) -> None:
    assert metrics.cpu_count >= 1
    assert 0 <= metrics.cpu_used_pct <= 100
    assert 0 < metrics.mem_used <= metrics.mem_total
    assert 0 < metrics.disk_used <= metrics.disk_total


def test_environment(sandbox: Sandbox) -> None:
    sandbox.update_env({"GREETING": "hello", "GONE": "1"})
    sandbox.update_env({"GREETING": "good day"}, unset=["GONE"])
    assert sandbox.process.exec('echo "$GREETING,$GONE"').result == "good day,\n"


@pytest.mark.anyio
async def test_sandbox_async(async_sandbox: AsyncSandbox, service: Service) -> None:
    assert async_sandbox.state is not None and async_sandbox.state.value == "started"
    assert await async_sandbox.get_work_dir() == str(service.work_dir)
    assert await async_sandbox.get_user_home_dir() == str(service.home)
    check_metrics(await async_sandbox.get_metrics_latest())
    await async_sandbox.update_env({"BY_ASYNC": "1"})
    assert (await async_sandbox.process.exec("echo $BY_ASYNC")).result == "1\n"


def test_sandbox_typescript(javascript: JavaScript, service: Service) -> None:
    body = """
        await sandbox.updateEnv?.({ BY_TS: '1' })
        return {
            state: sandbox.state,
            workDir: await sandbox.getWorkDir(),
            home: await sandbox.getUserHomeDir(),
            metrics: await sandbox.getMetricsLatest(),
        }
    """
    answer = javascript(body)
    metrics = answer.pop("metrics")
    directories = {"workDir": str(service.work_dir), "home": str(service.home)}
    assert answer == {"state": "started", **directories}
    assert 0 < metrics["memUsed"] <= metrics["memTotal"]
