from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_files.helpers.compressing import decompressed
from toolbox_files.tree import archives

from toolbox.errors import RequestTimeout
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


def sym(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def folder(name: str, **fields: Any) -> tarfile.TarInfo:
    return member(name, type=tarfile.DIRTYPE, **fields)


def plant(tree: Path) -> None:
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"x" * 100_000)
    (tree / "sub" / "script").write_bytes(b"#!")
    (tree / "sub" / "script").chmod(0o775)
    (tree / "link").symlink_to("sub/nowhere")
    os.link(tree / "sub" / "file", tree / "hard")
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
    answer = download(service, tree, format=kind)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert f'filename="tree.{kind}"' in answer.headers["content-disposition"]
    content = zstd.decompress(answer.content) if kind == "tar.zst" else answer.content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert "sub/file" in archive.getnames()
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
    [b"", b"no archive", b"x" * 5_000_000, b"\x1f\x8b" + b"broken" * 1000],
    ids=["nothing", "short", "long", "broken gzip"],
)
def test_what_is_no_archive_is_refused_and_leaves_nothing(
    service: Service, tmp_path: Path, content: bytes
) -> None:
    answer = upload(service, tmp_path / "in", content)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        make_tar((member("file"), b"x" * 100_000))[:50_000],
        make_tar((member("../outside"), b"x")),
        make_tar(
            (member("way", type=tarfile.SYMTYPE, linkname=".."), b""), (member("way/outside"), b"x")
        ),
    ],
    ids=["cut", "above", "by a link"],
)
def test_what_is_cut_or_leads_outside_is_refused(
    service: Service, tmp_path: Path, content: bytes
) -> None:
    answer = upload(service, tmp_path / "in", content)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


LONG = "d" * 247
CHAIN = [
    # CVE-2025-4517: a chain so long that resolving it as a path gives up, and is taken to be safe.
    each
    for number in range(16)
    for each in (
        folder("/".join([LONG] * number + [LONG])),
        sym("/".join([LONG] * number + ["abcdefghijklmnop"[number]]), LONG),
    )
]
CHAIN_END = "/".join("abcdefghijklmnop") + "/" + "l" * 254


