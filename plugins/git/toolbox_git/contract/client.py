"""A client for the git operations, and assertions on their responses."""

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
        """Send ``GET /git/<operation>``."""
        given = {**query, **({"path": str(path)} if path else {})}
        return self.service.http.get(f"/git/{operation}", params=given)

    def post(self, operation: str, path: Path | str = "", **body: Any) -> httpx.Response:
        """Send ``POST /git/<operation>``."""
        given = {**body, **({"path": str(path)} if path else {})}
        return self.service.http.post(f"/git/{operation}", json=given)

    def delete_branch(self, path: Path, name: str) -> httpx.Response:
        """Send ``DELETE /git/branches``."""
        body = {"path": str(path), "name": name}
        return self.service.http.request("DELETE", "/git/branches", json=body)

    def status(self, path: Path | str) -> dict[str, Any]:
        """Return the status; fail if there is an error."""
        response = self.get("status", path)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def files(self, path: Path | str) -> dict[str, tuple[str, str]]:
        """Return the states of each file in the index and the working tree, by name."""
        files = self.status(path)["fileStatus"]
        assert [file["name"] for file in files] == sorted(file["name"] for file in files)
        return {file["name"]: (file["staging"], file["worktree"]) for file in files}


def refused(response: httpx.Response, status: int, code: str) -> str:
    """Check that the response is this error; return its message."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.json()["source"] == "DAYTONA_DAEMON"
    return str(response.json()["message"])


def done(response: httpx.Response, status: int = 200) -> None:
    """Check that the response has this status and no content."""
    assert (response.status_code, response.text) == (status, "")
