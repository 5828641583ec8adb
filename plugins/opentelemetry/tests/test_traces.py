"""Spans as a collector gets them: over OTLP/HTTP, read by OpenTelemetry's own schema."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector(http.server.ThreadingHTTPServer):
    """Keeps the spans that come."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.raw = b""
        self.headers: dict[str, str] = {}
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def find(self, **wanted: Any) -> Span:
        """The first span with those attributes, waiting for it."""
        deadline = time.monotonic() + DEADLINE
        names = {name.replace("__", "."): value for name, value in wanted.items()}
        while time.monotonic() < deadline:
            for span in list(self.spans):
                if names.items() <= attributes(span).items():
                    return span
            time.sleep(0.02)
        raise AssertionError(f"no span with {names} among {self.spans}")

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        assert self.path == "/v1/traces"
        self.server.raw += data
        self.server.headers = dict(self.headers.items())
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            self.server.resources.append(attributes(resource.resource))
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def attributes(span: Any) -> dict[str, Any]:
    return {
        each.key: each.value.int_value
        if each.value.HasField("int_value")
        else each.value.string_value
        for each in span.attributes
    }


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Service]:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=seven",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    running = Service(tmp_path_factory.mktemp("traced"), env=env)
    yield running
    running.stop()


def test_a_request_is_a_span_of_the_callers_trace(traced: Service, collector: Collector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "one", "User-Agent": "me"}
    before = time.time_ns()
    answer = traced.http.get("/plugins?secret=in-the-query", headers=headers)
    span = collector.find(toolbox__request_id="one")
    assert (span.name, span.kind) == ("GET /plugins", Span.SPAN_KIND_SERVER)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert before <= span.start_time_unix_nano < span.end_time_unix_nano <= time.time_ns()
    found = attributes(span)
    assert found["http.request.method"] == "GET"
    assert found["http.route"] == found["url.path"] == "/plugins"
    assert found["http.response.status_code"] == 200
    assert found["http.response.body.size"] == len(answer.content)
    assert (found["client.address"], found["user_agent.original"]) == ("127.0.0.1", "me")
    assert found["toolbox.operation"] == "core.list_plugins"
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert collector.resources[0]["service.name"] == "sandbox-toolbox"
    assert collector.headers["x-team"] == "seven"


def test_without_a_trace_it_begins_one(traced: Service, collector: Collector) -> None:
    traced.http.get("/readyz", headers={"traceparent": "nonsense", "X-Request-Id": "own"})
    span = collector.find(toolbox__request_id="own")
    assert span.parent_span_id == b""
    assert len(span.trace_id) == 16


def test_a_refusal_and_an_unknown_path(traced: Service, collector: Collector) -> None:
    with traced.client(None) as stranger:
        stranger.get("/plugins", headers={"X-Request-Id": "refused"})
    span = collector.find(toolbox__request_id="refused")
    assert attributes(span)["http.response.status_code"] == 401
    traced.http.get("/some/where", headers={"X-Request-Id": "unknown"})
    span = collector.find(toolbox__request_id="unknown")
    assert (span.name, span.status.code) == ("GET", Status.STATUS_CODE_UNSET)


def test_nothing_secret_is_sent(traced: Service, collector: Collector) -> None:
    traced.http.post("/plugins?token=query-secret", content=b"body-secret")
    traced.http.get(f"/some/{TOKEN}")
    traced.http.get("/plugins", headers={"Cookie": "cookie-secret", "X-Request-Id": "last"})
    collector.find(toolbox__request_id="last")
    for secret in (b"secret", TOKEN.encode()):
        assert secret not in collector.raw


def test_what_is_left_is_sent_at_the_end(
    make_service: Callable[..., Service], collector: Collector
) -> None:
    # AC-47
    settings = f'[opentelemetry]\nendpoint = "{collector.url}/"\n'
    env = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_SERVICE_NAME": "mine"}
    service = make_service(settings=settings, env=env)
    service.http.get("/plugins", headers={"X-Request-Id": "at-the-end"})
    assert service.stop() == 0
    assert attributes(collector.find(toolbox__request_id="at-the-end"))
    assert collector.resources[-1]["service.name"] == "mine"


def test_a_collector_that_is_not_there_holds_nothing_up(
    make_service: Callable[..., Service],
) -> None:
    # AC-47
    # It accepts connections, so to speak, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        service = make_service(env=env)
        for _ in range(3):
            assert service.http.get("/plugins").status_code == 200
        assert service.stop() == 0
    assert "Traceback" not in service.log()
    assert ", -" not in service.log(), "it ended within the limit"


def test_off_without_an_endpoint() -> None:
    program = (
        "import sys; from toolbox_opentelemetry import toolbox_group, otlp; toolbox_group();"
        "print('opentelemetry' in sys.modules, 'google.protobuf' in sys.modules)"
    )
    shown = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert shown == "False False\n"


def test_a_websocket_is_a_span_too(traced: Service, collector: Collector) -> None:
    path = "/process/pty/create-connect?id=traced"
    with contextlib.closing(traced.websocket(path)) as ws:
        ws.recv()
    span = collector.find(http__route="/process/pty/create-connect")
    found = attributes(span)
    assert found["http.response.status_code"] == 101
    assert found["toolbox.websocket.close_code"] in (1000, 1005)
    traced.http.delete("/process/pty/traced")
    missing = "/process/pty/nobody"
    traced.http.get(missing, headers={"X-Request-Id": "missing"})
    span = collector.find(toolbox__request_id="missing")
    assert span.name == "GET /process/pty/{session_id}"
    assert attributes(span)["url.path"] == missing
