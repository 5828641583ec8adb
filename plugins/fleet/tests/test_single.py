"""This machine as the only sandbox, as the SDK creates, finds and deletes it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import pytest
from daytona import CreateSandboxFromImageParams
from daytona import CreateSandboxFromSnapshotParams
from daytona import Daytona
from daytona import DaytonaConfig
from daytona import DaytonaError
from daytona import VolumeMount
from daytona.common.errors import DaytonaConflictError

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service


def sdk(service: Service) -> Daytona:
    return Daytona(DaytonaConfig(api_key=TOKEN, api_url=f"{service.url}/api", target="local"))


@pytest.fixture
def daytona(service: Service) -> Iterator[Daytona]:
    client = sdk(service)
    yield client
    service.http.delete("/api/sandbox/local").raise_for_status()


def test_create_returns_this_machine_and_delete_forgets_what_it_has_set(
    service: Service, daytona: Daytona
) -> None:
    params = CreateSandboxFromSnapshotParams(
        name="my box",
        labels={"a": "b", "ä": "\u2028"},
        env_vars={"TOOLBOX_TEST_SINGLE": "here"},
        auto_stop_interval=7,
        auto_archive_interval=8,
        auto_delete_interval=9,
        public=True,
    )
    sandbox = daytona.create(params)
    assert (sandbox.name, sandbox.labels["a"], sandbox.labels["ä"]) == ("my box", "b", "\u2028")
    assert sandbox.env == {"TOOLBOX_TEST_SINGLE": "here"}
    assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval) == (7, 8)
    assert (sandbox.auto_delete_interval, sandbox.public) == (9, True)
    assert sandbox.process.exec("echo $TOOLBOX_TEST_SINGLE").result.strip() == "here"
    assert daytona.get("my box").id == daytona.get(sandbox.id).id == sandbox.id
    assert [one.id for one in daytona.list()] == [sandbox.id]
    sandbox.delete(wait=True)
    assert sandbox.state is not None and sandbox.state.value == "destroyed"
    other = daytona.create()
    assert (other.id, other.name, other.public) == (sandbox.id, "local", False)
    assert other.labels == {"code-toolbox-language": "python"}
    assert other.process.exec("echo [$TOOLBOX_TEST_SINGLE]").result.strip() == "[]"


def test_a_second_create_returns_the_same(daytona: Daytona) -> None:
    first = daytona.create(CreateSandboxFromSnapshotParams(env_vars={"A": "1", "B": "1"}))
    second = daytona.create(CreateSandboxFromSnapshotParams(name="x", env_vars={"B": "2"}))
    assert (second.id, second.env) == (first.id, {"A": "1", "B": "2"})
    assert daytona.get("x").id == first.id


def test_the_environment_that_was_there_comes_back(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(env={"TOOLBOX_TEST_SINGLE": "before"})
    sandbox = sdk(service).create(
        CreateSandboxFromSnapshotParams(env_vars={"TOOLBOX_TEST_SINGLE": "after"})
    )
    command = "echo $TOOLBOX_TEST_SINGLE"
    assert sandbox.process.exec(command).result.strip() == "after"
    sandbox.delete()
    assert sandbox.process.exec(command).result.strip() == "before"


@pytest.mark.parametrize(
    "params",
    [
        CreateSandboxFromImageParams(image="debian:12"),
        CreateSandboxFromSnapshotParams(snapshot="other"),
        CreateSandboxFromSnapshotParams(network_block_all=True),
        CreateSandboxFromSnapshotParams(volumes=[VolumeMount(volume_id="v", mount_path="/mnt/v")]),
    ],
)
def test_what_it_can_not_be_is_refused(
    daytona: Daytona, params: CreateSandboxFromImageParams
) -> None:
    with pytest.raises(DaytonaError, match="this machine is the only sandbox") as raised:
        daytona.create(params)
    assert raised.value.status_code == 501


def test_stop_is_refused_and_pause_is_not_supported(daytona: Daytona) -> None:
    sandbox = daytona.create()
    with pytest.raises(DaytonaError, match="can't be stopped") as stopped:
        sandbox.stop()
    assert stopped.value.status_code == 403
    with pytest.raises(DaytonaError, match="CanPause") as paused:
        sandbox.pause()
    assert paused.value.status_code == 501
    sandbox.start()


def test_metrics_are_those_of_the_group_info(daytona: Daytona) -> None:
    (sample,) = daytona.create().get_metrics()
    assert sample.mem_total and sample.disk_total and sample.cpu_count


def test_exclusive_refuses_a_second_create(make_service: Callable[..., Service]) -> None:
    service = make_service(settings="[fleet.single]\nexclusive = true\n")
    daytona = sdk(service)
    sandbox = daytona.create()
    with pytest.raises(DaytonaConflictError, match="has been created already"):
        daytona.create()
    sandbox.delete()
    daytona.create()


def test_delete_can_be_refused(make_service: Callable[..., Service]) -> None:
    service = make_service(settings='[fleet.single]\non_delete = "refuse"\n')
    sandbox = sdk(service).create()
    with pytest.raises(DaytonaError, match="can't be deleted"):
        sandbox.delete()
    assert sdk(service).get(sandbox.id).state == "started"


@pytest.mark.parametrize(
    ("method", "path", "state"),
    [
        ("DELETE", "/api/sandbox/local", "destroying"),
        ("POST", "/api/sandbox/any-id/stop", "stopping"),
    ],
)
def test_delete_and_stop_can_stop_the_service(
    make_service: Callable[..., Service], method: str, path: str, state: str
) -> None:
    service = make_service(settings='[fleet.single]\non_delete = "stop"\n')
    response = service.http.request(method, path)
    assert (response.status_code, response.json()["state"]) == (200, state)
    assert service.process.wait(DEADLINE) == 0


def test_a_time_to_live_is_the_time_of_what_create_has_set(daytona: Daytona) -> None:
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(ttl_minutes=5))
    assert sandbox.auto_destroy_at
    sandbox.set_ttl(0)
    sandbox.refresh_data()
    assert sandbox.auto_destroy_at is None
