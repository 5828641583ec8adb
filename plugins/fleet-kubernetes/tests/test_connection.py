"""Requests to an API server, as far as that needs no cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from toolbox_fleet_kubernetes.client import connection as module
from toolbox_fleet_kubernetes.client.config import load
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.kinds import POD
from toolbox_fleet_kubernetes.settings import KubernetesSettings

from toolbox.errors import Unavailable
from toolbox.testing import DEADLINE


class Slow(ThreadingHTTPServer):
    """A server that responds only when it may."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = threading.Event()
        self.may_respond = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Slow

    def do_GET(self) -> None:
        self.server.asked.set()
        assert self.server.may_respond.wait(DEADLINE)
        body = b'{"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}'
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: proxied
clusters: [{{name: proxy, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: proxied, context: {{cluster: proxy}}}}]
"""
"""As for ``kubectl proxy``: no user."""


def follow(connection: Connection) -> None:
    for _ in connection.follow(POD, "1", ""):
        raise AssertionError("there are no events")


@pytest.mark.parametrize(
    ("ask", "outcome"),
    [
        (lambda connection: connection.get(POD, "one"), NotThere),
        # A watch that is opened just now is ended, but not before there is something to end.
        (follow, Unavailable),
    ],
)
def test_a_request_of_another_thread_ends_before_the_connections_are_closed(
    slow: Slow, tmp_path: Path, ask: Callable[[Connection], object], outcome: type[Exception]
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG.format(port=slow.server_port))
    connection = Connection(load(KubernetesSettings(kubeconfig=str(file))), "default")
    outcomes: list[BaseException] = []

    def get() -> None:
        try:
            ask(connection)
        except (NotThere, Unavailable) as error:
            outcomes.append(error)

    getting = threading.Thread(target=get)
    getting.start()
    assert slow.asked.wait(DEADLINE)
    connection.close()
    releasing = threading.Thread(target=connection.release)
    releasing.start()
    releasing.join(0.1)
    assert releasing.is_alive()
    slow.may_respond.set()
    releasing.join()
    getting.join()
    assert [type(each) for each in outcomes] == [outcome]
    with pytest.raises(Unavailable, match="closed"):
        connection.get(POD, "two")


def test_a_request_that_takes_long_closes_the_connections_itself(
    slow: Slow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes its socket away while it writes: the descriptor may be another's at once."""
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG.format(port=slow.server_port))
    connection = Connection(load(KubernetesSettings(kubeconfig=str(file))), "default")
    monkeypatch.setattr(module, "TIMEOUT", 0.0)
    with ThreadPoolExecutor(1) as threads:
        getting = threads.submit(connection.get, POD, "one")
        assert slow.asked.wait(DEADLINE)
        connection.release()
        slow.may_respond.set()
        assert isinstance(getting.exception(DEADLINE), NotThere)
    assert connection._client.is_closed
