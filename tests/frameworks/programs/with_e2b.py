"""E2B's client, sync, on one sandbox: ``E2B_DEBUG`` and no control plane."""

from __future__ import annotations

import io
import json
import os
import queue
import threading
import time
from typing import Any

from e2b import CommandExitException
from e2b import FileNotFoundException
from e2b import InvalidArgumentException
from e2b import NotFoundException
from e2b import Sandbox
from e2b import TimeoutException
from e2b.sandbox.commands.command_handle import PtySize

HERE = os.environ["E2B_WORK"] + "/sync"
DEADLINE = 60.0


def failure(kind: type[Exception], call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return repr(call(*arguments, **options))
    except kind as error:
        return [type(error).__name__, getattr(error, "exit_code", None)]


def commands(box: Sandbox) -> dict[str, Any]:
    live: queue.Queue[str] = queue.Queue()

    # The command goes on once its first line was seen: so that was sent before its end.
    def run() -> Any:
        script = f"echo first; until [ -e {HERE}/go ]; do sleep 0.05; done; echo bad >&2; echo last"
        return box.commands.run(script, on_stdout=live.put, timeout=0)

    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(run()))
    thread.start()
    first = live.get(timeout=DEADLINE)
    box.files.write(f"{HERE}/go", "")
    thread.join(DEADLINE)
    plain = box.commands.run('pwd; echo "$WORD ü"', cwd="/usr", envs={"WORD": "given"})
    return {
        "live": [first, done[0].stdout, done[0].stderr, done[0].exit_code],
        "plain": plain.stdout,
        "failed": failure(CommandExitException, box.commands.run, "exit 3"),
        "late": failure(TimeoutException, box.commands.run, "sleep 600", timeout=1),
        "nowhere": failure(InvalidArgumentException, box.commands.run, "true", cwd="/none"),
        "much": len(box.commands.run("head -c 3000000 /dev/zero | tr '\\0' x").stdout),
        "root": failure(Exception, box.commands.run, "true", user="nobody"),
    }


def background(box: Sandbox) -> dict[str, Any]:
    reader = box.commands.run("cat; echo end", background=True, stdin=True, timeout=0)
    listed = [each.pid for each in box.commands.list() if "cat; echo end" in each.args]
    box.commands.send_stdin(reader.pid, "one\n")
    box.commands.stream_input(reader.pid, ["two\n", b"three\n"])
    # What it has written by now is the first reader's; the second sees what comes then.
    lines = []
    for out, _, _ in reader:
        lines.append(out)
        if "three" in "".join(each or "" for each in lines):
            break
    reader.disconnect()
    again = box.commands.connect(reader.pid)
    again.send_stdin("four\n")
    again.close_stdin()
    result = again.wait()
    sleeper = box.commands.run("sleep 600", background=True, timeout=0)
    killed = [box.commands.kill(sleeper.pid), failure(CommandExitException, sleeper.wait)]
    return {
        "listed": listed == [reader.pid],
        "again": [result.stdout, result.exit_code],
        "killed": [*killed, box.commands.kill(sleeper.pid)],
        "unknown": failure(NotFoundException, box.commands.connect, 4_000_000_000),
        "deaf": failure(Exception, box.commands.send_stdin, _deaf(box).pid, "x"),
    }


def _deaf(box: Sandbox) -> Any:
    return box.commands.run("sleep 600", background=True, timeout=30)


def files(box: Sandbox) -> dict[str, Any]:
    path = f"{HERE}/dir/ä b.txt"
    written = box.files.write(path, "hällo\n", metadata={"Kind": "note"})
    several = box.files.write_files(
        [{"path": f"{HERE}/x", "data": b"\0\1"}, {"path": f"{HERE}/y", "data": "y"}]
    )
    box.files.write(f"{HERE}/raw", io.BytesIO(b"raw" * 100_000))
    box.files.write(f"{HERE}/zipped", b"z" * 100_000, gzip=True)
    made = [box.files.make_dir(f"{HERE}/new/deep") for _ in range(2)]
    info = box.files.get_info(path)
    box.commands.run(f"ln -s x {HERE}/link")
    link = box.files.get_info(f"{HERE}/link")
    renamed = box.files.rename(f"{HERE}/y", f"{HERE}/elsewhere/z")
    listed = [[each.name, each.type.value, each.size] for each in box.files.list(HERE)]
    deep = [each.path for each in box.files.list(HERE, depth=2) if each.name == "deep"]
    box.files.remove(f"{HERE}/new")
    return {
        "written": [written.name, written.path == path, written.type.value],
        "several": [each.name for each in several],
        "text": box.files.read(path),
        "bytes": list(box.files.read(f"{HERE}/x", format="bytes")),
        "stream": sum(map(len, box.files.read(f"{HERE}/raw", format="stream"))),
        "zipped": box.files.read(f"{HERE}/zipped") == "z" * 100_000,
        "made": made,
        "info": [info.name, info.type.value, info.size, info.permissions, info.metadata],
        "times": abs(info.modified_time.timestamp() - time.time()) < 3600,
        "link": [link.name, link.type.value, link.symlink_target],
        "renamed": renamed.path == f"{HERE}/elsewhere/z",
        "listed": sorted(listed),
        "deep": len(deep),
        "there": [box.files.exists(each) for each in (path, f"{HERE}/new", f"{HERE}/y")],
        "missing": failure(FileNotFoundException, box.files.read, f"{HERE}/none"),
        "unlisted": failure(FileNotFoundException, box.files.list, f"{HERE}/none"),
        "again": box.files.remove(f"{HERE}/new"),
    }


def watch(box: Sandbox) -> dict[str, Any]:
    box.files.make_dir(f"{HERE}/watched")
    handle = box.files.watch_dir(f"{HERE}/watched", recursive=True, include_entry=True)
    box.files.write(f"{HERE}/watched/a.txt", "a")
    box.files.rename(f"{HERE}/watched/a.txt", f"{HERE}/watched/b.txt")
    box.files.remove(f"{HERE}/watched/b.txt")
    seen: list[Any] = []
    deadline = time.monotonic() + DEADLINE
    while ["b.txt", "remove"] not in seen and time.monotonic() < deadline:
        seen += [[event.name, event.type.value] for event in handle.get_new_events()]
        time.sleep(0.05)
    handle.stop()
    missing = failure(FileNotFoundException, box.files.watch_dir, f"{HERE}/none")
    return {"seen": seen, "missing": missing}


def terminal(box: Sandbox) -> dict[str, Any]:
    shell = box.pty.create(PtySize(rows=24, cols=80), cwd="/usr", timeout=0)
    box.pty.resize(shell.pid, PtySize(rows=30, cols=100))
    box.pty.send_stdin(shell.pid, b"stty size; pwd; exit 5\n")
    output = bytearray()
    code = failure(CommandExitException, shell.wait, on_pty=output.extend)
    other = box.pty.create(PtySize(rows=24, cols=80), timeout=0)
    box.pty.kill(other.pid)
    return {
        "size": b"30 100" in output,
        "cwd": b"/usr" in output,
        "code": code,
        "killed": failure(CommandExitException, other.wait)[0],
    }


def main() -> dict[str, Any]:
    box = Sandbox.create()
    box.files.make_dir(HERE)
    results = {
        "running": box.is_running(),
        "commands": commands(box),
        "background": background(box),
        "files": files(box),
        "watch": watch(box),
        "terminal": terminal(box),
    }
    for process in box.commands.list():
        box.commands.kill(process.pid)
    return results


print(json.dumps(main()), flush=True)
# The threads of pyqwest, the client's native library, may abort an interpreter that ends.
os._exit(0)
