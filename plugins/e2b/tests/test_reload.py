"""An upgrade in place: clients find the processes that they have started."""

from __future__ import annotations

import base64
import json
import os
import signal
import struct
from typing import Any

from toolbox.handover.report import read_report
from toolbox.testing import Service

PROCESS = "/e2b/process.Process"
STREAM = {"Content-Type": "application/connect+json"}


def call(service: Service, name: str, **message: Any) -> Any:
    response = service.http.post(f"{PROCESS}/{name}", json=message)
    assert response.status_code == 200, response.text
    return response.json()


def start(service: Service, **message: Any) -> int:
    """Start a process, and leave its stream; return its pid."""
    data = json.dumps(message).encode()
    body = struct.pack(">BI", 0, len(data)) + data
    with service.http.stream("POST", f"{PROCESS}/Start", content=body, headers=STREAM) as response:
        first = next(response.iter_raw())
    pid: int = json.loads(first[5 : 5 + int.from_bytes(first[1:5], "big")])["event"]["start"]["pid"]
    return pid


def reload(service: Service) -> None:
    number = (read_report(service.process.pid) or {})["number"] + 1
    os.kill(service.process.pid, signal.SIGUSR2)

    def is_done() -> bool:
        found = read_report(service.process.pid) or {}
        return found.get("number") == number and found["state"] == "done"

    service.wait_for(is_done, "the upgrade")


def test_processes_are_found_after_an_upgrade(make_service: Any) -> None:
    service = make_service(settings='[plugins]\nenable = ["e2b", "process", "files"]\n')
    command = 'read line; echo "got $line" > out; exec sleep 1000'
    work = {"cmd": "/bin/sh", "args": ["-c", command]}
    pid = start(service, process=work, tag="work")
    terminal = start(service, process={"cmd": "/bin/bash", "args": ["-i", "-l"]}, pty={"size": {}})
    # Nobody asks for them between the two.
    reload(service)
    reload(service)
    found = {each["pid"]: each for each in call(service, "List")["processes"]}
    assert found.keys() == {pid, terminal}
    assert (found[pid]["tag"], found[pid]["config"]) == ("work", work)
    line = base64.b64encode(b"hello\n").decode()
    call(service, "SendInput", process={"tag": "work"}, input={"stdin": line})
    out = service.work_dir / "out"
    service.wait_for(lambda: out.exists() and out.read_text() == "got hello\n", "its output")
    call(service, "Update", process={"pid": terminal}, pty={"size": {"cols": 90, "rows": 20}})
    for selector in ({"tag": "work"}, {"pid": terminal}):
        call(service, "SendSignal", process=selector, signal="SIGNAL_SIGKILL")
    service.wait_for(lambda: not call(service, "List").get("processes"), "their ends")
