"""What the tests of services share."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.testing import Service


class Services:
    """The services of a running service, as a client sees them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.http = service.http

    def request(self, method: str, name: str, action: str = "", **options: Any) -> httpx.Response:
        path = f"/x/services/{name}" + (f"/{action}" if action else "")
        return self.http.request(method, path, **options)

    def put(self, name: str, **definition: Any) -> Any:
        """Define one, which must be accepted."""
        return self.ok(self.request("PUT", name, json=definition))

    def refuse(self, name: str, **definition: Any) -> str:
        """Define one that must be refused as invalid; return the message."""
        answer = self.request("PUT", name, json=definition)
        assert answer.status_code == 400, answer.text
        return str(answer.json()["message"])

    def info(self, name: str) -> Any:
        return self.ok(self.request("GET", name))

    def act(self, name: str, action: str) -> Any:
        return self.ok(self.request("POST", name, action))

    def wait(self, name: str, state: str = "ready", timeout: float = 50) -> Any:
        query = {"for": state, "timeout": timeout}
        return self.ok(self.request("GET", name, "wait", params=query))

    def until(self, name: str, condition: Callable[[Any], object]) -> Any:
        """Wait until what is shown of it fulfills a condition; return that."""
        self.service.wait_for(lambda: condition(self.info(name)), f"it with {name}")
        return self.info(name)

    def log(self, name: str, **query: Any) -> str:
        answer = self.ok(self.request("GET", name, "logs", params=query))
        return "".join(piece["data"] for piece in answer["pieces"])

    def delete(self, name: str) -> None:
        answer = self.request("DELETE", name)
        assert answer.status_code == 204, answer.text

    @staticmethod
    def ok(answer: httpx.Response) -> Any:
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """As the core's, but it waits less than others for what won't end by itself."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    running = Service(
        directory, settings="[process.local]\ngrace = 0.5\n[metrics]\nenabled = true\n"
    )
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def services(service: Service) -> Iterator[Services]:
    """Those of the module's service, none at first and none left."""
    found = Services(service)
    yield found
    for each in service.http.get("/x/services").json()["services"]:
        found.delete(each["name"])


@pytest.fixture
def services_of() -> Callable[[Service], Services]:
    """Those of another service."""
    return Services


@pytest.fixture
def port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
