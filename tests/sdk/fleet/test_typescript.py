"""The TypeScript SDK on every method that reaches the control plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

JavaScript = Callable[..., Any]


def test_lifecycle(javascript: JavaScript) -> None:
    body = """
        const sandbox = await daytona.create({ name: 'ts', language: 'typescript',
            labels: { of: 'ts' }, envVars: { A: 'b' }, autoStopInterval: 11,
            autoDeleteInterval: 12, ttlMinutes: 13 })
        const states = [sandbox.state]
        const said = (await sandbox.process.executeCommand('echo $A')).result
        const listed = []
        for await (const each of daytona.list({ labels: { of: 'ts' } })) listed.push(each.id)
        const got = (await daytona.get('ts')).id
        await sandbox.fs.uploadFile(Buffer.from('kept'), 'kept.txt')
        await sandbox.stop(); states.push(sandbox.state)
        await sandbox.waitUntilStopped()
        await daytona.start(sandbox); states.push(sandbox.state)
        await sandbox.waitUntilStarted()
        const kept = (await sandbox.fs.downloadFile('kept.txt')).toString()
        await daytona.stop(sandbox)
        await sandbox.archive()
        while (sandbox.state === 'archiving') await sandbox.refreshData()
        await sandbox.start(); states.push(sandbox.state)
        const intervals = [sandbox.autoStopInterval, sandbox.autoDeleteInterval]
        await sandbox.delete()
        const gone = await daytona.get(sandbox.id).then(each => each.state, e => e.constructor.name)
        return { states, said, found: [listed, [got]].every(([id]) => id === sandbox.id), kept,
            intervals, gone }
    """
    got = javascript(body)
    assert got["states"] == ["started", "stopped", "started", "started"]
    assert (got["said"], got["found"], got["kept"]) == ("b\n", True, "kept")
    assert got["intervals"] == [11, 12]
    assert got["gone"] in ("destroying", "destroyed", "DaytonaNotFoundError")


def test_pause_resize_and_fork(javascript: JavaScript) -> None:
    body = """
        const sandbox = await daytona.create()
        await sandbox.fs.uploadFile(Buffer.from('kept'), 'kept.txt')
        await sandbox.pause()
        const states = [sandbox.state]
        await sandbox.start()
        await sandbox.setAutostopInterval(0)
        await sandbox.setAutoPauseInterval(35)
        const metrics = Array.isArray(await sandbox.getMetrics())
        await sandbox.resize({ cpu: 1, memory: 2 })
        await sandbox.waitForResizeComplete(); states.push(sandbox.state)
        const forked = await sandbox.fork({ name: 'ts-fork' })
        const kept = (await forked.fs.downloadFile('kept.txt')).toString()
        await daytona.delete(forked)
        await sandbox.refreshData()
        const numbers = [sandbox.autoPauseInterval, sandbox.cpu, sandbox.memory]
        await sandbox.delete()
        return { states, metrics, kept, numbers }
    """
    assert javascript(body) == {
        "states": ["paused", "started"],
        "metrics": True,
        "kept": "kept",
        "numbers": [35, 1, 2],
    }


def test_settings(javascript: JavaScript) -> None:
    body = """
        const sandbox = await daytona.create()
        const refusal = promise => promise.then(() => null, e => [e.statusCode, e.message])
        await sandbox.setAutostopInterval(31)
        await sandbox.setAutoArchiveInterval(32)
        await sandbox.setAutoDeleteInterval(33)
        await sandbox.setTtl(34)
        await sandbox.refreshActivity()
        await sandbox.updateNetworkSettings({ networkBlockAll: false })
        const labels = await sandbox.setLabels({ 'code-toolbox-language': 'python', a: 'b' })
        await sandbox.refreshData()
        const intervals = [sandbox.autoStopInterval, sandbox.autoArchiveInterval,
            sandbox.autoDeleteInterval]
        const link = await sandbox.getPreviewLink(8765)
        const signed = await sandbox.getSignedPreviewUrl(8765, 60)
        await sandbox.expireSignedPreviewUrl(8765, signed.token)
        const first = await sandbox.downloadUrl('/tmp/a.txt', 0)
        await sandbox.rotateSigningKey()
        const rotated = first !== await sandbox.downloadUrl('/tmp/a.txt', 0)
        const upload = await sandbox.uploadUrl('/tmp/a.txt')
        const ssh = [await refusal(sandbox.createSshAccess(1)),
            await refusal(sandbox.validateSshAccess('t')),
            await refusal(sandbox.revokeSshAccess('t'))]
        await sandbox.recover()
        await sandbox.delete()
        return { labels, intervals, path: new URL(link.url).pathname, rotated, upload, ssh }
    """
    got = javascript(body)
    assert got["labels"] == {"code-toolbox-language": "python", "a": "b"}
    assert (got["intervals"], got["path"]) == ([31, 32, 33], "/")
    assert got["rotated"]
    assert "/files/upload" in got["upload"]
    assert [status for status, _ in got["ssh"]] == [501] * 3
    assert all("SSH" in message for _, message in got["ssh"])


def test_storage(javascript: JavaScript) -> None:
    body = """
        const names = async promise => (await promise).map(each => each.name)
        const volume = await daytona.volume.create('ts')
        const volumes = [await names(daytona.volume.list()), (await daytona.volume.get('ts')).id]
        const secret = await daytona.secret.create({ name: 'TS', value: 's3cret' })
        await daytona.secret.update(secret.id, { description: 'd' })
        const description = (await daytona.secret.get(secret.id)).description
        const secrets = (await daytona.secret.list()).items.map(each => each.name)
        const sandbox = await daytona.create({ secrets: { KEY: 'TS' },
            volumes: [{ volumeId: 'ts', mountPath: '/home/daytona/volume' }] })
        const said = (await sandbox.process.executeCommand('echo $KEY')).result
        await sandbox.updateSecrets({})
        await sandbox.delete()
        await daytona.volume.delete(volume)
        await daytona.secret.delete(secret.id)
        return { volumes: [volumes[0], volumes[1] === volume.id], description, secrets, said }
    """
    assert javascript(body) == {
        "volumes": [["ts"], True],
        "description": "d",
        "secrets": ["TS"],
        "said": "s3cret\n",
    }


def test_snapshots_and_warm_pools(javascript: JavaScript) -> None:
    body = """
        const sandbox = await daytona.create()
        await sandbox.createSnapshot('ts')
        await sandbox.delete()
        const taken = await daytona.snapshot.get('ts')
        await daytona.snapshot.activate(taken)
        const built = await daytona.snapshot.create({ name: 'ts-image', image: 'debian' })
            .catch(error => error.statusCode)
        const listed = (await daytona.snapshot.list({ limit: 100 })).items.map(each => each.name)
        const pool = await daytona.warmPool.create({ snapshot: 'ts', pool: 1 })
        const size = (await daytona.warmPool.update(pool.id, { pool: 2 })).pool
        const pools = (await daytona.warmPool.list()).length
        await daytona.warmPool.delete(pool.id)
        await daytona.snapshot.delete(taken)
        return { listed: listed.includes('ts'), size, pools, built }
    """
    assert javascript(body) == {
        "listed": True,
        "size": 2,
        "pools": 1,
        "built": 501,
    }