@pytest.mark.parametrize("outside_links", ["false", "true"])
@pytest.mark.parametrize(
    "members",
    [
        [hard("hx", "../outside"), member("hx")],
        [hard("hx", "in/../../outside"), member("hx")],
        [hard("hx", "/../outside"), member("hx")],
        [sym("s", ".."), member("s/outside")],
        [
            sym("s", "."),
            sym("t", "s/.."),
            member("t/outside"),
        ],
        [
            sym("t", "s/.."),
            sym("s", "."),
            member("t/outside"),
        ],
        [
            sym("s", ".."),
            hard("hx", "s/outside"),
            member("hx"),
        ],
        [member("d/../../outside")],
        [member("there/outside")],
        [sym("loop", "loop"), member("loop/outside")],
        [
            *CHAIN,
            sym(CHAIN_END, "../" * 16),
            sym("escape", CHAIN_END + "/../outside"),
            hard("hx", "escape"),
            member("hx"),
            member("escape/outside"),
        ],
        [
            folder("d"),
            sym("d", ".."),
            member("d/outside"),
        ],
    ],
)
def test_f_b3_nothing_outside_is_written_to(
    service: Service, tmp_path: Path, members: list[tarfile.TarInfo], outside_links: str
) -> None:
    (tmp_path / "outside").write_bytes(b"old")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "there").symlink_to(tmp_path)
    before = (tmp_path / "outside").stat()
    content = make_tar(*((each, b"new" if each.isreg() else b"") for each in members))
    query = {"path": str(tmp_path / "in"), "outside_links": outside_links}
    answer = service.http.put(URL, params=query, content=content)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    after = (tmp_path / "outside").stat()
    assert (after.st_nlink, after.st_mtime_ns) == (1, before.st_mtime_ns)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "outside"]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.BLKTYPE, "devmajor": 7},
        {"type": b"Z"},
        {"type": tarfile.SYMTYPE, "linkname": "/etc"},
        {"type": tarfile.SYMTYPE, "linkname": "../x"},
        {"type": tarfile.LNKTYPE, "linkname": "absent"},
        {"type": tarfile.LNKTYPE, "linkname": "."},
        {"type": tarfile.LNKTYPE, "linkname": "directory"},
    ],
)
def test_f_b3_only_files_directories_and_links_inside(
    service: Service, tmp_path: Path, fields: dict[str, Any]
) -> None:
    (tmp_path / "directory").mkdir()
    content = make_tar((member("special", **fields), b""))
    answer = upload(service, tmp_path, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


@pytest.mark.parametrize(
    "members",
    [
        [sym("a/b/l", "../../x"), hard("l", "a/b/l")],
        [sym("a/b/l", "../../x"), hard("a/l", "a/b/l"), hard("l", "a/l")],
        [sym("l", "d/../x"), sym("d", ".")],
        [sym("l", "./q/d/../../x"), sym("q", "."), sym("d", ".")],
        [folder("d"), sym("l", "d/../x"), sym("d", "./"), member("f", type=tarfile.FIFOTYPE)],
    ],
)
def test_f_b3_links_do_not_lead_outside_by_what_comes_later(
    service: Service, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    top = tmp_path / "in"
    answer = upload(service, top, make_tar(*((each, b"") for each in members)))
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    links = [path for path in top.rglob("*") if path.is_symlink()]
    assert links
    assert [link for link in links if not link.resolve().is_relative_to(top)] == []


def test_links_that_go_down_and_up_again_are_kept(service: Service, tmp_path: Path) -> None:
    content = make_tar(
        (sym("l", "d/../file"), b""), (member("d/other"), b""), (member("file"), b"x")
    )
    assert upload(service, tmp_path, content).json() == {"members": 3}
    assert (tmp_path / "l").read_bytes() == b"x"


def test_f_b3_symbolic_links_lead_outside_if_that_is_asked_for(
    service: Service, tmp_path: Path
) -> None:
    query = {"path": str(tmp_path), "outside_links": "true"}
    content = make_tar((sym("python", "/usr/bin/python3"), b""))
    assert service.http.put(URL, params=query, content=content).json() == {"members": 1}
    assert str((tmp_path / "python").readlink()) == "/usr/bin/python3"


def test_f_b4_a_member_replaces_a_fifo(service: Service, tmp_path: Path) -> None:
    """Opening it would wait for its other end."""
    os.mkfifo(tmp_path / "x")
    assert upload(service, tmp_path, make_tar((member("x"), b"new"))).json() == {"members": 1}
    assert (tmp_path / "x").read_bytes() == b"new"
    os.mkfifo(tmp_path / "way")
    answer = upload(service, tmp_path, make_tar((member("way/x"), b"new")))
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILE_PATH")
    both = make_tar((member("y", type=tarfile.FIFOTYPE), b""), (member("y"), b"new"))
    assert upload(service, tmp_path, both).json()["code"] == "INVALID_ARCHIVE"
    assert not helpers(service)


def test_f_c16_what_is_there_is_replaced_and_never_written_through(
    service: Service, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "v1").mkdir(parents=True)
    (tree / "empty").mkdir()
    (tree / "kept").mkdir()
    (tree / "kept" / "file").write_bytes(b"kept")
    (tmp_path / "outside").write_bytes(b"old")
    (tree / "file-link").symlink_to("../outside")
    os.link(tmp_path / "outside", tree / "hard")
    (tree / "cur").symlink_to("v1")
    (tree / "dir-link").symlink_to("v1")
    content = make_tar(
        (member("cur"), b"new"),
        (member("file-link"), b"new"),
        (member("hard"), b"new"),
        (member("empty"), b"new"),
        (folder("dir-link", mode=0o755), b""),
        (member("dir-link/file"), b"new"),
        (folder("kept", mode=0o750), b""),
        (member("twice"), b"one"),
        (member("twice"), b"two"),
        (sym("twice", "cur"), b""),
        (hard("twice", "cur"), b""),
        (hard("twice", "cur"), b""),
    )
    assert upload(service, tree, content).json() == {"members": 12}
    for name in ("cur", "file-link", "hard", "empty", "dir-link/file", "twice"):
        assert (tree / name).read_bytes() == b"new"
        assert not (tree / name).is_symlink()
    assert (tree / "twice").samefile(tree / "cur")
    assert (tmp_path / "outside").read_bytes() == b"old"
    assert list((tree / "v1").iterdir()) == []
    assert (tree / "kept" / "file").read_bytes() == b"kept"
    assert stat.S_IMODE((tree / "kept").stat().st_mode) == 0o750
    full = upload(service, tree, make_tar((member("kept"), b"new")))
    assert (full.status_code, full.json()["code"]) == (409, "CONFLICT")
    assert (tree / "kept" / "file").read_bytes() == b"kept"
    assert not list(tree.rglob(".toolbox-*"))


def test_links_inside_are_followed_on_the_way(service: Service, tmp_path: Path) -> None:
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "up").symlink_to("usr/lib/../../usr")
    content = make_tar((member("lib/file"), b"1"), (member("up/lib/other"), b"2"))
    assert upload(service, tmp_path, content).json() == {"members": 2}
    assert sorted(path.name for path in (tmp_path / "usr" / "lib").iterdir()) == ["file", "other"]


def test_directories_that_close_themselves_can_be_filled(service: Service, tmp_path: Path) -> None:
    closed = folder("closed", mode=0o500, mtime=1000)
    content = make_tar((closed, b""), (member("closed/file"), b"x"))
    assert upload(service, tmp_path, content).status_code == 200
    info = (tmp_path / "closed").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_mtime) == (0o500, 1000)


