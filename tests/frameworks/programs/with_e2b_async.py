"""E2B's client, async, on one sandbox: ``E2B_DEBUG`` and no control plane."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from e2b import AsyncSandbox
from e2b import CommandExitException
from e2b import FileNotFoundException
from e2b.sandbox.commands.command_handle import PtySize

HERE = os.environ["E2B_WORK"] + "/async"
DEADLINE = 60.0


async def failure(kind: type[Exception], call: Any) -> Any:
    try:
        return repr(await call)
    except kind as error:
        return [type(error).__name__, getattr(error, "exit_code", None)]


async def commands(box: AsyncSandbox) -> dict[str, Any]:
    live: asyncio.Queue[str] = asyncio.Queue()
    script = f"echo first; until [ -e {HERE}/go ]; do sleep 0.05; done; echo bad >&2; echo last"
    run = asyncio.create_task(box.commands.run(script, on_stdout=live.put_nowait, timeout=0))
    first = await asyncio.wait_for(live.get(), DEADLINE)
    await box.files.write(f"{HERE}/go", "")
    done = await run
    many = await asyncio.gather(*(box.commands.run(f"echo {number}") for number in range(10)))
    return {
        "live": [first, done.stdout, done.stderr, done.exit_code],
        "many": [each.stdout for each in many] == [f"{number}\n" for number in range(10)],
        "failed": await failure(CommandExitException, box.commands.run("exit 3")),
    }


async def background(box: AsyncSandbox) -> dict[str, Any]:
    live: asyncio.Queue[str] = asyncio.Queue()
    reader = await box.commands.run(
        "cat; echo end", background=True, stdin=True, timeout=0, on_stdout=live.put_nowait
    )
    async with box.commands.stream_input(reader.pid) as sender:
        await sender.send("one\n")
        # It arrives while the stream of input goes on.
        came = await asyncio.wait_for(live.get(), DEADLINE)
        await sender.send("two\n")
    await box.commands.close_stdin(reader.pid)
    result = await reader.wait()
    sleeper = await box.commands.run("sleep 600", background=True, timeout=0)
    killed = await sleeper.kill()
    return {
        "came": came,
        "read": [result.stdout, result.exit_code],
        "killed": [killed, await failure(CommandExitException, sleeper.wait())],
    }


async def files(box: AsyncSandbox) -> dict[str, Any]:
    await box.files.write(f"{HERE}/a.txt", "hällo")
    events: asyncio.Queue[Any] = asyncio.Queue()
    await box.files.make_dir(f"{HERE}/watched")
    watch = await box.files.watch_dir(
        f"{HERE}/watched", events.put_nowait, timeout=0, include_entry=True
    )
    await box.files.write(f"{HERE}/watched/b.txt", "b")
    event = await asyncio.wait_for(events.get(), DEADLINE)
    await watch.stop()
    return {
        "text": await box.files.read(f"{HERE}/a.txt"),
        "listed": [each.name for each in await box.files.list(HERE)],
        "event": [event.name, event.type.value, event.entry.size],
        "missing": await failure(FileNotFoundException, box.files.read(f"{HERE}/none")),
    }


async def terminal(box: AsyncSandbox) -> dict[str, Any]:
    output = bytearray()
    shell = await box.pty.create(PtySize(rows=24, cols=80), output.extend, timeout=0)
    await box.pty.resize(shell.pid, PtySize(rows=30, cols=100))
    await box.pty.send_stdin(shell.pid, b"stty size; exit 5\n")
    code = await failure(CommandExitException, shell.wait())
    return {"size": b"30 100" in output, "code": code}


async def main() -> dict[str, Any]:
    box = await AsyncSandbox.create()
    await box.files.make_dir(HERE)
    return {
        "running": await box.is_running(),
        "commands": await commands(box),
        "background": await background(box),
        "files": await files(box),
        "terminal": await terminal(box),
    }


print(json.dumps(asyncio.run(main())), flush=True)
# The threads of pyqwest, the client's native library, may abort an interpreter that ends.
os._exit(0)
