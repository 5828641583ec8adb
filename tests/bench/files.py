"""The group files: transfers, lists, searches and archives, against the kernel, cp, rg and tar."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from bench.clients import TOKEN
from bench.clients import http
from bench.clients import load
from bench.frame import Bench
from bench.frame import Row
from bench.frame import Sample
from bench.frame import timed
from bench.servers import Server
from bench.servers import toolbox

MiB = 1024 * 1024
SIZE = int(os.environ.get("TOOLBOX_BENCH_MIB", "1024")) * MiB
"""Bytes of the large file."""

WORDS = [f"{a}{b}{c}" for a in ("get", "set", "find") for b in "abcdefgh" for c in ("_x", "Of", "")]
NEEDLE = "needle_in_hay"
BOUNDARY = b"0123456789abcdef" * 2
"""As long as those of most clients."""


class Client:
    """One kept connection that costs little beside the service."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._buffer = memoryview(bytearray(MiB))

    def close(self) -> None:
        self._sock.close()

    def send(self, method: str, path: str, headers: str = "", /, **query: object) -> None:
        """The head of a request."""
        target = f"{path}?{urlencode(query)}"
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        self._sock.sendall(f"{head}{headers}\r\n".encode())

    def send_file(self, path: Path) -> None:
        """A file as the body, or a part of it."""
        with path.open("rb", buffering=0) as file:
            self._sock.sendfile(file)

    def send_bytes(self, data: bytes) -> None:
        self._sock.sendall(data)

    def receive(self) -> int:
        """Read one answer to its end; the bytes of its body."""
        head, body = self._head()
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 206")):
            raise RuntimeError((head + body).decode("utf-8", "replace"))
        if length := re.search(rb"(?i)content-length: (\d+)", head):
            return self._skip(int(length[1]), len(body))
        return self._skip_chunks(body)

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._sock.recv(65536)
            if not more:
                raise RuntimeError("the service has closed the connection")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        return head, body

    def _skip(self, length: int, got: int) -> int:
        while got < length:
            got += self._sock.recv_into(self._buffer)
        return length

    def _skip_chunks(self, tail: bytes) -> int:
        total = len(tail)
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            count = self._sock.recv_into(self._buffer)
            total += count
            tail = (tail + bytes(self._buffer[max(0, count - 7) : count]))[-7:]
        return total


