"""The operations of a running service, and what their answers must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from toolbox.testing import Service

IDENTITY = {"author": "Ada Lovelace", "email": "ada@example.org"}


class GitClient:
    """The git operations of a running service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def get(self, operation: str, path: Path | str = "", **query: str) -> httpx.Response:
        """``GET /git/<operation>``."""
        given = {**query, **({"path": str(path)} if path else {})}
        return self.service.http.get(f"/git/{operation}", params=given)

    def post(self, operation: str, path: Path | str = "", **body: Any) -> httpx.Response:
        """``POST /git/<operation>``."""
        given = {**body, **({"path": str(path)} if path else {})}
        return self.service.http.post(f"/git/{operation}", json=given)

    def delete_branch(self, path: Path, name: str) -> httpx.Response:
        """``DELETE /git/branches``."""
        body = {"path": str(path), "name": name}
        return self.service.http.request("DELETE", "/git/branches", json=body)

    def status(self, path: Path | str) -> dict[str, Any]:
        """The status, which must be had."""
        answer = self.get("status", path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def files(self, path: Path | str) -> dict[str, tuple[str, str]]:
        """Staging and worktree by name."""
        files = self.status(path)["fileStatus"]
        assert [file["name"] for file in files] == sorted(file["name"] for file in files)
        return {file["name"]: (file["staging"], file["worktree"]) for file in files}


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The message of an error answer, which must be this one."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.json()["source"] == "DAYTONA_DAEMON"
    return str(answer.json()["message"])


def done(answer: httpx.Response, status: int = 200) -> None:
    """An answer without content must be this one."""
    assert (answer.status_code, answer.text) == (status, "")
