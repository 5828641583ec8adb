"""Clients of a control plane, which use a sandbox through it."""

from __future__ import annotations

import httpx
from daytona import Sandbox

from toolbox.testing import DEADLINE
from toolbox.testing import Service


def use_signed_urls(box: Sandbox, name: str) -> None:
    """Upload and download a file by URLs that need no other credential."""
    path = f"{box.get_work_dir()}/{name}"
    upload, download = box.upload_url(path), box.download_url(path)
    httpx.post(upload, files={"file": b"signed"}, timeout=DEADLINE).raise_for_status()
    assert httpx.get(download, timeout=DEADLINE).content == b"signed"
    forged = httpx.get(download.replace("signature=v1_", "signature=v1_x"), timeout=DEADLINE)
    assert forged.status_code == 401


def use_terminal(box: Sandbox, given: str) -> None:
    """Work in a terminal, by a WebSocket; the sandbox has a variable ``GIVEN``."""
    terminal = box.process.create_pty_session("terminal")
    seen = bytearray()
    terminal.send_input("echo $((6 * 7)) $GIVEN; exit 3\n")
    assert terminal.wait(on_data=seen.extend).exit_code == 3
    assert f"42 {given}\r\n".encode() in seen


def size_of_download(service: Service, box: Sandbox, size: int) -> int:
    """Make a file of a size, and return how much of it comes through the gateway."""
    box.process.exec(f"truncate -s {size} large")
    query = {"path": "large"}
    path = f"/toolbox/{box.id}/files/download"
    with service.http.stream("GET", path, params=query, timeout=DEADLINE) as response:
        return sum(map(len, response.iter_raw()))
