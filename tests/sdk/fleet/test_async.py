"""The async SDK on every method that reaches the control plane."""

from __future__ import annotations

import pytest
from daytona import AsyncDaytona
from daytona import AsyncSandbox
from daytona import CreateSandboxFromSnapshotParams
from daytona import CreateSecretParams
from daytona import CreateSnapshotParams
from daytona import DaytonaError
from daytona import DaytonaNotFoundError
from daytona import ListSandboxesQuery
from daytona import Resources
from daytona import UpdateSecretParams
from daytona import VolumeMount

pytestmark = pytest.mark.anyio


async def test_lifecycle(async_daytona: AsyncDaytona) -> None:
    sandbox = await async_daytona.create(
        CreateSandboxFromSnapshotParams(name="async", labels={"of": "async"}, env_vars={"A": "b"})
    )
    assert state(sandbox) == "started"
    assert (await sandbox.process.exec("echo $A")).result == "b\n"
    assert (await sandbox.process.code_run("print(6 * 7)")).result == "42\n"
    query = ListSandboxesQuery(labels={"of": "async"})
    assert [each.id async for each in async_daytona.list(query)] == [sandbox.id]
    assert (await async_daytona.get("async")).id == sandbox.id
    await sandbox.fs.upload_file(b"kept", "kept.txt")
    await sandbox.stop()
    await sandbox.wait_for_sandbox_stop()
    await async_daytona.start(sandbox)
    await sandbox.wait_for_sandbox_start()
    assert await sandbox.fs.download_file("kept.txt") == b"kept"
    await async_daytona.stop(sandbox)
    await sandbox.archive()
    while state(sandbox) == "archiving":
        await sandbox.refresh_data()
    await sandbox.start()
    await sandbox.delete(wait=True)
    with pytest.raises(DaytonaNotFoundError):
        await sandbox.refresh_data()


async def test_pause_resize_and_fork(async_daytona: AsyncDaytona) -> None:
    sandbox = await async_daytona.create()
    await sandbox.fs.upload_file(b"kept", "kept.txt")
    await sandbox.pause()
    assert state(sandbox) == "paused"
    await sandbox.start()
    await sandbox.set_autostop_interval(0)
    await sandbox.set_auto_pause_interval(35)
    await sandbox.refresh_data()
    assert sandbox.auto_pause_interval == 35
    assert isinstance(await sandbox.get_metrics(), list)
    await sandbox.resize(Resources(cpu=1, memory=2))
    await sandbox.wait_for_resize_complete()
    forked = await sandbox.fork()
    assert await forked.fs.download_file("kept.txt") == b"kept"
    await async_daytona.delete(forked)
    await sandbox.delete()


async def test_settings(async_daytona: AsyncDaytona) -> None:
    sandbox = await async_daytona.create()
    await sandbox.set_autostop_interval(31)
    await sandbox.set_auto_archive_interval(32)
    await sandbox.set_auto_delete_interval(33)
    await sandbox.set_ttl(34)
    await sandbox.set_public(True)
    await sandbox.refresh_activity()
    await sandbox.update_network_settings(network_block_all=False)
    labels = {"code-toolbox-language": "python", "a": "b"}
    assert await sandbox.set_labels(labels) == labels
    await sandbox.refresh_data()
    assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval) == (31, 32)
    assert (sandbox.auto_delete_interval, sandbox.public) == (33, True)
    assert sandbox.auto_destroy_at is not None
    await check_access(sandbox)
    await sandbox.recover()
    assert state(sandbox) == "started"
    await sandbox.delete()


async def check_access(sandbox: AsyncSandbox) -> None:
    link = await sandbox.get_preview_link(8765)
    assert link.token
    signed = await sandbox.create_signed_preview_url(8765, 60)
    await sandbox.expire_signed_preview_url(8765, signed.token)
    first = await sandbox.download_url("/tmp/a.txt", ttl_seconds=0)
    await sandbox.rotate_signing_key()
    assert await sandbox.download_url("/tmp/a.txt", ttl_seconds=0) != first
    assert "/files/upload" in await sandbox.upload_url("/tmp/a.txt")
    for call in (
        sandbox.create_ssh_access(1),
        sandbox.validate_ssh_access("a-token"),
        sandbox.revoke_ssh_access("a-token"),
    ):
        with pytest.raises(DaytonaError, match="SSH"):
            await call


async def test_storage(async_daytona: AsyncDaytona) -> None:
    volume = await async_daytona.volume.create("async")
    assert (await async_daytona.volume.get("async")).id == volume.id
    assert [each.name for each in await async_daytona.volume.list()] == ["async"]
    secret = await async_daytona.secret.create(CreateSecretParams(name="ASYNC", value="s3cret"))
    await async_daytona.secret.update(secret.id, UpdateSecretParams(description="d"))
    assert (await async_daytona.secret.get(secret.id)).description == "d"
    assert [each.name for each in (await async_daytona.secret.list()).items] == ["ASYNC"]
    params = CreateSandboxFromSnapshotParams(
        volumes=[VolumeMount(volume_id="async", mount_path="/home/daytona/volume")],
        secrets={"KEY": "ASYNC"},
    )
    sandbox = await async_daytona.create(params)
    assert (await sandbox.process.exec("echo $KEY")).result == "s3cret\n"
    await sandbox.update_secrets({})
    await sandbox.delete(wait=True)
    await async_daytona.volume.delete(volume)
    await async_daytona.secret.delete(secret.id)


async def test_snapshots_and_warm_pools(async_daytona: AsyncDaytona) -> None:
    with pytest.raises(DaytonaError, match=r"fleet\.local\] builder"):
        await async_daytona.snapshot.create(CreateSnapshotParams(name="image", image="debian"))
    sandbox = await async_daytona.create()
    await sandbox.create_snapshot("taken")
    await sandbox.delete()
    made = await async_daytona.snapshot.get("taken")
    assert (await async_daytona.snapshot.activate(made)).id == made.id
    assert made.id in [each.id for each in (await async_daytona.snapshot.list(limit=100)).items]
    pool = await async_daytona.warm_pool.create("taken", 1)
    assert (await async_daytona.warm_pool.update(pool.id, 2)).pool == 2
    assert [each.id for each in await async_daytona.warm_pool.list()] == [pool.id]
    await async_daytona.warm_pool.delete(pool.id)
    await async_daytona.snapshot.delete(made)


def state(sandbox: AsyncSandbox) -> str:
    assert sandbox.state is not None
    return sandbox.state.value
