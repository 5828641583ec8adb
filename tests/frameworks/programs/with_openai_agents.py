"""The sandbox of openai-agents, with its default workspace."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.request
from pathlib import Path
from typing import Any

from agents.extensions.sandbox.daytona import DaytonaSandboxClient
from agents.extensions.sandbox.daytona import DaytonaSandboxClientOptions
from agents.sandbox.manifest import Manifest

PORT = 8765
CONNECT = f"import socket; socket.create_connection(('localhost', {PORT}))"


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read().decode()


async def work(session: Any) -> dict[str, Any]:
    done = await session.exec("echo $WORD; pwd; echo bad >&2; exit 3")
    await session.write(Path("dir/a.bin"), io.BytesIO(bytes(range(256))))
    read = (await session.read(Path("dir/a.bin"))).read()
    listed = [Path(entry.path).name for entry in await session.ls(Path("dir"))]
    started = await session.pty_exec_start("read x; echo got-$x", tty=True, yield_time_s=1)
    told = await session.pty_write_stdin(
        session_id=started.process_id, chars="word\n", yield_time_s=5
    )
    # Not by exec: the client deletes the session of each, and with it what runs there.
    await session.pty_exec_start(f"python3 -m http.server {PORT}", tty=True, yield_time_s=1)
    await session.exec(f'until python3 -c "{CONNECT}" 2>/dev/null; do sleep 0.1; done')
    end = await session.resolve_exposed_port(PORT)
    page = await asyncio.to_thread(fetch, f"http://{end.host}:{end.port}/dir/")
    await session.pty_terminate_all()
    return {
        "exec": [done.stdout.decode(), done.stderr.decode(), done.exit_code],
        "read": read == bytes(range(256)),
        "listed": listed,
        "pty": b"got-word" in told.output,
        "page": "a.bin" in page,
        "running": await session.running(),
    }


async def main() -> dict[str, Any]:
    options = DaytonaSandboxClientOptions(env_vars={"WORD": "given"}, exposed_ports=(PORT,))
    async with DaytonaSandboxClient() as client:
        session = await client.create(options=options)
        async with session:
            results = await work(session)
            archive = (await session.persist_workspace()).read()
        other = await client.create(
            manifest=Manifest(root="/home/daytona/other"),
            options=DaytonaSandboxClientOptions(sandbox_snapshot_name="daytona-small"),
        )
        async with other:
            await other.hydrate_workspace(io.BytesIO(archive))
            moved = (await other.read(Path("dir/a.bin"))).read()
        await client.delete(other)
    return {**results, "kept": moved == bytes(range(256))}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
