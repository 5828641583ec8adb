from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import websocket
from toolbox_files.watch import remote

from toolbox.errors import Conflict
from toolbox.testing import Service

Watch = Callable[..., websocket.WebSocket]

SMALL = (socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


@pytest.fixture
def watch(service: Service) -> Iterator[Watch]:
    """Watches: ``watch(path, **query)``."""
    sockets: list[websocket.WebSocket] = []

    def do(path: Path, **query: str) -> websocket.WebSocket:
        url = "/x/files/watch?" + urlencode({"path": str(path), **query})
        sockets.append(service.websocket(url, sockopt=(SMALL,)))
        return sockets[-1]

    yield do
    for ws in sockets:
        ws.close()


def receive(ws: websocket.WebSocket, last: str, event: str = "created") -> list[dict[str, Any]]:
    """Return the changes up to that of ``last``."""
    found: list[dict[str, Any]] = []
    while (last, event) not in [(change["path"], change["event"]) for change in found]:
        found += json.loads(ws.recv())
    return found


def test_changes_are_told_as_they_happen(watch: Watch, tmp_path: Path) -> None:
    ws = watch(tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0o600)
    file.rename(tmp_path / "other")
    (tmp_path / "other").unlink()
    (tmp_path / "dir").mkdir()
    found = receive(ws, str(tmp_path / "dir"))
    cookie = next(change["cookie"] for change in found if "cookie" in change)
    assert found == [
        {"event": "created", "path": str(file)},
        {"event": "modified", "path": str(file)},
        {"event": "attributes", "path": str(file)},
        {"event": "deleted", "path": str(file), "cookie": cookie},
        {"event": "created", "path": str(tmp_path / "other"), "cookie": cookie},
        {"event": "deleted", "path": str(tmp_path / "other")},
        {"event": "created", "path": str(tmp_path / "dir"), "isDir": True},
    ]


def test_below_is_watched_only_if_asked_for(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    flat, deep = watch(tmp_path), watch(tmp_path, recursive="true")
    (tmp_path / "sub" / "file").touch()
    (tmp_path / "end").touch()
    assert [each["path"] for each in receive(flat, str(tmp_path / "end"))] == [
        str(tmp_path / "end")
    ]
    assert str(tmp_path / "sub" / "file") in [
        each["path"] for each in receive(deep, str(tmp_path / "end"))
    ]


def test_directories_that_come_later_are_watched_too(watch: Watch, tmp_path: Path) -> None:
    ws = watch(tmp_path, recursive="true")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "early").touch()
    receive(ws, str(tmp_path / "a" / "b" / "early"))
    (tmp_path / "a" / "b" / "late").touch()
    receive(ws, str(tmp_path / "a" / "b" / "late"))


def test_a_directory_that_has_moved_away_is_not_watched(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    ws = watch(tmp_path / "in", recursive="true")
    (tmp_path / "in" / "sub").rename(tmp_path / "out")
    receive(ws, str(tmp_path / "in" / "sub"), "deleted")
    (tmp_path / "out" / "file").touch()
    (tmp_path / "in" / "end").touch()
    found = receive(ws, str(tmp_path / "in" / "end"))
    assert [each["path"] for each in found] == [str(tmp_path / "in" / "end")]


def test_f_c20_files_on_their_way_are_not_told_of(
    service: Service, watch: Watch, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "old").write_bytes(b"old")
    (here / "#12").write_bytes(b"old")
    ws = watch(here, recursive="true")

    def call(method: str, path: str, name: str, **more: Any) -> None:
        query = {"path": str(here / name), **more.pop("query", {})}
        service.http.request(method, path, params=query, **more).raise_for_status()

    call("POST", "/files/upload-v2", "new", content=b"x" * 3_000_000)
    call("POST", "/files/upload-v2", "old", content=b"new")
    call("POST", "/files/upload-v2", "#12", content=b"new")
    change = {"type": "replace", "oldText": "new", "newText": "edited"}
    body = {"path": str(here / "old"), "edits": [change]}
    service.http.post("/x/files/edit", json=body).raise_for_status()
    for offset, complete in ((0, "?0"), (1, "?1")):
        headers = {"Upload-Offset": str(offset), "Upload-Complete": complete}
        upload = {"query": {"id": "u"}, "headers": headers, "content": b"x"}
        call("PATCH", "/x/files/upload", "resumed", **upload)
    archive = service.http.get("/x/files/archive", params={"path": str(here)}).content
    call("PUT", "/x/files/archive", "copy", content=archive)
    (here / "#34").write_bytes(b"of the user")
    (here / "end").touch()
    found = receive(ws, str(here / "end"))
    changes = [(each["event"], each["path"].removeprefix(f"{here}/")) for each in found]
    own = [each for each in changes if not each[1].startswith("copy")]
    assert own == [
        ("created", "new"),
        ("created", "old"),
        ("created", "#12"),
        ("created", "old"),
        ("created", "resumed"),
        ("created", "#34"),
        ("modified", "#34"),
        ("created", "end"),
    ]
    assert not [each for each in found if "cookie" in each]
    below = {name for _, name in changes if name.startswith("copy/")}
    assert below <= {f"copy/{name}" for name in ("new", "old", "#12", "resumed")}


def test_a_watch_ends_with_what_is_watched(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    ws = watch(tmp_path / "dir")
    (tmp_path / "dir").rmdir()
    assert receive(ws, str(tmp_path / "dir"), "deleted")
    assert ws.recv() == ""
    assert not ws.connected


def test_one_file_can_be_watched(watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ws = watch(file)
    file.write_bytes(b"x")
    assert receive(ws, str(file), "modified")


def test_f_c20_a_file_that_is_replaced_goes_on_being_watched(
    service: Service, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    ws = watch(file)
    for _ in range(2):
        query = {"path": str(file)}
        service.http.post("/files/upload-v2", params=query, content=b"x").raise_for_status()
        found = receive(ws, str(file), "created")
        assert "deleted" not in [each["event"] for each in found]
    file.write_bytes(b"more")
    receive(ws, str(file), "modified")
    file.unlink()
    receive(ws, str(file), "deleted")
    assert ws.recv() == ""


def test_names_that_are_not_utf8_are_told(watch: Watch, tmp_path: Path) -> None:
    ws = watch(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).touch()
    receive(ws, f"{tmp_path}/caf\U0010f7e9")


def test_ac_59_changes_that_were_lost_are_told(watch: Watch, tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    ws = watch(tmp_path)
    one, other = tmp_path / "one", tmp_path / "other"
    one.touch()
    # More than the queues of both sides and the kernel hold, while the client doesn't read.
    for _ in range(limit * 2):
        one.rename(other)
        other.rename(one)
    found: list[str] = []
    while "overflow" not in found:
        found += [change["event"] for change in json.loads(ws.recv())]


def test_ac_59_a_watch_that_ends_leaves_nothing(
    service: Service, watch: Watch, tmp_path: Path
) -> None:
    (worker,) = service.workers()

    def instances() -> int:
        count = 0
        for path in Path(f"/proc/{worker}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # Closed concurrently.
                count += "inotify" in str(path.readlink())
        return count

    service.wait_for(lambda: not instances(), "the end of the watches of other tests")
    sockets = [watch(tmp_path, recursive="true") for _ in range(5)]
    assert instances() == 5
    for number, ws in enumerate(sockets):
        if number % 2:
            assert ws.sock is not None
            ws.sock.close()
        else:
            ws.close()
    service.wait_for(lambda: not instances(), "the end of the watches")


def test_ac_59_remote_file_systems_are_refused_unless_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote.refuse_remote(Path("/proc"))
    monkeypatch.setattr(remote, "_REMOTE", ("proc",))
    with pytest.raises(Conflict, match="proc"):
        remote.refuse_remote(Path("/proc"))


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("absent", "FILE_NOT_FOUND"),
        ("file/below", "INVALID_FILE_PATH"),
        ("a\0b", "INVALID_FILE_PATH"),
    ],
)
def test_what_can_not_be_watched_is_refused_before_the_upgrade(
    service: Service, tmp_path: Path, name: str, code: str
) -> None:
    (tmp_path / "file").touch()
    query = {"path": f"{tmp_path}/{name}"}
    answer = service.http.get("/x/files/watch", params=query, headers=UPGRADE)
    assert answer.json()["code"] == code
