"""Services go on in an upgrade in place, and are managed after it as before."""

from __future__ import annotations

import os
import signal
from typing import Any

from toolbox_process.testing import alive

from toolbox.handover.report import read_report
from toolbox.testing import Service

SETTINGS = """
[plugins]
enable = ["process"]
[process.local]
grace = 0.2
[process.services.same]
command = "echo same; exec sleep 1000"
ready = {log = "same"}
[process.services.changed]
command = "echo 1; exec sleep 1000"
[process.services.dropped]
command = "exec sleep 1000"
"""

COUNT = "i=0; while i=$((i+1)); do echo $i; [ -f %s ] && exit 7; sleep 0.01; done"


def upgrade(service: Service) -> dict[str, Any]:
    number = (read_report(service.process.pid) or {})["number"] + 1
    os.kill(service.process.pid, signal.SIGUSR2)

    def found() -> dict[str, Any]:
        return read_report(service.process.pid) or {}

    def is_over() -> bool:
        return found()["number"] == number and found()["state"] in ("done", "failed")

    service.wait_for(is_over, "the upgrade")
    assert found()["state"] == "done", service.log()
    return found()


def numbers(log: str) -> list[int]:
    return [int(line) for line in log.splitlines()]


def test_services_go_on(make_service: Any, services_of: Any, tmp_path: Any) -> None:
    service = make_service(settings=SETTINGS)
    services = services_of(service)
    stop, begin = tmp_path / "stop", tmp_path / "begin"
    backoff = {"first": 0.05, "limit": 0.05}
    services.put("count", command=COUNT % stop, ready={"log": "^5$"}, backoff=backoff)
    late = f"until [ -f {begin} ]; do sleep 0.05; done; echo go; exec sleep 1000"
    services.put("late", command=late, ready={"log": "^go$", "timeout": 600})
    services.put("idle", command="exec sleep 1000")
    services.act("idle", "stop")
    services.put("over", command="echo bye; exit 5", restart="never")
    services.put("pausing", command="exit 3", backoff={"first": 900, "limit": 900})
    services.wait("over", "stopped")
    services.until("pausing", lambda info: info["state"] == "backoff")
    for name in ("count", "same", "changed", "dropped"):
        services.wait(name)
    names = ("count", "late", "idle", "over", "pausing", "same", "changed", "dropped")
    before = {name: services.info(name) for name in names}
    follower = service.websocket("/x/services/count/logs")
    follower.recv()

    # Twice: what was taken over is handed over again.
    settings = service.directory / "toolbox.toml"
    text = settings.read_text().replace("echo 1;", "echo 2;")
    settings.write_text(text[: text.index("[process.services.dropped]")])
    for _ in range(2):
        report = upgrade(service)
        assert report["ended"] == [] and report["counts"]["services"] >= 4, report

    follower.close()
    for name in ("count", "late", "idle", "over", "pausing", "same"):
        after = services.info(name)
        kept = ("state", "since", "pid", "jobId", "startedAt", "exitCode", "reason", "declared")
        for key in (*kept, "definition", "runStart", "restarts", "message"):
            assert after.get(key) == before[name].get(key), (name, key)
    assert services.log("over") == "bye\n"
    # The settings are read again: one is another program now, one is no more.
    services.until("changed", lambda info: info["pid"] not in (None, before["changed"]["pid"]))
    service.wait_for(lambda: services.log("changed") == "1\n2\n", "the new definition")
    service.wait_for(lambda: not alive(before["dropped"]["pid"]), "the end of what is dropped")
    assert services.request("GET", "dropped").status_code == 404
    # Its sign is still looked for.
    begin.touch()
    assert services.wait("late")["pid"] == before["late"]["pid"]
    # Its end is seen, by whoever waits for it, and it is started again.
    stop.touch()
    ended = services.until("count", lambda info: info["restarts"])
    stop.unlink()
    assert (ended["exitCode"], ended["reason"]) == (7, "exited")
    job = service.http.get(f"/x/jobs/{before['count']['jobId']}").json()
    assert job["exitCode"] == 7
    first = f"\n{services.log('count')}".split("\n1\n")[1]
    got = numbers(f"1\n{first}")
    assert got == list(range(1, len(got) + 1)) and len(got) > 5
    # They are stopped, started and deleted as before.
    assert services.act("late", "stop")["state"] == "stopped"
    assert not alive(before["late"]["pid"])
    assert services.act("pausing", "restart")["restarts"] == 0
    services.delete("idle")
    services.delete("count")


def test_the_program_after_the_dashes_goes_on(make_service: Any, services_of: Any) -> None:
    script = "echo up; trap 'exit 7' USR1; while :; do sleep 0.05; done"
    enable = '[plugins]\nenable = ["process"]\n'
    service = make_service("--", "sh", "-c", script, settings=enable)
    services = services_of(service)
    services.wait("entrypoint")
    service.wait_for(lambda: services.log("entrypoint") == "up\n", "its output")
    before = services.info("entrypoint")
    upgrade(service)
    assert services.info("entrypoint")["pid"] == before["pid"]
    signaled = {"signal": "USR1", "tree": True}
    path = f"/x/jobs/{before['jobId']}/signal"
    service.http.post(path, json=signaled).raise_for_status()
    assert services.wait("entrypoint", "stopped")["exitCode"] == 7
    path = "/process/session/entrypoint"
    commands = service.http.get(path).json()["commands"]
    assert [(each["id"], each["exitCode"]) for each in commands] == [("entrypoint_command", 7)]
    # The shell may report the end of its sleep, which gets the signal, too.
    assert "up\n" in service.http.get(f"{path}/logs").text
