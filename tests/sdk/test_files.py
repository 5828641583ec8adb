"""Files there and back, by each SDK."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import FileUpload
from daytona import Sandbox

from toolbox.testing import Service

JavaScript = Callable[..., Any]

CONTENT = bytes(range(256)) * 20_000
"""5 MB with every byte there is."""


def test_there_and_back(sandbox: Sandbox, service: Service) -> None:
    sandbox.fs.upload_file(CONTENT, "sync/ä file.bin")
    assert (service.work_dir / "sync/ä file.bin").read_bytes() == CONTENT
    assert sandbox.fs.download_file("sync/ä file.bin") == CONTENT


def test_there_and_back_by_files(sandbox: Sandbox, service: Service, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    sandbox.fs.upload_file(str(tmp_path / "source"), "sync/copied.bin")
    assert (service.work_dir / "sync/copied.bin").read_bytes() == CONTENT
    sandbox.fs.download_file("sync/copied.bin", str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == CONTENT


def test_an_empty_file(sandbox: Sandbox, service: Service) -> None:
    sandbox.fs.upload_file(b"", "sync/empty")
    assert (service.work_dir / "sync/empty").read_bytes() == b""
    assert sandbox.fs.download_file("sync/empty") == b""


def test_several_at_once(sandbox: Sandbox, service: Service) -> None:
    names = [f"sync/many/{number}" for number in range(5)]
    uploads = [FileUpload(source=name.encode(), destination=name) for name in names]
    sandbox.fs.upload_files(uploads)
    assert [(service.work_dir / name).read_text() for name in names] == names
    listed = sandbox.fs.list_files("sync/many")
    assert sorted(info.name for info in listed) == [Path(name).name for name in names]


def test_what_a_command_sees(sandbox: Sandbox) -> None:
    sandbox.fs.upload_file(b"from the SDK\n", "sync/seen")
    assert sandbox.process.exec("cat sync/seen").result == "from the SDK\n"


@pytest.mark.anyio
async def test_there_and_back_async(async_sandbox: AsyncSandbox, service: Service) -> None:
    await async_sandbox.fs.upload_file(CONTENT, "async/file.bin")
    assert (service.work_dir / "async/file.bin").read_bytes() == CONTENT
    assert await async_sandbox.fs.download_file("async/file.bin") == CONTENT


def test_there_and_back_typescript(javascript: JavaScript, service: Service) -> None:
    body = """
        const content = Buffer.from(Array.from({ length: 5_120_000 }, (_, i) => i % 256))
        await sandbox.fs.uploadFile(content, 'ts/ä file.bin')
        return content.equals(await sandbox.fs.downloadFile('ts/ä file.bin'))
    """
    assert javascript(body) is True
    assert (service.work_dir / "ts/ä file.bin").read_bytes() == CONTENT