def test_odd_headers_are_refused_or_bounded(service: Service, tmp_path: Path) -> None:
    sparse = member("sparse", pax_headers={"GNU.sparse.map": "0,9", "GNU.sparse.size": "3"})
    backwards = member("back", pax_headers={"GNU.sparse.map": "5,1,0,1", "GNU.sparse.size": "9"})
    nul = member("x", pax_headers={"path": "a\0b"})
    endless = member("x", pax_headers={"size": "-512"})
    for each in (sparse, backwards, nul, endless):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            each.size = 512
            archive.addfile(each, io.BytesIO(b"x" * 512))
        answer = upload(service, tmp_path, buffer.getvalue())
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE"), each.name
    # A header of 1.5 GiB, compressed to nearly nothing.
    head = member("pax", type=tarfile.XHDTYPE)
    head.size = 1536 * 1024 * 1024
    block = zstd.ZstdCompressor()
    pieces = [block.compress(head.tobuf())]
    pieces += [block.compress(bytes(1024 * 1024)) for _ in range(1536)]
    answer = upload(service, tmp_path, b"".join(pieces) + block.flush())
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARCHIVE")
    assert list(tmp_path.iterdir()) == []


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
    (disk / "big").write_bytes(b"old")
    answer = upload(service, disk, make_tar((member("a"), b"a"), (member("big"), b"y" * 8_000_000)))
    assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
    assert str(disk / "big") in answer.json()["message"]
    assert (disk / "big").read_bytes() == b"old"
    assert sorted(path.name for path in disk.iterdir()) == ["a", "big"]


def test_f_c14_a_full_disk_is_told_where_temporary_files_have_no_room_either(
    make_service: Callable[..., Service], mount: Callable[..., Path]
) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    service = make_service(env={"TMPDIR": str(disk)})
    answer = upload(service, disk, make_tar((member("big"), b"y" * 8_000_000)))
    assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
    with contextlib.suppress(OSError):
        (disk / "filler").write_bytes(b"x" * 1024 * 1024)
    for content in (b"no archive", make_tar((member("small"), b"x"))):
        assert upload(service, disk / "in", content).status_code in (422, 507)
    assert download(service, service.work_dir, format="tar").status_code == 200


def helpers(service: Service) -> list[int]:
    """Return the pids of helpers that pack or unpack."""
    (worker,) = service.workers()
    found = []
    for pid in descendants(worker):
        with contextlib.suppress(OSError):
            if b"helpers.archive_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
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


def test_f_a13_what_changes_meanwhile_does_not_end_the_archive(
    service: Service, tmp_path: Path
) -> None:
    size = 8 * 1024 * 1024
    tree = tmp_path / "tree"
    (tree / "e").mkdir(parents=True)
    for name in ("a", "b", "c", "d", "e/f"):
        (tree / name).write_bytes(name[-1:].encode() * size)
    query = {"path": str(tree), "format": "tar"}
    with service.http.stream("GET", URL, params=query) as answer:
        blocks = answer.iter_raw(1000)
        begin = next(blocks)
        # It has filled the pipe with the first file and waits.
        os.truncate(tree / "a", 0)
        (tree / "b").unlink()
        (tree / "c").write_bytes(b"new")
        (tree / "d").unlink()
        (tree / "d").mkdir()
        (tree / "e" / "f").unlink()
        (tree / "e").rmdir()
        content = begin + b"".join(blocks)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        found = {each.name: each for each in archive.getmembers()}
        first = archive.extractfile("a")
        assert first is not None
        data = first.read()
    assert len(data) == size
    assert data.startswith(b"a" * 1000) and data.strip(b"a").strip(b"\0") == b""
    assert found["c"].size == 3
    remarks = found["."].pax_headers["comment"].splitlines()
    assert "a: shrank while it was read; padded with zeros" in remarks
    assert "b: No such file or directory" in remarks
    assert "d: Is a directory" not in remarks
    copy = tmp_path / "copy"
    assert upload(service, copy, content).status_code == 200
    # Other programs take it, too.
    done = subprocess.run(["tar", "-tf", "-"], input=content, capture_output=True, check=True)
    assert done.stderr == b""


