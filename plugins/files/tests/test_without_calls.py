"""Kernels and file systems that lack something."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from toolbox.testing import Service

WITHOUT = Path(__file__).with_name("without_calls.py")


def without(calls: str) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="toolbox-test-") as directory:
        wrapper = (sys.executable, str(WITHOUT), calls)
        service = Service(Path(directory), wrapper=wrapper)
        try:
            yield service
        finally:
            service.stop()


@pytest.fixture(scope="module")
def old() -> Iterator[Service]:
    yield from without("inotify_init1,memfd_create,renameat2,splice")


@pytest.fixture(scope="module")
def named() -> Iterator[Service]:
    """Every file has a name from the start."""
    yield from without("O_TMPFILE")


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


def test_f_c14_no_inotify_is_told(old: Service) -> None:
    answer = old.http.get("/x/files/watch", params={"path": "."}, headers=UPGRADE)
    assert (answer.status_code, answer.json()["code"]) == (501, "NOT_IMPLEMENTED")


def test_no_memfd_is_no_hindrance(old: Service) -> None:
    answer = old.http.get("/files/download", params={"path": "/proc/self/status"})
    assert answer.text.startswith("Name:")


def test_a_large_body_without_splice_is_the_file(old: Service, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 6 + b"the end"
    for _ in range(2):
        query = {"path": str(tmp_path / "file")}
        answer = old.http.post("/files/upload-v2", params=query, content=content)
        assert answer.status_code == 200, answer.text
        assert (tmp_path / "file").read_bytes() == content


def test_nothing_is_overwritten_where_no_rename_can_refuse_to(old: Service, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "new").touch()
    query = {"source": str(tmp_path / "old"), "destination": str(tmp_path / "new")}
    assert old.http.post("/files/move", params=query).status_code == 409
    (tmp_path / "new").unlink()
    assert old.http.post("/files/move", params=query).status_code == 200


def test_f_c20_private_names_are_not_told_of(named: Service, tmp_path: Path) -> None:
    ws = named.websocket("/x/files/watch?" + urlencode({"path": str(tmp_path)}))
    for name in ("new", "new", "end"):
        query = {"path": str(tmp_path / name)}
        named.http.post("/files/upload-v2", params=query, content=b"x" * 2_000_000)
    changes = []
    while ("created", "end") not in changes:
        changes += [(each["event"], Path(each["path"]).name) for each in json.loads(ws.recv())]
    ws.close()
    assert changes == [("created", "new"), ("created", "new"), ("created", "end")]


def test_f_b4_an_unpacking_that_is_broken_off_leaves_no_private_file(
    named: Service, tmp_path: Path
) -> None:
    head = tarfile.TarInfo("large")
    head.size = 10**9
    (tmp_path / "large").write_bytes(b"old")

    def body() -> Iterator[bytes]:
        yield head.tobuf() + bytes(1_000_000)
        # It has begun.
        named.wait_for(lambda: list(tmp_path.glob(".toolbox-*")), "the private file")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        named.http.put("/x/files/archive", params={"path": str(tmp_path)}, content=body())
    named.wait_for(lambda: not list(tmp_path.glob(".toolbox-*")), "the end of the private file")
    assert (tmp_path / "large").read_bytes() == b"old"
    small = io.BytesIO()
    with tarfile.open(fileobj=small, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("large"))
    answer = named.http.put(
        "/x/files/archive", params={"path": str(tmp_path)}, content=small.getvalue()
    )
    assert answer.json() == {"members": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["large"]
    assert (tmp_path / "large").read_bytes() == b""
