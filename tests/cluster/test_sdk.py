"""The SDK for asyncio on a cluster: what works there, and what each refusal says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
from daytona import AsyncDaytona
from daytona import AsyncSandbox
from daytona import CreateSandboxFromSnapshotParams
from daytona import CreateSecretParams
from daytona import CreateSnapshotParams
from daytona import DaytonaConfig
from daytona import DaytonaError
from daytona import DaytonaNotFoundError
from daytona import ListSandboxesQuery
from daytona import Resources
from daytona import VolumeMount

from toolbox.testing import Service

from .cluster import Cluster
from .fleets import add_template
from .fleets import left

SETTINGS = """
[fleet]
backend = "kubernetes"
[fleet.kubernetes]
kubeconfig = "{cluster.kubeconfig}"
namespace = "{namespace}"
"""
REFUSED: dict[str, Callable[[AsyncSandbox], Awaitable[object]]] = {
    "the memory of a pod": lambda box: box.pause(),
    "the files of a pod can't be copied": lambda box: box.fork(),
    "a pod.s files can.t be taken": lambda box: box.create_snapshot("shot"),
    "metrics of the nodes": lambda box: box.get_metrics(),
    "SSH": lambda box: box.create_ssh_access(1),
    "networkAllowList": lambda box: box.update_network_settings(domain_allow_list="example.com"),
}
"""Calls that no pod can fulfill, by words of the message."""


@pytest.fixture
def service(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Service]:
    add_template(cluster, namespace)
    running = Service(tmp_path, settings=SETTINGS.format(cluster=cluster, namespace=namespace))
    yield running
    running.stop()


def test_the_sdk_for_asyncio(cluster: Cluster, namespace: str, service: Service) -> None:
    async def use() -> None:
        config = DaytonaConfig(api_key=service.token, api_url=f"{service.url}/api", target="local")
        async with AsyncDaytona(config) as daytona:
            await _use(daytona)

    asyncio.run(use())
    service.wait_for(lambda: not left(cluster, namespace), "the end of the objects")


async def _use(daytona: AsyncDaytona) -> None:
    volume = await daytona.volume.create("kept")
    secret = await daytona.secret.create(CreateSecretParams(name="TOKEN", value="s3cret"))
    wanted = CreateSandboxFromSnapshotParams(
        name="async",
        labels={"of": "async"},
        env_vars={"A": "b"},
        volumes=[VolumeMount(volume_id="kept", mount_path="/home/sandbox/kept")],
        secrets={"KEY": "TOKEN"},
    )
    box = await daytona.create(wanted)
    assert (await box.process.exec("echo $A $KEY")).result == "b s3cret\n"
    assert (await box.process.code_run("print(6 * 7)")).result == "42\n"
    query = ListSandboxesQuery(labels={"of": "async"})
    assert [one.id async for one in daytona.list(query)] == [box.id]
    assert (await daytona.get("async")).id == box.id
    await box.fs.upload_file(b"kept", "/home/sandbox/kept/file")
    await _change(box)
    for words, call in REFUSED.items():
        with pytest.raises(DaytonaError, match=words) as refused:
            await call(box)
        assert refused.value.status_code == 501
    await box.stop()
    await box.resize(Resources(cpu=1, memory=2))
    await box.archive()
    await box.start()
    # In another pod: what volumes have is there, and what it was given.
    assert await box.fs.download_file("/home/sandbox/kept/file") == b"kept"
    assert (await box.process.exec("echo $A")).result == "b\n"
    assert (box.cpu, box.memory) == (1, 2)
    await box.delete(wait=True)
    with pytest.raises(DaytonaNotFoundError):
        await daytona.get("async")
    await daytona.volume.delete(volume)
    await daytona.secret.delete(secret.id)
    await _make_pool(daytona)


async def _change(box: AsyncSandbox) -> None:
    await box.set_autostop_interval(31)
    await box.set_auto_archive_interval(32)
    await box.set_auto_delete_interval(33)
    await box.set_ttl(34)
    await box.set_public(True)
    await box.refresh_activity()
    await box.update_network_settings(network_block_all=False)
    await box.refresh_data()
    assert (box.auto_stop_interval, box.auto_archive_interval) == (31, 32)
    assert (box.auto_delete_interval, box.public) == (33, True)
    assert box.auto_destroy_at is not None
    first = await box.download_url("/tmp/a.txt", ttl_seconds=0)
    await box.rotate_signing_key()
    assert await box.download_url("/tmp/a.txt", ttl_seconds=0) != first


async def _make_pool(daytona: AsyncDaytona) -> None:
    made = await daytona.snapshot.create(CreateSnapshotParams(name="image", image="toolbox:1"))
    assert made.id in [one.id for one in (await daytona.snapshot.list(limit=100)).items]
    pool = await daytona.warm_pool.create("image", 1)
    assert [one.id for one in await daytona.warm_pool.list()] == [pool.id]
    await daytona.warm_pool.delete(pool.id)
    await daytona.snapshot.delete(made)