def test_a_link_in_the_place_of_a_directory_is_not_followed(
    service: Service, tmp_path: Path
) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    for directory in (tree / "e", outside):
        directory.mkdir(parents=True)
        (directory / "file").touch()
    (tree / "z").write_bytes(b"z" * 8 * 1024 * 1024)
    with service.http.stream("GET", URL, params={"path": str(tree), "format": "tar"}) as answer:
        blocks = answer.iter_raw(1000)
        begin = next(blocks)
        # It has written the header of the directory, and waits in the large file.
        (tree / "e" / "file").unlink()
        (tree / "e").rmdir()
        (tree / "e").symlink_to(outside)
        content = begin + b"".join(blocks)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["e", "z", "."]
        assert archive.getmember(".").pax_headers["comment"] == "e/: Not a directory"


def test_a_file_that_grows_is_cut_at_its_size(service: Service, tmp_path: Path) -> None:
    size = 8 * 1024 * 1024
    (tmp_path / "a").write_bytes(b"a" * size)
    with service.http.stream("GET", URL, params={"path": str(tmp_path), "format": "tar"}) as answer:
        blocks = answer.iter_raw(1000)
        begin = next(blocks)
        with (tmp_path / "a").open("ab") as file:
            file.write(b"b" * 1000)
        content = begin + b"".join(blocks)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getmember("a").size == size
        comment = archive.getmember(".").pax_headers["comment"]
    assert comment == "a: changed while it was read"


def test_special_files_are_left_out_and_told(service: Service, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"x")
    answer = download(service, tmp_path, format="tar")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["file", "."]
        assert "fifo" in archive.getmember(".").pax_headers["comment"]


def test_f_b4_a_client_that_goes_away_ends_the_unpacking(service: Service, tmp_path: Path) -> None:
    head = member("large")
    head.size = 10**12
    with socket.create_connection(("127.0.0.1", service.port)) as sock:
        sock.sendall(
            f"PUT {URL}?path={tmp_path} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n"
            f"Authorization: Bearer {service.token}\r\n\r\n".encode()
        )
        sock.sendall(head.tobuf())
        service.wait_for(lambda: helpers(service), "the helper")
    service.wait_for(lambda: not helpers(service), "the end of the helper")
    service.wait_for(lambda: not list(tmp_path.iterdir()), "the end of what was begun")


def test_f_b4_a_helper_that_hangs_ends_with_its_client(service: Service, tmp_path: Path) -> None:
    """Stopped it takes nothing, as one that waits for a disk."""
    head = member("large")
    head.size = 10**12
    with socket.create_connection(("127.0.0.1", service.port)) as sock:
        sock.sendall(
            f"PUT {URL}?path={tmp_path} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n"
            f"Authorization: Bearer {service.token}\r\n\r\n".encode()
        )
        sock.sendall(head.tobuf())
        service.wait_for(lambda: helpers(service), "the helper")
        (helper,) = helpers(service)
        os.kill(helper, signal.SIGSTOP)
        sock.sendall(bytes(200_000))  # More than a pipe holds.
    service.wait_for(lambda: not helpers(service), "the end of the helper")


def test_f_b4_a_helper_may_not_be_silent_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "STALLED", 0.01)
    reader, writer = os.pipe()
    with open(reader, "rb") as silent, open(writer, "wb"), pytest.raises(RequestTimeout):
        for ready in archives._wait(silent, select.POLLIN):
            assert not ready


def test_a_client_that_goes_away_ends_the_packing(service: Service, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1024**3)
    query = {"path": str(tmp_path), "format": "tar"}
    with service.http.stream("GET", URL, params=query) as answer:
        blocks = answer.iter_raw(1000)  # Kept: without it the connection is closed.
        next(blocks)
        assert helpers(service)
    service.wait_for(lambda: not helpers(service), "the end of the helper")
