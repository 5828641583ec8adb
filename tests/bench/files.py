"""Measure transfers, listing, search and find: ``python tests/bench/files.py``.

Each figure stands beside what the same work costs without us, measured in turns in the same run:
the kernel's sendfile, ``cp``, a scan of the directory, ripgrep. Trees and files are made in a
temporary directory, large ones in memory where there is ``/dev/shm``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent))

from measure import TOKEN
from measure import Server
from measure import free_port
from measure import serving

Row = tuple[str, str, str, str, str]
"""Name, ours, limit, ratio, target."""

MiB = 1024 * 1024
WORDS = [f"{a}{b}{c}" for a in ("get", "set", "find") for b in "abcdefgh" for c in ("_x", "Of", "")]


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


@contextlib.contextmanager
def toolbox(**environ: str) -> Iterator[Server]:
    """This service, with additions to its environment."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "toolbox", "serve", "--port", str(port)]
        env = {**os.environ, "TOOLBOX_TOKEN": TOKEN, "TOOLBOX_CONFIG": os.devnull, **environ}
        with serving(command, port, directory, env) as server:
            yield server


def timed(action: Callable[[], object]) -> float:
    """Seconds it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_turns(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """The median of each action's seconds, after one round that isn't counted."""
    times = [[timed(action) for action in actions] for _ in range(rounds + 1)]
    return [statistics.median(column) for column in zip(*times[1:], strict=True)]


class Memory:
    """How much more memory any process of a service has had at most since this was made."""

    def __init__(self, server: Server) -> None:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        self._before = {}
        for pid in (server.pid, *map(int, children)):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            self._before[pid] = _status(pid, "VmRSS")

    def row(self, what: str) -> Row:
        """The growth as a row."""
        growth = max(_status(pid, "VmHWM") - before for pid, before in self._before.items())
        return f"memory grown by {what}", f"{growth / MiB:.1f} MiB", "", "", "<= 32 MiB"


def _status(pid: int, name: str) -> int:
    (kibibytes,) = re.findall(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kibibytes) * 1024


def rate_row(name: str, size: int, ours: float, limit: float, what: str, target: str) -> Row:
    """A row whose ratio is of speeds: more is better."""
    return (
        name,
        f"{size / ours / 1e6:.0f} MB/s",
        f"{size / limit / 1e6:.0f} MB/s ({what})",
        f"{limit / ours:.2f}x",
        target,
    )


def time_row(name: str, ours: float, limit: float, what: str, target: str) -> Row:
    """A row whose ratio is of times: less is better."""
    return (
        name,
        f"{ours * 1e3:.0f} ms",
        f"{limit * 1e3:.0f} ms ({what})",
        f"{ours / limit:.2f}x",
        target,
    )


def download_rows(server: Server, directory: Path, size: int, rounds: int) -> Iterator[Row]:
    """A large file, whole and but its first byte, against sendfile and nothing else."""
    source = make_file(directory / "source", size)
    client = Client(server.port)

    def download(headers: str = "") -> None:
        client.send("GET", "/files/download", headers, path=source)
        client.receive()

    def in_bulk() -> None:
        body = json.dumps({"paths": [str(source)]}).encode()
        client.send("POST", "/files/bulk-download", f"Content-Length: {len(body)}\r\n")
        client.send_bytes(body)
        client.receive()

    memory = Memory(server)
    times = in_turns(
        rounds,
        lambda: raw_sendfile(source),
        download,
        lambda: download("Range: bytes=1-\r\n"),
        in_bulk,
    )
    limit = times[0]
    yield rate_row("download", size, times[1], limit, "sendfile", ">= 0.75x")
    yield rate_row("download, Range", size, times[2], limit, "sendfile", ">= 0.75x")
    yield rate_row("bulk download", size, times[3], limit, "sendfile", "")
    yield memory.row("downloads")
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


def upload_rows(server: Server, directory: Path, size: int, rounds: int) -> Iterator[Row]:
    """A large file, raw and as a field, against ``cp``."""
    source = make_file(directory / "source", size)
    target = directory / "target"
    client = Client(server.port)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    path_field = (
        b'--b\r\nContent-Disposition: form-data; name="files[0].path"\r\n\r\n'
        + os.fsencode(target)
        + b'\r\n--b\r\nContent-Disposition: form-data; name="files[0].file"; filename="x"\r\n\r\n'
    )

    def upload(operation: str, before: bytes, after: bytes) -> None:
        kind = "multipart/form-data; boundary=b" if before else "application/octet-stream"
        length = len(before) + size + len(after)
        headers = f"Content-Type: {kind}\r\nContent-Length: {length}\r\n"
        client.send("POST", operation, headers, path=target)
        client.send_bytes(before)
        client.send_file(source)
        client.send_bytes(after)
        client.receive()

    memory = Memory(server)
    times = in_turns(
        rounds,
        lambda: subprocess.run(["cp", source, target], check=True),
        lambda: upload("/files/upload-v2", b"", b""),
        lambda: upload("/files/upload-v2", head, b"\r\n--b--\r\n"),
        lambda: upload("/files/bulk-upload", path_field, b"\r\n--b--\r\n"),
    )
    limit = times[0]
    yield rate_row("upload, raw", size, times[1], limit, "cp", ">= 0.6x")
    yield rate_row("upload, multipart", size, times[2], limit, "cp", ">= 0.35x")
    yield rate_row("bulk upload", size, times[3], limit, "cp", "")
    yield memory.row("uploads")
    client.close()
    target.unlink()


def list_rows(server: Server, directory: Path, count: int, rounds: int) -> Iterator[Row]:
    """A directory of many files, against reading it and the status of each."""
    full = directory / "many"
    if not full.exists():
        full.mkdir()
        for number in range(count):
            (full / f"file-{number:06d}.txt").touch()
            os.utime(full / f"file-{number:06d}.txt", ns=(0, random.getrandbits(60)))
    client = Client(server.port)

    def scan() -> None:
        with os.scandir(full) as entries:
            for entry in entries:
                entry.stat()

    def ask() -> None:
        client.send("GET", "/files", path=full)
        client.receive()

    limit, ours = in_turns(rounds, scan, ask)
    yield time_row(f"list {count:,} entries", ours, limit, "scandir, stat", "<= 2.5x")
    client.close()


def find_rows(
    server: Server, without: Server, directory: Path, count: int, rounds: int
) -> Iterator[Row]:
    """A text in few of many source files, against ripgrep and grep."""
    tree = make_tree(directory / "sources", count, 8000)
    clients = [Client(server.port), Client(without.port)]

    def find(client: Client) -> None:
        client.send("GET", "/files/find", path=tree, pattern="needle_in_hay")
        client.receive()

    rg = ["rg", "--fixed-strings", "--hidden", "--no-ignore", "-n", "needle_in_hay", str(tree)]
    grep = ["grep", "-rnF", "needle_in_hay", str(tree)]
    limit, other, ours, fallback = in_turns(
        rounds, lambda: run(rg), lambda: run(grep), *(lambda c=c: find(c) for c in clients)
    )
    name = f"find in {count:,} files"
    yield time_row(name, ours, limit, "rg", "<= 1.3x")
    yield time_row(f"{name}, no rg", fallback, limit, "rg", "<= 3x")
    yield time_row(f"{name}, no rg", fallback, other, "grep", "")
    for client in clients:
        client.close()


def search_rows(server: Server, directory: Path, count: int, rounds: int) -> Iterator[Row]:
    """Names in a large tree, against ripgrep's list of files."""
    tree = make_tree(directory / "names", count, 0)
    client = Client(server.port)

    def search() -> None:
        client.send("GET", "/files/search", path=tree, pattern="*.py")
        client.receive()

    rg = ["rg", "--files", "--hidden", "--no-ignore", "-g", "*.py", str(tree)]
    memory = Memory(server)
    limit, ours = in_turns(rounds, lambda: run(rg), search)
    yield time_row(f"search {count:,} names", ours, limit, "rg --files", "<= 1.5x")
    yield memory.row("searches")
    client.close()