@contextmanager
def quick_directory() -> Iterator[Path]:
    """In memory where there is such a place, so that no disk is measured."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as name:
        yield Path(name)


def rate(action: Callable[[], object]) -> float:
    """MB of the large file a second."""
    return SIZE / timed(action) / 1e6


def grown(server: Server, action: Callable[[], object]) -> float:
    """MB by which any process of the service grows at most meanwhile."""
    before = {}
    for pid in server.processes():
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        before[pid] = _status(pid, "VmRSS")
    action()
    return max(_status(pid, "VmHWM") - rss for pid, rss in before.items()) / 1e6


def _status(pid: int, name: str) -> int:
    (kibibytes,) = re.findall(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kibibytes) * 1024


def bench_download(bench: Bench) -> Iterator[Row]:
    """A large file, whole and but its first byte, against sendfile and nothing else."""
    with toolbox() as ours, quick_directory() as directory:
        source = make_file(directory / "source", SIZE)
        client = Client(ours.port)
        body = json.dumps({"paths": [str(source)]}).encode()

        def get(headers: str = "") -> None:
            client.send("GET", "/files/download", headers, path=source)
            client.receive()

        def in_bulk() -> None:
            client.send("POST", "/files/bulk-download", f"Content-Length: {len(body)}\r\n")
            client.send_bytes(body)
            client.receive()

        limit = ("sendfile", lambda: rate(lambda: raw_sendfile(source)))
        part = functools.partial(get, "Range: bytes=1-\r\n")
        floor, stretch = ">= 0.75x", ">= 0.95x"
        yield Row(
            "memory of the first download",
            "MB",
            lambda: grown(ours, in_bulk),
            floor="<= 32",
            rounds=1,
        )
        yield Row("download", "MB/s", lambda: rate(get), limit, floor=floor, stretch=stretch)
        yield Row(
            "download a range", "MB/s", lambda: rate(part), limit, floor=floor, stretch=stretch
        )
        yield Row("bulk download", "MB/s", lambda: rate(in_bulk), limit)
        client.close()


def bench_upload(bench: Bench) -> Iterator[Row]:
    """A large file, raw and as a field, against ``cp``."""
    with toolbox() as ours, quick_directory() as directory:
        source, target = make_file(directory / "source", SIZE), directory / "target"
        client = Client(ours.port)
        name = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="x"\r\n\r\n'
        field = name % (BOUNDARY, b"file")
        pair = name % (BOUNDARY, b"files[0].path") + os.fsencode(target) + b"\r\n"
        pair += name % (BOUNDARY, b"files[0].file")

        def upload(operation: str, before: bytes = b"") -> None:
            after = b"\r\n--%b--\r\n" % BOUNDARY if before else b""
            kind = f"multipart/form-data; boundary={BOUNDARY.decode()}" if before else "x/y"
            length = len(before) + SIZE + len(after)
            headers = f"Content-Type: {kind}\r\nContent-Length: {length}\r\n"
            client.send("POST", operation, headers, path=target)
            client.send_bytes(before)
            client.send_file(source)
            client.send_bytes(after)
            client.receive()

        def copy() -> None:
            subprocess.run(["cp", source, target], check=True)

        limit = ("cp", lambda: rate(copy))
        raw = functools.partial(upload, "/files/upload-v2")
        multipart = functools.partial(upload, "/files/upload-v2", field)
        bulk = functools.partial(upload, "/files/bulk-upload", pair)
        yield Row(
            "memory of the first upload", "MB", lambda: grown(ours, bulk), floor="<= 32", rounds=1
        )
        yield Row(
            "upload, raw", "MB/s", lambda: rate(raw), limit, floor=">= 0.7x", stretch=">= 0.9x"
        )
        yield Row(
            "upload, multipart",
            "MB/s",
            lambda: rate(multipart),
            limit,
            floor=">= 0.35x",
            stretch=">= 0.55x",
        )
        yield Row("bulk upload", "MB/s", lambda: rate(bulk), limit)
        client.close()


def bench_small(bench: Bench) -> Iterator[Row]:
    """A file of five bytes, up as a field and down, against the smallest operation.

    In memory: ext4 writes a file's content to the disk when that replaces another by a rename
    (``auto_da_alloc`` in ext4(5)), which takes longer than all else.
    """
    with toolbox() as ours, quick_directory() as directory:
        source = directory / "source"
        source.write_bytes(b"bytes")
        field = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n%b'
        body = field % (BOUNDARY, b"bytes") + b"\r\n--%b--\r\n" % BOUNDARY
        kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n"

        def p50(data: bytes) -> Sample:
            before = ours.cpu()
            seen = load(ours.port, data, 1, bench.seconds)
            cpu = (ours.cpu() - before) / (seen.rate * bench.seconds)
            return Sample(seen.p50 * 1e3, {"CPU us": cpu * 1e6})

        limit = ("/work-dir", functools.partial(p50, http("GET", "/work-dir")))
        upload = http("POST", f"/files/upload-v2?path={directory}/target", body, kind)
        download = http("GET", f"/files/download?path={source}")
        for name, data, floor, stretch in (
            ("upload", upload, "<= 1.5x", "<= 1.2x"),
            ("download", download, "<= 1.3x", "<= 1.1x"),
        ):
            action = functools.partial(p50, data)
            yield Row(f"{name} 5 bytes", "ms", action, limit, floor=floor, stretch=stretch)


def bench_list(bench: Bench) -> Iterator[Row]:
    """A directory of many files, against reading it and the status of each, as JSON."""
    with toolbox() as ours:
        client = Client(ours.port)
        for count in (10_000, 100_000):
            full = bench.directory / str(count)
            full.mkdir()
            for number in range(count):
                (full / f"file-{number:06d}.txt").touch()

            ask = functools.partial(list_over_http, client, full)
            if count == 10_000:
                memory = functools.partial(grown, ours, ask)
                yield Row("memory of the first list", "MB", memory, rounds=1)
            yield Row(
                f"list {count:,} entries",
                "s",
                functools.partial(timed, ask),
                ("scandir, stat, json", functools.partial(timed, functools.partial(scan, full))),
                floor="<= 1.2x",
                stretch="<= 1.0x",
            )
        client.close()


def list_over_http(client: Client, directory: Path) -> None:
    client.send("GET", "/files", path=directory)
    client.receive()


def scan(directory: Path) -> None:
    """List a directory with the least that a client could use."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            info = entry.stat()
            found.append((entry.name, info.st_size, info.st_mode, info.st_mtime_ns))
    fields = ("name", "size", "mode", "modified")
    json.dumps([dict(zip(fields, each, strict=True)) for each in found])


