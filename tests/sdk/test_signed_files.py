"""Signed URLs as the Python SDK makes them, with the key that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from daytona import Sandbox

from toolbox.testing import DEADLINE
from toolbox.testing import Service

KEY = "a-signing-key"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    env = {"TOOLBOX_SIGNING_KEY": KEY}
    running = Service(tmp_path_factory.mktemp("service"), env=env)
    yield running
    running.stop()


def test_files_go_both_ways_by_signed_urls_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "über file?.txt"
    upload = sandbox.upload_url(str(file), ttl_seconds=60)
    answer = httpx.post(upload, files={"file": ("ignored", b"content")}, timeout=DEADLINE)
    assert answer.json() == {"name": file.name, "path": str(file), "type": "file"}
    for download in (sandbox.download_url(str(file)), sandbox.download_url(str(file), 0)):
        assert httpx.get(download, timeout=DEADLINE).content == b"content"
        assert httpx.post(download, timeout=DEADLINE).status_code == 401
        assert httpx.get(download.replace("txt", "tx"), timeout=DEADLINE).status_code == 401
        other = download.replace("/files/download", "/files/info")
        assert httpx.get(other, timeout=DEADLINE).status_code == 401
    assert httpx.get(upload, timeout=DEADLINE).status_code == 401
    assert KEY not in upload


def test_the_key_is_for_those_with_the_token(service: Service) -> None:
    path = "/api/sandbox/any-id/signing-key"
    assert service.http.get(path).text == KEY
    assert httpx.get(service.url + path, timeout=DEADLINE).status_code == 401
    assert service.http.get("/api/sandbox/a%20b/signing-key").status_code == 404


def test_without_a_key_the_sdk_is_told_so(make_service: Callable[..., Service]) -> None:
    answer = make_service().http.get("/api/sandbox/any-id/signing-key")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert "TOOLBOX_SIGNING_KEY" in answer.json()["message"]
