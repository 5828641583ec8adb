"""The sync SDK on what can be changed about a sandbox, and on the ways into one."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
from daytona import Daytona
from daytona import DaytonaError
from daytona import Sandbox

from toolbox.testing import DEADLINE
from toolbox.testing import Service

PAGE = "python3 -m http.server {port} >/dev/null 2>&1"


def test_intervals(sandbox: Sandbox) -> None:
    sandbox.set_autostop_interval(31)
    sandbox.set_auto_archive_interval(32)
    sandbox.set_auto_delete_interval(33)
    sandbox.refresh_data()
    assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval) == (31, 32)
    assert sandbox.auto_delete_interval == 33
    sandbox.set_auto_delete_interval(-1)
    sandbox.refresh_data()
    assert sandbox.auto_delete_interval == -1


def test_pause(sandbox: Sandbox) -> None:
    # Only one of the two may be on.
    sandbox.set_autostop_interval(0)
    sandbox.set_auto_pause_interval(34)
    sandbox.refresh_data()
    assert (sandbox.auto_stop_interval, sandbox.auto_pause_interval) == (0, 34)
    sandbox.set_auto_pause_interval(0)
    sandbox.refresh_data()
    assert sandbox.auto_pause_interval == 0


def test_ttl(sandbox: Sandbox) -> None:
    sandbox.set_ttl(60)
    sandbox.refresh_data()
    assert sandbox.auto_destroy_at is not None
    sandbox.set_ttl(0)
    sandbox.refresh_data()
    assert sandbox.auto_destroy_at is None


def test_labels(sandbox: Sandbox, daytona: Daytona) -> None:
    labels = {"code-toolbox-language": "python", "a": "b"}
    assert sandbox.set_labels(labels) == labels
    assert daytona.get(sandbox.id).labels == labels


def test_public(sandbox: Sandbox, daytona: Daytona) -> None:
    sandbox.set_public(True)
    assert daytona.get(sandbox.id).public
    sandbox.set_public(False)
    assert not daytona.get(sandbox.id).public


def test_activity(sandbox: Sandbox) -> None:
    before = sandbox.last_activity_at
    sandbox.refresh_activity()
    sandbox.refresh_data()
    assert sandbox.last_activity_at is not None
    assert before is None or sandbox.last_activity_at >= before


def test_metrics(sandbox: Sandbox, fleet: Service) -> None:
    latest = sandbox.get_metrics_latest()
    assert latest.cpu_count >= 1 and 0 < latest.mem_used <= latest.mem_total
    fleet.wait_for(sandbox.get_metrics, "a record of its use")
    recorded = sandbox.get_metrics()[-1]
    assert recorded.mem_used > 0


def test_directories(sandbox: Sandbox) -> None:
    home = sandbox.get_user_home_dir()
    assert sandbox.process.exec("echo $HOME").result == f"{home}\n"
    assert sandbox.process.exec("pwd").result == f"{sandbox.get_work_dir()}\n"


def test_environment(sandbox: Sandbox) -> None:
    sandbox.update_env({"LATER": "1"})
    assert sandbox.process.exec("echo $LATER").result == "1\n"


def test_preview_links(sandbox: Sandbox, fleet: Service) -> None:
    serve(sandbox, fleet, 8761)
    link = sandbox.get_preview_link(8761)
    assert urlsplit(link.url).path in ("", "/")
    assert httpx.get(link.url, timeout=DEADLINE).status_code == 401
    headers = {"X-Daytona-Preview-Token": link.token}
    assert "kept.txt" in httpx.get(link.url, headers=headers, timeout=DEADLINE).text


def test_a_public_sandbox_has_open_previews(sandbox: Sandbox, fleet: Service) -> None:
    serve(sandbox, fleet, 8762)
    link = sandbox.get_preview_link(8762)
    sandbox.set_public(True)
    assert httpx.get(link.url, timeout=DEADLINE).status_code == 200
    sandbox.set_public(False)
    assert httpx.get(link.url, timeout=DEADLINE).status_code == 401


def test_signed_preview_links(sandbox: Sandbox, fleet: Service) -> None:
    serve(sandbox, fleet, 8763)
    signed = sandbox.create_signed_preview_url(8763, expires_in_seconds=600)
    assert (signed.sandbox_id, signed.port) == (sandbox.id, 8763)
    assert "kept.txt" in httpx.get(signed.url, timeout=DEADLINE).text
    sandbox.expire_signed_preview_url(8763, signed.token)
    # Nothing may listen any longer where only this link led.
    with pytest.raises((httpx.ConnectError, httpx.HTTPStatusError)):
        httpx.get(signed.url, timeout=DEADLINE).raise_for_status()


def test_signed_urls_of_files(sandbox: Sandbox) -> None:
    path = f"{sandbox.get_work_dir()}/signed.bin"
    upload, download = sandbox.upload_url(path), sandbox.download_url(path)
    content = bytes(range(256))
    httpx.post(upload, files={"file": content}, timeout=DEADLINE).raise_for_status()
    assert httpx.get(download, timeout=DEADLINE).content == content
    sandbox.rotate_signing_key()
    assert httpx.get(download, timeout=DEADLINE).status_code == 401
    assert httpx.get(sandbox.download_url(path), timeout=DEADLINE).content == content


def test_ssh_is_not_there(sandbox: Sandbox) -> None:
    """There is no SSH server; the error says so."""
    with pytest.raises(DaytonaError, match="SSH") as caught:
        sandbox.create_ssh_access(10)
    assert caught.value.status_code == 501
    for call in (sandbox.validate_ssh_access, sandbox.revoke_ssh_access):
        with pytest.raises(DaytonaError, match="SSH"):
            call("a-token")


def test_network(sandbox: Sandbox) -> None:
    """The network of a started sandbox is what it started with."""
    sandbox.update_network_settings(network_block_all=False)
    with pytest.raises(DaytonaError) as caught:
        sandbox.update_network_settings(domain_allow_list="example.org")
    assert caught.value.status_code == 501


def serve(sandbox: Sandbox, fleet: Service, port: int) -> None:
    """Run a web server in the sandbox, in a directory with a file."""
    sandbox.fs.upload_file(b"kept", "page/kept.txt")
    sandbox.process.exec(f"(cd page && setsid {PAGE.format(port=port)} &)")
    probe = f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))'"
    fleet.wait_for(lambda: sandbox.process.exec(probe).exit_code == 0, "the server")
