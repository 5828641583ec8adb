"""A sandbox with bubblewrap has files like a machine: what it writes anywhere stays, and is its."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Fleets = Callable[..., Any]

PLACES = ("/app", "/logs", "/home/daytona/workspace", "/root/notes", "/tmp/work", "/own/a/b")
WRITE = " && ".join(f"mkdir -p {place} && echo mine > {place}/file" for place in PLACES)
READ = "cat " + " ".join(f"{place}/file" for place in PLACES)
ALL = ["mine"] * len(PLACES)

CHANGE = (
    "echo new > /etc/toolbox-test && rm /usr/bin/yes && rm -r /etc/skel && mkdir /etc/skel"
    " && mkdir -p /usr/local/lib/new && echo 'echo installed' > /usr/local/bin/own-program"
    " && chmod +x /usr/local/bin/own-program"
)
CHANGED = "cat /etc/toolbox-test; test ! -e /usr/bin/yes && echo gone; ls -A /etc/skel; own-program"
AFTER = ["new", "gone", "installed"]


def test_what_is_written_anywhere_stays(boxed: Any) -> None:
    one, two = boxed.create(), boxed.create()
    assert boxed.run(one, "echo $HOME; pwd").split() == ["/home/daytona"] * 2
    boxed.run(one, WRITE)
    assert boxed.run(boxed.again(one), READ).split() == ALL
    # Nobody else sees it: not another sandbox, not this machine.
    for place in PLACES:
        assert boxed.run(two, f"test ! -e {place}/file && echo none").strip() == "none"
        assert not Path(place, "file").exists()


def test_copies_have_it_too(boxed: Any) -> None:
    source = boxed.create()
    boxed.run(source, WRITE)
    boxed.call("POST", f"/api/sandbox/{source['id']}/snapshot", json={"name": "as-it-is"})
    boxed.wait(source["id"], "started")
    forked = boxed.call("POST", f"/api/sandbox/{source['id']}/fork", json={})
    made = boxed.create(snapshot="as-it-is")
    for copy in (made, boxed.wait(forked["id"], "started")):
        assert boxed.run(copy, READ).split() == ALL
    boxed.call("POST", f"/api/sandbox/{source['id']}/stop")
    boxed.wait(source["id"], "stopped")
    boxed.call("POST", f"/api/sandbox/{source['id']}/archive")
    boxed.wait(source["id"], "archived")
    boxed.call("POST", f"/api/sandbox/{source['id']}/start")
    assert boxed.run(boxed.wait(source["id"], "started"), READ).split() == ALL


def test_the_machine_s_own_directories_are_read_only(boxed: Any) -> None:
    sandbox = boxed.create()
    for path in ("/usr/x", "/etc/x", "/lib64/x", "/bin/x"):
        assert boxed.run(sandbox, f"touch {path} 2>/dev/null || echo refused").strip() == "refused"
    # Neither can they be led elsewhere, for the service to load other code; nor can what is above
    # that code, though it may be in a home.
    code = Path(sys.base_prefix).resolve()
    touched = f"touch {code}/x 2>/dev/null || echo refused"
    assert boxed.run(sandbox, touched).strip() == "refused"
    for path in ("/usr", "/lib64", "/home", str(Path(*code.parts[:3]))):
        moved = f"mv {path} /elsewhere 2>/dev/null || echo refused"
        assert boxed.run(sandbox, moved).strip() == "refused"


def test_links_in_the_place_of_a_mount_lead_nowhere(boxed: Any, tmp_path: Path) -> None:
    sandbox = boxed.create()
    boxed.run(sandbox, "rmdir ~ 2>/dev/null; mv /home/daytona /home/old; ln -s /etc /home/daytona")
    started = boxed.again(sandbox)
    assert boxed.run(started, "readlink /home/daytona~*; pwd").split() == ["/etc", "/home/daytona"]
    # In the sandbox's tree, where a program of it can't put one: mounts are in the way.
    boxed.call("POST", f"/api/sandbox/{sandbox['id']}/stop")
    boxed.wait(sandbox["id"], "stopped")
    target = tmp_path / "machine"
    target.mkdir()
    usr = boxed.files(sandbox) / "usr"
    usr.rmdir()
    usr.symlink_to(target)
    boxed.call("POST", f"/api/sandbox/{sandbox['id']}/start")
    boxed.wait(sandbox["id"], "started")
    assert not usr.is_symlink() and not list(target.iterdir())


def test_volumes_are_mounted_wherever_a_client_asks(boxed: Any) -> None:
    volume = boxed.call("POST", "/api/volumes", json={"name": "shared"})
    paths = ["/data", "/home/daytona/deep/data", "/usr/share/data", "/mnt/data", "/tmp/data"]
    wanted = [
        {"volumeId": volume["id"], "mountPath": path, "subpath": f"s{number}"}
        for number, path in enumerate(paths)
    ]
    sandbox = boxed.create(volumes=wanted)
    for path in paths:
        boxed.run(sandbox, f"echo {path} > {path}/file")
    again = boxed.again(sandbox)
    assert boxed.run(again, f"cat {' '.join(f'{path}/file' for path in paths)}").split() == paths
    # A link of the sandbox's in the way is an error, not a way to this machine's files.
    boxed.run(again, "mv /home/daytona/deep /home/daytona/old")
    boxed.run(again, "ln -s /oldroot/tmp /home/daytona/deep")
    boxed.call("POST", f"/api/sandbox/{sandbox['id']}/stop")
    boxed.wait(sandbox["id"], "stopped")
    boxed.call("POST", f"/api/sandbox/{sandbox['id']}/start")
    assert "/home/daytona/deep/data" in boxed.wait(sandbox["id"], "error")["errorReason"]
    boxed.delete(sandbox["id"])


@pytest.mark.skipif(os.geteuid() != 0, reason="layers take root")
def test_a_layer_makes_all_of_it_writable(make_fleet: Fleets) -> None:
    fleet = make_fleet('isolation = "bubblewrap"\nmachine = "overlay"\n')
    sandbox = fleet.create()
    fleet.run(sandbox, f"{WRITE} && {CHANGE}")
    assert Path("/usr/bin/yes").exists() and Path("/etc/skel").is_dir()
    assert not Path("/etc/toolbox-test").exists()
    again = fleet.again(sandbox)
    assert fleet.run(again, READ).split() == ALL
    assert fleet.run(again, CHANGED).split() == AFTER
    # It could change the service's own code, so nobody shows it a token of others.
    assert again["toolboxProxyUrl"].startswith(fleet.service.url)
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/snapshot", json={"name": "changed"})
    fleet.wait(sandbox["id"], "started")
    copy = fleet.create(snapshot="changed")
    assert fleet.run(copy, CHANGED).split() == AFTER
    for action, state in (("stop", "stopped"), ("archive", "archived"), ("start", "started")):
        fleet.call("POST", f"/api/sandbox/{copy['id']}/{action}")
        copy = fleet.wait(copy["id"], state)
    assert fleet.run(copy, f"{CHANGED}; {READ}").split() == [*AFTER, *ALL]
    # Another one has none of it.
    assert fleet.run(fleet.create(), "which yes; test ! -e /app").strip() == "/usr/bin/yes"
