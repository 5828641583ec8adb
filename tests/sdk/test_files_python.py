"""Every method of the Python SDK's ``sandbox.fs``, sync and async, on a running service."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import io
import os
import stat
import threading
from collections.abc import AsyncIterator
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import daytona_toolbox_api_client as sync_client
import daytona_toolbox_api_client_async as async_client
import httpx
import pytest
from daytona import FileDownloadRequest
from daytona import FileUpload
from daytona._async.filesystem import AsyncFileSystem
from daytona._sync.filesystem import FileSystem
from daytona.common.errors import DaytonaError
from daytona.common.errors import DaytonaNotFoundError
from daytona.internal.toolbox_api_client_proxy import ToolboxApiClientProxy

from toolbox.testing import Service

MiB = 1024 * 1024
LARGE = os.urandom(MiB) * 100


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service at the address the SDKs give a sandbox."""
    settings = '[server]\npath_prefix = "/sandbox-id"\n'
    running = Service(tmp_path_factory.mktemp("service"), settings=settings)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def fs(service: Service) -> Iterator[FileSystem]:
    """What ``sandbox.fs`` is, without a control plane."""
    configuration = sync_client.Configuration(host=service.url)
    api = sync_client.ApiClient(configuration)
    api.default_headers["Authorization"] = f"Bearer {service.token}"
    with httpx.Client(timeout=60) as http:
        proxy: Any = ToolboxApiClientProxy(api, "sandbox-id", service.url)
        yield FileSystem(sync_client.FileSystemApi(proxy), http)


@asynccontextmanager
async def async_fs(service: Service) -> AsyncIterator[AsyncFileSystem]:
    configuration = async_client.Configuration(host=service.url)
    async with async_client.ApiClient(configuration) as api:
        api.default_headers["Authorization"] = f"Bearer {service.token}"
        proxy: Any = ToolboxApiClientProxy(api, "sandbox-id", service.url)
        fs = AsyncFileSystem(async_client.FileSystemApi(proxy))
        await fs.list_files(".")  # Getting a sandbox would have opened the session.
        yield fs


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


USED = {
    "create_folder",
    "delete_file",
    "download_file",
    "download_file_stream",
    "download_files",
    "find_files",
    "get_file_info",
    "list_files",
    "move_files",
    "replace_in_files",
    "search_files",
    "set_file_permissions",
    "upload_file",
    "upload_file_stream",
    "upload_files",
}


def test_no_method_is_forgotten_here() -> None:
    assert public(FileSystem) == public(AsyncFileSystem) == USED


def test_directories_and_changes(fs: FileSystem, tmp_path: Path) -> None:
    fs.create_folder(f"{tmp_path}/a/b", "750")
    fs.upload_file(b"one two", f"{tmp_path}/a/b/file.txt")
    fs.set_file_permissions(f"{tmp_path}/a/b/file.txt", mode="640")
    info = fs.get_file_info(f"{tmp_path}/a/b/file.txt")
    assert (info.name, info.size, info.permissions) == ("file.txt", 7, "0640")
    assert info.path == f"{tmp_path}/a/b/file.txt"
    listed = fs.list_files(str(tmp_path), depth=3)
    assert [(entry.name, entry.is_dir) for entry in listed] == [
        ("a", True),
        ("b", True),
        ("file.txt", False),
    ]
    assert fs.search_files(str(tmp_path), "*.txt").files == [f"{tmp_path}/a/b/file.txt"]
    (match,) = fs.find_files(str(tmp_path), "two")
    assert (match.file, match.line, match.content) == (f"{tmp_path}/a/b/file.txt", 1, "one two")
    (result,) = fs.replace_in_files([match.file], "two", "2")
    assert result.success
    fs.move_files(f"{tmp_path}/a/b", f"{tmp_path}/c")
    assert fs.download_file(f"{tmp_path}/c/file.txt") == b"one 2"
    fs.delete_file(f"{tmp_path}/c", recursive=True)
    fs.delete_file(f"{tmp_path}/a", recursive=True)
    assert fs.list_files(str(tmp_path)) == []


NAMES = ["plain", "with space", "é", "日本語", 'quote"s', "back\\slash", "%41", "a+b&c=d", "😀"]


@pytest.mark.parametrize("name", NAMES)
def test_names(fs: FileSystem, tmp_path: Path, name: str) -> None:
    path = f"{tmp_path}/{name}"
    fs.upload_file(name.encode(), path)
    assert (tmp_path / name).read_text() == name
    assert fs.download_file(path) == name.encode()
    assert b"".join(fs.download_file_stream(path)) == name.encode()
    fs.upload_file_stream(io.BytesIO(b"stream"), path)
    assert fs.get_file_info(path).size == 6


def test_several_files_with_errors_among_them(fs: FileSystem, tmp_path: Path) -> None:
    uploads = [FileUpload(source=b"x" * size, destination=f"{tmp_path}/{size}") for size in (0, 9)]
    fs.upload_files(uploads)
    paths = [f"{tmp_path}/{name}" for name in ("0", "absent", "9")] + [str(tmp_path)]
    empty, absent, nine, directory = fs.download_files([FileDownloadRequest(p) for p in paths])
    assert (empty.error, nine.result) == (None, b"x" * 9)
    assert absent.error_details is not None
    assert absent.error_details.error_code == "FILE_NOT_FOUND"
    assert directory.error_details is not None
    assert directory.error_details.error_code == "INVALID_FILE_PATH"


