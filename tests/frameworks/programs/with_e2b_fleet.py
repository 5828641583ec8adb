"""E2B's client, sync, with sandboxes of a control plane."""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.request import Request
from urllib.request import urlopen

from e2b import NotFoundException
from e2b import Sandbox
from e2b import SandboxQuery
from e2b import SandboxState
from e2b.exceptions import SandboxNotRunningException

DEADLINE = 60.0


def failure(kind: type[Exception], call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return repr(call(*arguments, **options))
    except kind as error:
        return type(error).__name__


def wait_for(condition: Any) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(condition())


def fetch(url: str, box: str) -> str:
    # As a browser would, by the sandbox's host name, which leads to the one service here.
    root, query = os.environ["E2B_SANDBOX_URL"], url.partition("?")[2]
    host = {"Host": f"49983-{box}.sandboxes.example"}
    with urlopen(Request(f"{root}/files?{query}", headers=host)) as response:
        return str(response.read().decode())


def pages(**options: Any) -> list[list[str]]:
    paginator = Sandbox.list(**options)
    found = []
    while paginator.has_next:
        found.append([each.sandbox_id for each in paginator.next_items()])
    return found


def main() -> dict[str, Any]:
    first = Sandbox.create(timeout=600, metadata={"which": "first ü"}, envs={"WORD": "given"})
    second = Sandbox.create(timeout=600, metadata={"which": "second"})
    ran = first.commands.run("echo $WORD; pwd")
    first.files.write("/tmp/e2b-note.txt", "kept")
    first.files.write("note.txt", "in the sandbox")
    link = first.download_url("note.txt", use_signature_expiration=600)
    info = first.get_info()
    first.set_timeout(1200)
    later = first.get_info()
    again = Sandbox.connect(first.sandbox_id)
    results: dict[str, Any] = {
        "ran": ran.stdout.splitlines()[0],
        "running": [first.is_running(), second.is_running()],
        "read": again.files.read("note.txt"),
        "apart": second.files.exists("note.txt"),
        "signed": fetch(link, box=first.sandbox_id),
        "unsigned": failure(Exception, fetch, link.replace("v1_", "v2_"), box=first.sandbox_id),
        "metadata": info.metadata,
        "state": info.state.value,
        "extended": (later.end_at - info.end_at).total_seconds() > 500,
        "pages": [len(page) for page in pages(limit=1)],
        "found": pages(query=SandboxQuery(metadata={"which": "first ü"})) == [[first.sandbox_id]],
        "metrics": isinstance(first.get_metrics(), list),
        "unknown": failure(NotFoundException, Sandbox.connect, "no-such-sandbox"),
    }
    taken = first.create_snapshot(name="noted")
    third = Sandbox.create(template=taken.snapshot_id, timeout=600)
    results["snapshot"] = [taken.snapshot_id, third.files.read("note.txt"), third.kill()]
    mine = Sandbox.list_snapshots(sandbox_id=first.sandbox_id).next_items()
    results["snapshots"] = [
        [each.snapshot_id for each in mine],
        Sandbox.delete_snapshot("noted"),
        Sandbox.delete_snapshot("noted"),
    ]
    results["paused"] = [first.pause(), first.pause(), first.get_info().state.value]
    paused = SandboxQuery(state=[SandboxState.PAUSED])
    results["listed"] = pages(query=paused) == [[first.sandbox_id]]
    results["stopped"] = first.is_running()
    resumed = Sandbox.connect(first.sandbox_id, timeout=600)
    results["resumed"] = [resumed.is_running(), resumed.files.read("note.txt")]
    results["killed"] = [first.kill(), wait_for(lambda: not first.is_running())]
    results["gone"] = failure(SandboxNotRunningException, first.commands.run, "true")
    second.set_timeout(1)
    results["expired"] = wait_for(lambda: not second.is_running())
    return results


print(json.dumps(main()), flush=True)
# The threads of pyqwest, the client's native library, may abort an interpreter that ends.
os._exit(0)
