"""The isolation ``user``: each sandbox is a user, who can't look at others or at the service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

MakeFleet = Callable[..., Any]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start other users")


def test_each_sandbox_is_a_user_of_its_own(users: Any) -> None:
    one, two = users.create(), users.create(env={"SECRET": "of two"})
    (uid, _), (other, _) = (users.run(box, "id -u; id -G").split() for box in (one, two))
    assert {uid, other} == {one["user"], two["user"]} == {"61000", "61001"}
    users.run(two, "umask 022; echo secret > file; chmod 755 ~")
    refused = "2>/dev/null || echo refused"
    of_two = [users.home(two) / "file", *(f"/proc/{pid}/environ" for pid in users.tree(two["id"]))]
    of_plane = [f"/proc/{pid}/environ" for pid in _plane(users)]
    for path in (*of_two, *of_plane, users.data / "fleet.db", *users.data.glob("fleet.db-*")):
        assert users.run(one, f"cat {path} {refused}").strip() == "refused", path
    for pid in (*_plane(users), *users.tree(two["id"])):
        assert users.run(one, f"head -c 1 /proc/{pid}/mem {refused}").strip() == "refused"
        assert users.run(one, f"kill -9 {pid} {refused}").strip() == "refused"
    assert users.run(one, f"ls {users.data} {refused}").strip() == "refused"
    assert TOKEN not in users.run(one, "env; cat ../../../run/* /proc/*/environ 2>/dev/null; true")
    # What its service is shown is not for its programs, which are the same user.
    assert one["toolboxProxyUrl"].startswith(users.service.url)


def test_nothing_is_written_where_a_sandbox_s_link_leads(users: Any) -> None:
    sandbox = users.create()
    run = users.data / "sandboxes" / sandbox["id"] / "run"
    moved = (
        f"cd ../../..; mv run old 2>/dev/null && ln -s {users.home(sandbox)} run || echo refused"
    )
    assert users.run(sandbox, moved).strip() == "refused"
    assert run.is_dir() and not run.is_symlink()
    again = users.again(sandbox)
    assert users.run(again, "pwd; touch ~/file; ls").split()[-1] == "file"


def _plane(users: Any) -> list[int]:
    return [users.service.process.pid, *users.service.workers()]


def test_copies_belong_to_the_new_user(users: Any) -> None:
    source = users.create()
    users.run(source, "mkdir work && echo mine > work/file && chmod 600 work/file")
    users.call("POST", f"/api/sandbox/{source['id']}/snapshot", json={"name": "work"})
    users.wait(source["id"], "started")
    forked = users.call("POST", f"/api/sandbox/{source['id']}/fork", json={})
    for copy in (users.create(snapshot="work"), users.wait(forked["id"], "started")):
        assert copy["user"] != source["user"]
        assert users.run(copy, "echo more >> work/file; cat work/file").split() == ["mine", "more"]
    assert users.run(users.again(source), "cat work/file").strip() == "mine"


def test_the_contract_holds(users: Any, tmp_path: Path) -> None:
    program = Path(__file__).with_name("user_contract.py")
    command = [*users.wrapper, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Of its own, as its fleets are in the temporary directory.
    env = {**os.environ, "TMPDIR": "/tmp", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*command, str(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=10 * DEADLINE,
        env=env,
    )
    assert not done.returncode, done.stdout[-4000:] + done.stderr[-1000:]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("", "needs one"),
        ("no-such-user", "no user 'no-such-user'"),
        ("9-1", "not a range"),
        ("0-9", "not a range"),
    ],
)
def test_settings_that_can_t_work_are_refused(tmp_path: Path, user: str, reason: str) -> None:
    file = tmp_path / "toolbox.toml"
    file.write_text(
        f'[fleet]\nbackend = "local"\n[fleet.local]\nisolation = "user"\nuser = "{user}"\n'
    )
    command = [sys.executable, "-m", "toolbox", "config", "--check", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode and reason in done.stdout + done.stderr
