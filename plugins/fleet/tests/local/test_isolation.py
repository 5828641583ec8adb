"""Sandboxes know nothing of each other, of the control plane's key and of its environment."""

from __future__ import annotations

import shlex
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import TOKEN

Fleets = Callable[..., Any]


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
def test_the_key_is_not_readable_inside(make_fleet: Fleets, isolation: str) -> None:
    fleet = make_fleet(f'isolation = "{isolation}"\n')
    sandbox = fleet.create(env={"OWN": "x"})
    assert TOKEN not in fleet.run(
        sandbox, "env; cat ../run/* /run/toolbox/* /proc/$PPID/environ; true"
    )
    for pid in fleet.marked(sandbox["id"]):
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert TOKEN.encode() not in environ
        # A variable of the control plane's own.
        assert b"TOOLBOX_CONFIG" not in environ and b"XDG_STATE_HOME" not in environ
    assert TOKEN not in str([path.read_bytes() for path in fleet.data.rglob("*") if path.is_file()])


LOOK = """
import os, re, sys
key, found, denied = sys.stdin.read().strip().encode(), 0, 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) == os.getpid():
        continue
    try:
        with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/maps") as maps:
            for line in maps:
                low, high = (int(end, 16) for end in line.split()[0].split("-"))
                try:
                    memory.seek(low)
                    found += key in memory.read(high - low)
                except (OSError, OverflowError, ValueError):
                    pass
    except PermissionError:
        denied += 1
    except OSError:
        pass
print(found, denied)
"""


def test_the_key_is_not_readable_in_the_service_s_memory(make_fleet: Fleets) -> None:
    fleet = make_fleet('isolation = "bubblewrap"\n')
    sandbox = fleet.create()
    (fleet.home(sandbox) / "look.py").write_text(LOOK)
    # Reversed, so that neither the command nor its input has the key itself.
    key = f"import sys; print({TOKEN[::-1]!r}[::-1])"
    shown = fleet.run(sandbox, f"{sys.executable} -c {shlex.quote(key)} | {sys.executable} look.py")
    found, denied = map(int, shown.split())
    # The service's master and worker, which has received the key with this very request.
    assert denied >= 2 and not found, shown


def test_a_sandbox_s_token_opens_no_other(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    one, two = fleet.create(), fleet.create()
    token = _token(fleet, one)
    assert fleet.ask(one, "GET", "/process/session", token).status_code == 200
    assert fleet.ask(two, "GET", "/process/session", token).status_code == 401
    assert fleet.ask(two, "GET", "/process/session", "wrong").status_code == 401
    with fleet.service.client(token) as client:
        assert client.get("/api/sandbox").status_code == 401
    # Nor does a port serve another's id: it may be a URL from before.
    moved = {**two, "id": one["id"]}
    assert fleet.ask(moved, "GET", "/process/session").status_code == 404


def _token(fleet: Any, sandbox: dict[str, Any]) -> str:
    """The token of a sandbox's own service, which no client is told."""
    with sqlite3.connect(f"file:{fleet.data}/fleet.db?mode=ro", uri=True) as database:
        (found,) = database.execute(
            "SELECT json_extract(body, '$.token') FROM rows WHERE id = ?", (sandbox["id"],)
        ).fetchone()
    database.close()
    return str(found)


def test_bubblewrap_hides_the_others(make_fleet: Fleets) -> None:
    fleet = make_fleet('isolation = "bubblewrap"\n')
    one, two = fleet.create(), fleet.create()
    fleet.run(two, "echo secret > file")
    assert fleet.run(one, f"ls {fleet.data} 2>/dev/null || echo hidden").strip() == "hidden"
    assert "serve" in fleet.run(one, "cat /proc/*/cmdline | tr '\\0' ' '")
    assert two["id"] not in fleet.run(one, "cat /proc/*/cmdline /proc/*/environ; true")
    assert fleet.run(one, "touch /etc/mine 2>/dev/null || echo refused").strip() == "refused"
    assert fleet.run(one, "touch /tmp/mine; ls /tmp/mine").strip() == "/tmp/mine"


def test_a_blocked_network_leads_nowhere(make_fleet: Fleets) -> None:
    fleet = make_fleet('isolation = "bubblewrap"\n')
    sandbox = fleet.create(networkBlockAll=True)
    interfaces = fleet.run(sandbox, "cat /proc/net/dev | tail -n +3 | cut -d: -f1")
    assert interfaces.split() == ["lo"]
    path = f"/api/sandbox/{sandbox['id']}/network-settings"
    changed = fleet.http.post(path, json={"networkBlockAll": False})
    assert changed.status_code == 409


def test_without_bubblewrap_it_can_t_be_blocked(make_fleet: Fleets) -> None:
    fleet = make_fleet('isolation = "none"\n')
    answer = fleet.http.post("/api/sandbox", json={"networkBlockAll": True})
    assert answer.status_code == 501 and "bubblewrap" in answer.text
    assert fleet.call("GET", "/api/sandbox")["items"] == []


@pytest.mark.parametrize("name", ["TOOLBOX_TOKEN", "TOOLBOX__AUTH__MODE", "A=B", "", "N\0"])
def test_variables_that_no_sandbox_can_have(make_fleet: Fleets, name: str) -> None:
    fleet = make_fleet()
    assert fleet.http.post("/api/sandbox", json={"env": {name: "x"}}).status_code == 400


def test_its_variables_don_t_reach_its_service(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    sandbox = fleet.create(env={"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"})
    assert fleet.run(sandbox, "echo $PYTHONPATH").strip() == "/nowhere"
    # Its modules don't, either.
    fleet.run(sandbox, "echo 'raise SystemExit(7)' > json.py; cp json.py toolbox.py")
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/stop")
    fleet.wait(sandbox["id"], "stopped")
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/start")
    fleet.wait(sandbox["id"], "started")


def test_twenty_at_once_all_start_and_respond(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    made = [fleet.call("POST", "/api/sandbox", json={"name": f"n{n}"}) for n in range(20)]
    for one in made:
        started = fleet.wait(one["id"], "started")
        assert fleet.run(started, "echo $TOOLBOX_FLEET_SANDBOX").strip() == one["id"]
