from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import signal
import socket
import stat
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_files.helpers.compressing import decompressed

from toolbox.processes import descendants
from toolbox.testing import Service

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

URL = "/x/files/archive"


def download(service: Service, path: Path, **query: str) -> Any:
    return service.http.get(URL, params={"path": str(path), **query})


def upload(service: Service, path: Path, content: Any) -> Any:
    return service.http.put(URL, params={"path": str(path)}, content=content)


def make_tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def plant(tree: Path) -> None:
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"x" * 100_000)
    (tree / "sub" / "script").write_bytes(b"#!")
    (tree / "sub" / "script").chmod(0o775)
    (tree / "link").symlink_to("/nowhere")
    os.link(tree / "sub" / "file", tree / "hard")
    os.mkfifo(tree / "fifo")
    for name in (b"caf\xe9", "日本語\n".encode(), b"n" * 255):
        Path(os.fsdecode(os.fsencode(tree) + b"/" + name)).write_bytes(name)


def description(tree: Path) -> dict[bytes, tuple[int, bytes]]:
    found = {}
    for path in tree.rglob("*"):
        mode = path.lstat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else b""
        if stat.S_ISLNK(mode):
            content = os.fsencode(path.readlink())
        found[os.fsencode(path.relative_to(tree))] = (mode, content)
    return found


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("tar", "application/x-tar"),
        ("tar.gz", "application/gzip"),
        ("tar.zst", "application/zstd"),
    ],
)
def test_a_directory_goes_out_and_comes_back(
    service: Service, tmp_path: Path, kind: str, content_type: str
) -> None:
    tree = tmp_path / "tree"
    plant(tree)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tree / "socket"))
        answer = download(service, tree, format=kind)
    (tree / "socket").unlink()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert f'filename="tree.{kind}"' in answer.headers["content-disposition"]
    content = zstd.decompress(answer.content) if kind == "tar.zst" else answer.content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert "sub/file" in archive.getnames()
        assert "socket" not in archive.getnames()
        count = len(archive.getnames())
    unpacked = upload(service, tmp_path / "new" / "tree", answer.content)
    assert unpacked.json() == {"members": count}
    copy = tmp_path / "new" / "tree"
    assert description(copy) == description(tree)
    assert (copy / "hard").samefile(copy / "sub" / "file")


def zstd_frames(content: bytes) -> bytes:
    """Several frames, with one to be skipped before them, as parallel compressors write them."""
    half = len(content) // 2
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0size"
    return skippable + zstd.compress(content[:half]) + zstd.compress(content[half:])


COMPRESSIONS = [gzip.compress, bz2.compress, lzma.compress, zstd.compress, zstd_frames, bytes]


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_compression_is_recognised(
    service: Service, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    content = compress(make_tar((member("file"), b"content")))
    assert upload(service, tmp_path, content).json() == {"members": 1}
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_an_archive_that_is_cut_is_refused(
    service: Service, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    content = compress(make_tar((member("file"), os.urandom(300_000))))
    for size in (len(content) // 2, 3):
        answer = upload(service, tmp_path, content[:size])
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")


def test_what_comes_in_small_pieces_is_recognised_too() -> None:
    content = gzip.compress(b"content " * 1000)
    reader, writer = os.pipe()

    def dribble() -> None:
        with open(writer, "wb", buffering=0) as file:
            for byte in content:
                file.write(bytes([byte]))

    thread = threading.Thread(target=dribble)
    thread.start()
    with open(reader, "rb", buffering=0) as source:
        assert decompressed(source).read() == b"content " * 1000
    thread.join()


def test_files_get_the_user_of_the_service_and_no_set_id_bits(
    service: Service, tmp_path: Path
) -> None:
    info = member("file", uid=1234, gid=4321, mode=0o6766)
    assert upload(service, tmp_path, make_tar((info, b"x"))).status_code == 200
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
    assert stat.S_IMODE(status.st_mode) == 0o766


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        b"x" * 5_000_000,
        make_tar((member("file"), b"x" * 100_000))[:50_000],
        b"\x1f\x8b" + b"broken" * 1000,
        make_tar((member("../outside"), b"x")),
        make_tar(
            (member("way", type=tarfile.SYMTYPE, linkname=".."), b""), (member("way/outside"), b"x")
        ),
    ],
)
def test_what_is_no_archive_or_leads_outside_is_refused(
    service: Service, tmp_path: Path, content: bytes
) -> None:
    answer = upload(service, tmp_path / "in", content)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_names_that_begin_at_the_root_stay_inside(service: Service, tmp_path: Path) -> None:
    assert upload(service, tmp_path, make_tar((member("/etc/file"), b"x"))).status_code == 200
    assert (tmp_path / "etc" / "file").read_bytes() == b"x"


def test_errors_of_the_file_system_are_told(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    content = make_tar((member("x"), b"y" * 3_000_000))
    assert upload(service, tmp_path / "file" / "in", content).json()["code"] == "INVALID_FILE_PATH"
    assert download(service, tmp_path / "absent").json()["code"] == "FILE_NOT_FOUND"
    assert download(service, tmp_path / "file").json()["code"] == "INVALID_FILE_PATH"
    assert download(service, tmp_path, format="zip").status_code == 400


def test_a_full_disk_while_unpacking(service: Service, mount: Callable[..., Path]) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    answer = upload(service, disk, make_tar((member("big"), b"y" * 8_000_000)))
    assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")


def helpers(service: Service) -> list[int]:
    """The processes that pack or unpack; other plugins may have processes of their own."""
    (worker,) = service.workers()
    found = []
    for pid in descendants(worker):
        with contextlib.suppress(OSError):
            if b"helpers.tarring" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def test_a_helper_that_is_killed_cuts_the_archive(service: Service, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1024**3)
    query = {"path": str(tmp_path), "format": "tar"}
    with service.http.stream("GET", URL, params=query) as answer:
        blocks = answer.iter_raw(1000)
        next(blocks)
        (helper,) = helpers(service)
        os.kill(helper, signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            list(blocks)


def test_a_client_that_goes_away_ends_the_packing(service: Service, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1024**3)
    query = {"path": str(tmp_path), "format": "tar"}
    with service.http.stream("GET", URL, params=query) as answer:
        blocks = answer.iter_raw(1000)  # Kept: without it the connection is closed.
        next(blocks)
        assert helpers(service)
    service.wait_for(lambda: not helpers(service), "the end of the helper")
