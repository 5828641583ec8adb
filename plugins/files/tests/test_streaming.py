"""Large files: memory stays flat, the disk holds them once, the bytes are the same.

``TOOLBOX_TEST_TRANSFER_MIB`` sets the size; 2048 is the acceptance criterion's.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import Service

MiB = 1024 * 1024
SIZE = int(os.environ.get("TOOLBOX_TEST_TRANSFER_MIB", "192")) * MiB
BLOCK = os.urandom(MiB)
LIMIT = 64 * MiB


def blocks() -> Iterator[bytes]:
    for number in range(SIZE // MiB):
        yield number.to_bytes(8, "big") + BLOCK[8:]


def digest(chunks: Iterator[bytes]) -> str:
    sha256 = hashlib.sha256()
    for chunk in chunks:
        sha256.update(chunk)
    return sha256.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def expected() -> str:
    return digest(blocks())


@pytest.fixture
def disk(mount: Callable[..., Path]) -> Path:
    """A disk that holds the file once, not twice."""
    return mount("-t", "tmpfs", "-o", f"size={SIZE + SIZE // 4}", "tmpfs")


class Memory:
    """The worker's resident memory; what is above the start is its peak."""

    def __init__(self, service: Service) -> None:
        (pid,) = service.workers()
        self._status = Path(f"/proc/{pid}/status")
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._start = self._read("VmRSS")

    def _read(self, name: str) -> int:
        (kibibytes,) = re.findall(rf"{name}:\s+(\d+) kB", self._status.read_text())
        return int(kibibytes) * 1024

    def growth(self) -> int:
        return self._read("VmHWM") - self._start


def part(name: str, content: Iterator[bytes]) -> Iterator[bytes]:
    yield f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
    yield from content
    yield b"\r\n"


def raw(path: Path) -> Iterator[bytes]:
    return blocks()


def field(path: Path) -> Iterator[bytes]:
    yield from part("file", blocks())
    yield b"--b--\r\n"


def bulk(path: Path) -> Iterator[bytes]:
    yield from part("files[0].path", iter([str(path).encode()]))
    yield from part("files[0].file", blocks())
    yield b"--b--\r\n"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("operation", "body"), [("upload-v2", raw), ("upload-v2", field), ("bulk-upload", bulk)]
)
def test_ac_50_uploads_stream(
    service: Service,
    disk: Path,
    expected: str,
    operation: str,
    body: Callable[[Path], Iterator[bytes]],
    chunked: bool,
) -> None:
    target = disk / "new" / "file"
    headers = {} if body is raw else {"Content-Type": "multipart/form-data; boundary=b"}
    if not chunked:
        headers["Content-Length"] = str(sum(len(block) for block in body(target)))
    memory = Memory(service)
    answer = service.http.post(
        f"/files/{operation}", params={"path": str(target)}, content=body(target), headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert memory.growth() < LIMIT
    assert digest_of(target) == expected


def test_ac_50_downloads_stream(service: Service, disk: Path, expected: str) -> None:
    path = disk / "file"
    with path.open("wb") as file:
        file.writelines(blocks())
    memory = Memory(service)
    with service.http.stream("GET", "/files/download", params={"path": str(path)}) as answer:
        assert digest(answer.iter_raw(MiB)) == expected
    with service.http.stream("POST", "/files/bulk-download", json={"paths": [str(path)]}) as answer:
        assert sum(len(chunk) for chunk in answer.iter_raw(MiB)) > SIZE
    assert memory.growth() < LIMIT


def test_replacing_text_and_finding_lines_stream(service: Service, disk: Path) -> None:
    path = disk / "file"
    with path.open("wb") as file:
        file.writelines(b"x" * MiB for _ in range(SIZE // 2 // MiB))
        file.write(b"needle")
    memory = Memory(service)
    body = {"files": [str(path)], "pattern": "needle", "newValue": "pin"}
    assert service.http.post("/files/replace", json=body).json()[0]["success"]
    query = {"path": str(path), "pattern": "pin"}
    assert len(service.http.get("/files/find", params=query).json()) == 1
    assert memory.growth() < LIMIT


def test_a_bounded_search_with_many_results_streams(service: Service, disk: Path) -> None:
    path = disk / "file"
    line = b"needle" * 1000 + b"\n"
    path.write_bytes(line * (SIZE // 2 // len(line)))
    memory = Memory(service)
    query = {"path": str(path), "pattern": "needle", "seconds": "3600"}
    with service.http.stream("GET", "/files/find", params=query) as answer:
        assert "x-truncated" not in answer.headers
        assert sum(len(chunk) for chunk in answer.iter_raw(MiB)) > SIZE // 2
    assert memory.growth() < LIMIT


def test_a_file_grows_by_replacing_and_memory_does_not(service: Service, disk: Path) -> None:
    path = disk / "file"
    path.write_bytes(b"x" * MiB)
    memory = Memory(service)
    new = "y" * (SIZE // MiB)
    body = {"files": [str(path)], "pattern": "x", "newValue": new}
    assert service.http.post("/files/replace", json=body).json()[0]["success"]
    assert path.stat().st_size == SIZE
    assert memory.growth() < LIMIT