def archive_rows(server: Server, directory: Path, rounds: int) -> Iterator[Row]:
    """A tree of sources packed, against ``tar``."""
    tree = make_tree(directory / "packed", 5000, 8000)
    client = Client(server.port)

    def pack(kind: str) -> Callable[[], None]:
        def ask() -> None:
            client.send("GET", "/x/files/archive", path=tree, format=kind)
            client.receive()

        return ask

    def tar(option: str) -> Callable[[], None]:
        return lambda: run(["sh", "-c", f"tar -c{option}f - -C {tree} . | cat"])

    plain, ours, gz, ours_gz, ours_zst = in_turns(
        rounds, tar(""), pack("tar"), tar("z"), pack("tar.gz"), pack("tar.zst")
    )
    yield time_row("pack 5,000 files", ours, plain, "tar", "")
    yield time_row("pack 5,000 files, gzip", ours_gz, gz, "tar z", "")
    yield time_row("pack 5,000 files, zstd", ours_zst, gz, "tar z", "")
    client.close()


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
    them with the text ``needle_in_hay``.
    """
    chance = random.Random(1)
    sentences = [" ".join(chance.choices(WORDS, k=8)) for _ in range(10_000)]
    for number in range(count):
        directory = root / f"{number // 10_000:02d}" / f"{number // 100 % 100:02d}"
        if number % 100 == 0:
            directory.mkdir(parents=True)
        lines = chance.choices(sentences, k=size // 40)
        if number % 1000 == 500:
            lines.insert(len(lines) // 2, "a needle_in_hay here")
        ending = "py" if number % 4 == 0 else "txt"
        (directory / f"module_{number}.{ending}").write_text("\n".join(lines))
    return root


def rows(rounds: int, scale: float = 1) -> Iterator[Row]:
    """Every row. ``scale`` makes files and trees smaller."""
    shm = Path("/dev/shm")
    size = int(1024 * scale) * MiB
    with contextlib.ExitStack() as stack:
        where = shm if os.access(shm, os.W_OK) else None
        fast = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=where)))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(toolbox())
        yield from download_rows(server, fast, size, rounds)
        yield from upload_rows(server, fast, size, rounds)
        shutil.rmtree(fast)
        fast.mkdir()
        yield from list_rows(server, disk, int(100_000 * scale), rounds)
        if shutil.which("rg") and shutil.which("grep"):
            without = stack.enter_context(toolbox(PATH=os.devnull))
            yield from find_rows(server, without, disk, int(50_000 * scale), rounds)
            yield from search_rows(server, disk, int(200_000 * scale), rounds)
        yield from archive_rows(server, disk, rounds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--scale", type=float, default=1, help="size of files and trees")
    options = parser.parse_args()
    for row in rows(options.rounds, options.scale):
        print(" | ".join(row), flush=True)


if __name__ == "__main__":
    main()
