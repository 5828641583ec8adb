"""Signed URLs as the Python SDK builds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from daytona._utils.file_url_signing import build_signed_file_url

from toolbox.testing import Service

KEY = "a-signing-key"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    env = {"TOOLBOX_SIGNING_KEY": KEY}
    settings = '[server]\npath_prefix = "/sandbox-id"\n'
    service = Service(tmp_path_factory.mktemp("sandbox"), settings=settings, env=env)
    yield service
    service.stop()


def signed(service: Service, operation: str, method: str, path: Path) -> str:
    return build_signed_file_url(
        service.url, "sandbox-id", operation, method, str(path), KEY, ttl_seconds=60
    )


def test_files_go_both_ways_by_signed_urls_alone(sandbox: Service, tmp_path: Path) -> None:
    file = tmp_path / "über file?.txt"
    upload = signed(sandbox, "/files/upload-v2", "POST", file)
    answer = httpx.post(upload, files={"file": ("ignored", b"content")})
    assert answer.json() == {"name": file.name, "path": str(file), "type": "file"}
    download = signed(sandbox, "/files/download", "GET", file)
    assert httpx.get(download).content == b"content"
    assert httpx.get(upload).status_code == 401
    assert httpx.post(download).status_code == 401
    assert httpx.get(download.replace("txt", "tx")).status_code == 401
    assert httpx.get(signed(sandbox, "/files/info", "GET", file)).status_code == 401