def bench_find(bench: Bench) -> Iterator[Row]:
    """A text in few of 50,000 source files, against ripgrep and grep."""
    if not shutil.which("rg"):
        return
    tree = make_tree(bench.directory, 50_000, 8000)
    rg = ["rg", "-F", "--hidden", "--no-ignore", "-n", NEEDLE, str(tree)]
    grep = ["grep", "-rnF", NEEDLE, str(tree)]
    with ExitStack() as stack:
        servers = [stack.enter_context(toolbox(env=env)) for env in ({}, {"PATH": os.devnull})]
        clients = [Client(server.port) for server in servers]

        def find(client: Client) -> None:
            client.send("GET", "/files/find", path=tree, pattern=NEEDLE)
            client.receive()

        limit = ("rg", lambda: timed(lambda: run(rg)))
        peers = {"grep": lambda: timed(lambda: run(grep))}
        for name, client, floor, stretch in (
            ("find in 50,000 files", clients[0], "<= 1.3x", "<= 1.05x"),
            ("the same without rg", clients[1], "<= 3x", "<= 2x"),
        ):
            action = functools.partial(find, client)
            ours = functools.partial(timed, action)
            yield Row(name, "s", ours, limit, peers, floor=floor, stretch=stretch)
        for client in clients:
            client.close()


def bench_pages(bench: Bench) -> Iterator[Row]:
    """The searches for models in 100,000 files, against those without expressions and pages.

    Both leave out what ``.gitignore`` files ignore, and so read all files themselves.
    """
    tree = make_tree(bench.directory, 100_000, 4000)
    (tree / ".gitignore").write_text("*.log\n!kept.log\nbuild/\n")
    with toolbox() as ours:
        client = Client(ours.port)

        def ask(operation: str, /, **query: object) -> None:
            client.send("GET", f"/x/files/{operation}", path=tree, limit=100_000, **query)
            client.receive()

        def timing(operation: str, /, **query: object) -> Callable[[], float]:
            return functools.partial(timed, functools.partial(ask, operation, **query))

        most = 8 * MiB
        expression = r"a needle_\w+ here$"
        find = ("find", timing("find", pattern=NEEDLE))
        search = ("search", timing("search", pattern="*.py"))
        as_find, nearly = "<= 1.2x", "<= 1.05x"
        yield Row(
            "memory of the first grep",
            "MB",
            lambda: grown(ours, functools.partial(ask, "grep", pattern=expression, bytes=most)),
            floor="<= 32",
            rounds=1,
        )
        for name, context in (("grep in 100,000 files", 0), ("the same with context", 3)):
            action = timing("grep", pattern=expression, context=context, bytes=most)
            yield Row(name, "s", action, find, floor=as_find, stretch=nearly)
        action = timing("glob", pattern="**/*.py", bytes=most)
        yield Row("glob in 100,000 files", "s", action, search, floor="<= 1.5x", stretch=nearly)
        client.close()