def test_errors_are_typed(fs: FileSystem, tmp_path: Path) -> None:
    with pytest.raises(DaytonaNotFoundError, match="file not found"):
        fs.get_file_info(f"{tmp_path}/absent")
    with pytest.raises(DaytonaNotFoundError):
        fs.download_file(f"{tmp_path}/absent")
    with pytest.raises(DaytonaError, match="is a directory"):
        fs.upload_file(b"x", str(tmp_path))


def test_large_files_stream_with_progress(fs: FileSystem, tmp_path: Path) -> None:
    path = f"{tmp_path}/large"
    expected = hashlib.sha256(LARGE).hexdigest()
    sent: list[int] = []
    fs.upload_file_stream(io.BytesIO(LARGE), path, on_progress=lambda p: sent.append(p.bytes_sent))
    assert sent[-1] == len(LARGE)
    with (tmp_path / "large").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == expected
    digest = hashlib.sha256()
    received: list[Any] = []
    for chunk in fs.download_file_stream(path, on_progress=received.append):
        digest.update(chunk)
    assert digest.hexdigest() == expected
    assert {progress.total_bytes for progress in received} == {len(LARGE)}
    assert received[-1].bytes_received == len(LARGE)
    fs.upload_file(LARGE, path)
    assert hashlib.sha256(fs.download_file(path)).hexdigest() == expected


def test_transfers_are_cancelled(fs: FileSystem, tmp_path: Path) -> None:
    target = tmp_path / "large"
    target.write_bytes(LARGE)
    cancel = threading.Event()
    chunks = fs.download_file_stream(str(target), cancel_event=cancel)
    next(chunks)
    cancel.set()
    with pytest.raises(DaytonaError, match="cancelled"):
        list(chunks)
    cancel = threading.Event()
    with pytest.raises(DaytonaError, match="cancelled"):
        fs.upload_file_stream(
            io.BytesIO(LARGE[:-1]),
            str(target),
            on_progress=lambda _: cancel.set(),
            cancel_event=cancel,
        )
    assert target.stat().st_size == len(LARGE)


def test_modes_are_numbers_that_python_reads(fs: FileSystem, tmp_path: Path) -> None:
    fs.upload_file(b"", f"{tmp_path}/file")
    fs.set_file_permissions(f"{tmp_path}/file", mode="4755", owner=str(os.getuid()))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o4755


def test_every_async_method(service: Service, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with async_fs(service) as fs:
            await fs.create_folder(f"{tmp_path}/a", "755")
            await fs.upload_file(b"one two", f"{tmp_path}/a/é.txt")
            await fs.set_file_permissions(f"{tmp_path}/a/é.txt", mode="600")
            assert (await fs.get_file_info(f"{tmp_path}/a/é.txt")).permissions == "0600"
            assert len(await fs.list_files(str(tmp_path), depth=2)) == 2
            found = await fs.search_files(str(tmp_path), "*.txt")
            assert found.files == [f"{tmp_path}/a/é.txt"]
            (match,) = await fs.find_files(str(tmp_path), "two")
            (result,) = await fs.replace_in_files([match.file], "two", "2")
            assert result.success
            await fs.move_files(f"{tmp_path}/a", f"{tmp_path}/b")
            assert await fs.download_file(f"{tmp_path}/b/é.txt") == b"one 2"
            await fs.delete_file(f"{tmp_path}/b", recursive=True)
            await fs.upload_files(
                [FileUpload(source=b"x", destination=f"{tmp_path}/{n}") for n in range(3)]
            )
            paths = [f"{tmp_path}/{n}" for n in range(4)]
            answers = await fs.download_files([FileDownloadRequest(path) for path in paths])
            assert [answer.result for answer in answers] == [b"x", b"x", b"x", None]

    asyncio.run(scenario())


def test_async_streams_of_both_ways(service: Service, tmp_path: Path) -> None:
    """Sources that are asynchronous themselves travel in another form; either way is cancelled."""
    sent: list[int] = []
    received: list[int] = []

    async def source() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 8 * MiB):
            yield LARGE[start : start + 8 * MiB]

    async def on_sent(progress: Any) -> None:
        sent.append(progress.bytes_sent)

    async def on_received(progress: Any) -> None:
        received.append(progress.bytes_received)

    async def scenario() -> None:
        path, cancel = f"{tmp_path}/é/large", asyncio.Event()
        async with async_fs(service) as fs:
            await fs.upload_file_stream(source(), path, on_progress=on_sent)
            stream = await fs.download_file_stream(path, on_progress=on_received)
            digest = hashlib.sha256()
            async for chunk in stream:
                digest.update(chunk)
            assert digest.hexdigest() == hashlib.sha256(LARGE).hexdigest()
            stream = await fs.download_file_stream(path, cancel_event=cancel)
            with pytest.raises(DaytonaError, match="cancelled"):
                async for _ in stream:
                    cancel.set()
            with pytest.raises(DaytonaError, match="cancelled"):
                await fs.upload_file_stream(source(), path, cancel_event=cancel)

    asyncio.run(scenario())
    assert sent[-1] == received[-1] == len(LARGE)
    assert (tmp_path / "é" / "large").stat().st_size == len(LARGE)


def test_large_files_stream_async(service: Service, tmp_path: Path) -> None:
    async def scenario() -> str:
        async with async_fs(service) as fs:
            sent: list[int] = []
            await fs.upload_file_stream(
                io.BytesIO(LARGE),
                f"{tmp_path}/large",
                on_progress=lambda progress: sent.append(progress.bytes_sent),
            )
            assert sent[-1] == len(LARGE)
            digest = hashlib.sha256()
            stream = await fs.download_file_stream(f"{tmp_path}/large")
            async for chunk in stream:
                digest.update(chunk)
            return digest.hexdigest()

    assert asyncio.run(scenario()) == hashlib.sha256(LARGE).hexdigest()