def bench_search(bench: Bench) -> Iterator[Row]:
    """Names in a tree of 200,000 files, against ripgrep's list of files."""
    if not shutil.which("rg"):
        return
    tree = make_tree(bench.directory, 200_000, 0)
    rg = ["rg", "--files", "--hidden", "--no-ignore", "-g", "*.py", str(tree)]
    with toolbox() as ours:
        client = Client(ours.port)

        def search() -> None:
            client.send("GET", "/files/search", path=tree, pattern="*.py")
            client.receive()

        yield Row(
            "memory of the first search", "MB", lambda: grown(ours, search), floor="<= 32", rounds=1
        )
        yield Row(
            "search 200,000 names",
            "s",
            lambda: timed(search),
            ("rg --files", lambda: timed(lambda: run(rg))),
            floor="<= 1.5x",
            stretch="<= 1.0x",
        )
        client.close()


def bench_archive(bench: Bench) -> Iterator[Row]:
    """A tree of 5,000 source files packed, against ``tar``."""
    tree = make_tree(bench.directory / "tree", 5000, 8000)
    with toolbox() as ours:
        client = Client(ours.port)

        def pack(kind: str) -> None:
            client.send("GET", "/x/files/archive", path=tree, format=kind)
            client.receive()

        for kind, option in (("tar", ""), ("tar.gz", "z"), ("tar.zst", "z")):
            # Not straight to /dev/null: tar would notice, and read no file.
            command = ["sh", "-c", f"tar -c{option}f - -C {tree} . | cat"]
            yield Row(
                f"pack 5,000 files as {kind}",
                "s",
                functools.partial(timed, functools.partial(pack, kind)),
                (f"tar -c{option}", functools.partial(timed, functools.partial(run, command))),
                floor="<= 1.5x" if kind == "tar" else "",
                stretch="<= 1.1x" if kind == "tar" else "",
            )
        client.close()


def raw_sendfile(path: Path) -> None:
    """Send a file from one thread to another by a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, path.open("rb", buffering=0) as file:
        reader = socket.create_connection(listener.getsockname())
        writer, _ = listener.accept()

        def send() -> None:
            writer.sendfile(file)
            writer.close()

        thread = threading.Thread(target=send)
        thread.start()
        buffer = memoryview(bytearray(MiB))
        while reader.recv_into(buffer):
            pass
        thread.join()
        reader.close()


def run(command: list[str]) -> None:
    """Run a program that prints much, or fails to find anything."""
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def make_file(path: Path, size: int) -> Path:
    """A file of ``size`` bytes that hold no pattern."""
    if not path.exists():
        block = os.urandom(MiB)
        with path.open("wb") as file:
            for _ in range(size // MiB):
                file.write(block)
    return path


def make_tree(root: Path, count: int, size: int) -> Path:
    """``count`` files of about ``size`` bytes in directories of a hundred, one in a thousand of
    them with the text ``NEEDLE``.
    """
    chance = random.Random(1)
    sentences = [" ".join(chance.choices(WORDS, k=8)) for _ in range(10_000)]
    for number in range(count):
        directory = root / f"{number // 10_000:02d}" / f"{number // 100 % 100:02d}"
        if number % 100 == 0:
            directory.mkdir(parents=True)
        lines = chance.choices(sentences, k=size // 40)
        if number % 1000 == 500:
            lines.insert(len(lines) // 2, f"a {NEEDLE} here")
        ending = "py" if number % 4 == 0 else "txt"
        (directory / f"module_{number}.{ending}").write_text("\n".join(lines))
    return root
