"""Requests of an SDK to a control plane, and the URLs that it gets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from daytona_api_client import ApiClient
from daytona_api_client import Configuration
from daytona_api_client import SandboxApi

import toolbox
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

PREFIX = '[server]\npath_prefix = "/box/one"\n'


def sandbox_api(service: Service, root: str = "") -> SandboxApi:
    configuration = Configuration(host=f"{service.url}{root}/api")
    return SandboxApi(ApiClient(configuration, "Authorization", f"Bearer {TOKEN}"))


def raw(service: Service, *lines: str) -> tuple[int, str]:
    """Send the lines of a request as they are; return status and body of the response."""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as connection:
        connection.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1"))
        with connection.makefile("rb") as file:
            head, _, body = file.read().partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


@pytest.mark.parametrize("sandbox_id", ["any-id", "a", "_", "A.b_c~d-1", "x" * 128])
def test_the_sandbox_is_there_under_any_id(service: Service, sandbox_id: str) -> None:
    sandbox = sandbox_api(service).get_sandbox(sandbox_id)
    assert sandbox.id == sandbox_id
    assert sandbox.toolbox_proxy_url == f"{service.url}/toolbox"
    assert sandbox.state is not None and sandbox.state.value == "started"
    assert sandbox.daemon_version == f"v{toolbox.__version__}"
    assert min(sandbox.cpu, sandbox.memory, sandbox.disk) >= 1
    assert (sandbox.env, sandbox.labels) == ({}, {"code-toolbox-language": "python"})


def test_the_proxy_url_can_be_asked_for_alone(service: Service) -> None:
    assert sandbox_api(service).get_toolbox_proxy_url("any-id").url == f"{service.url}/toolbox"


@pytest.mark.parametrize(
    "sandbox_id", ["..", "%2e%2e", ".", "-x", "a%20b", "a@b", "a:b", "%00", "%C3%A4", "x" * 129]
)
def test_an_id_no_url_could_hold_is_404(service: Service, sandbox_id: str) -> None:
    for end in ("", "/toolbox-proxy-url"):
        path = f"/api/sandbox/{sandbox_id}{end}"
        host = f"Host: 127.0.0.1:{service.port}"
        status, body = raw(service, f"GET {path} HTTP/1.1", host, f"Authorization: Bearer {TOKEN}")
        assert status == 404
        assert '"source":"DAYTONA_API"' in body


@pytest.mark.parametrize(
    "path",
    [
        "/api/sandbox/any-id",
        "/api/sandbox/any-id/toolbox-proxy-url",
        "/toolbox/any-id/openapi.json",
        "/toolbox/any-id/nowhere",
    ],
)
def test_it_needs_the_token(service: Service, path: str) -> None:
    for token in (None, "wrong"):
        with service.client(token) as client:
            answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("prefix", ["", "/box/one"])
def test_errors_are_a_control_planes_below_api_and_a_sandboxs_elsewhere(
    make_service: Callable[..., Service], prefix: str
) -> None:
    service = make_service(settings=PREFIX)
    nobody = service.client(None)
    with nobody:
        for client, path, status, words in (
            (service.http, "/api/sandbox/-not-an-id", 404, "Not Found"),  # By the operation.
            (service.http, "/api/nowhere", 404, "Not Found"),  # By the router.
            (service.http, "/api", 404, "Not Found"),
            (nobody, "/api/sandbox/any-id", 401, "Unauthorized"),
            (nobody, "/api/nowhere", 401, "Unauthorized"),
        ):
            answer = client.get(prefix + path)
            error = answer.json()
            assert answer.status_code == error["statusCode"] == status
            assert (error["source"], error["error"]) == ("DAYTONA_API", words)
            assert error["path"] == path
            assert error["message"] and error["timestamp"].endswith("Z")
        for client, path in (
            (service.http, "/nowhere"),
            (service.http, "/apis"),
            (service.http, "/toolbox/any-id/nowhere"),
            (service.http, "/toolbox/any-id/process/session/none"),
            (nobody, "/toolbox/any-id/version-of-nothing"),
            (nobody, "/apis"),
        ):
            error = client.get(prefix + path).json()
            assert error["source"] == "DAYTONA_DAEMON"
            assert "error" not in error


@pytest.mark.parametrize("host", ["box.example", "Box.Example:8443", "10.0.0.7:1", "[::1]:2280"])
def test_the_address_is_the_one_the_caller_has_used(service: Service, host: str) -> None:
    answer = service.http.get("/api/sandbox/any-id", headers={"Host": host})
    assert answer.json()["toolboxProxyUrl"] == f"http://{host}/toolbox"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example/path",
        "evil.example?x",
        "evil.example#x",
        "user@evil.example",
        "a b",
        'a"b',
        "a<b>",
        "a,b",
        "a\\b",
        "host:port",
        "host:123456",
        "host:",
        "[::1",
        "[evil.example]",
        "h\xe4st",
        "",
    ],
)
def test_a_host_that_is_none_is_400(service: Service, host: str) -> None:
    request = "GET /api/sandbox/any-id HTTP/1.1"
    status, body = raw(service, request, f"Host: {host}", f"Authorization: Bearer {TOKEN}")
    assert status == 400
    assert '"source":"DAYTONA_API"' in body
    assert "evil" not in body


def test_the_ruby_sdk_opens_its_websockets_by_the_preview_url(service: Service) -> None:
    # F-C4: it takes scheme, host and port of the URL, and shows the token it was given with it.
    preview = sandbox_api(service).get_port_preview_url("any-id", 2280)
    assert (preview.sandbox_id, preview.url) == ("any-id", service.url)
    where = urlsplit(preview.url)
    assert (where.scheme, where.hostname, where.port) == ("http", "127.0.0.1", service.port)
    offered = ["X-Daytona-SDK-Version~0.226.1"]
    for path in ("", "/toolbox/any-id"):
        ws = service.websocket(
            f"{path}/process/pty/create-connect?id=preview{len(path)}",
            authorized=False,
            header=[f"X-Daytona-Preview-Token: {preview.token}"],
            subprotocols=offered,
        )
        assert '"connected"' in ws.recv()
        ws.close()
    browser = service.websocket(
        f"/process/pty/create-connect?id=browser&DAYTONA_SANDBOX_AUTH_KEY={preview.token}",
        authorized=False,
    )
    assert '"connected"' in browser.recv()
    browser.close()


def test_a_preview_token_is_good_for_what_it_was_issued_for(service: Service) -> None:
    # F-C4
    api = sandbox_api(service)
    own = api.get_port_preview_url("any-id", service.port)
    assert (own.url, own.token) == (service.url, api.get_port_preview_url("x", 2280).token)
    other = api.get_port_preview_url("any-id", 1)
    assert other.url == f"{service.url}/toolbox/any-id/proxy/1"
    with service.client(None) as client:

        def status(path: str, token: str) -> int:
            headers = {"X-Daytona-Preview-Token": token}
            return client.get(path, headers=headers).status_code

        assert status(f"{other.url}/", other.token) == 502, "nothing listens"
        for path in ("/toolbox/any-id/proxy/2/", "/plugins", "/x/proxy/1/"):
            assert status(path, other.token) == 401
        for token in ("", "preview_", "preview_x", f"{own.token}x"):
            assert status("/plugins", token) == 401
        assert status("/plugins", own.token) == 200
    for port in ("0", "65536", "-1", "x", "1e3"):
        answer = service.http.get(f"/api/sandbox/any-id/ports/{port}/preview-url")
        assert answer.status_code == 400
    assert service.http.get("/api/sandbox/a%20b/ports/1/preview-url").status_code == 404


def test_preview_tokens_are_not_written_to_the_log(make_service: Callable[..., Service]) -> None:
    service = make_service(settings="[log]\naccess = true\n")
    api = sandbox_api(service)
    tokens = [api.get_port_preview_url("any-id", port).token for port in (1, 65535, 2280)]
    for token in tokens:
        assert service.http.get(f"/no/{token}").status_code == 404
    service.stop()
    assert service.log().count("/no/***") >= len(tokens)
    for token in tokens:
        assert token not in service.log()


def test_the_key_is_bare_text(make_service: Callable[..., Service]) -> None:
    # F-C5: the Go SDK takes the body as it is.
    service = make_service(env={"TOOLBOX_SIGNING_KEY": '"a\\key"'})
    answer = service.http.get("/api/sandbox/any-id/signing-key")
    assert (answer.text, answer.headers["content-type"]) == ('"a\\key"', "text/html; charset=utf-8")
    assert sandbox_api(service).get_sandbox_signing_key("any-id") == '"a\\key"'


def test_no_host_is_400(service: Service) -> None:
    request = "GET /api/sandbox/any-id HTTP/1.0"
    status, body = raw(service, request, f"Authorization: Bearer {TOKEN}")
    assert (status, '"code":"BAD_REQUEST"' in body) == (400, True)


def test_forwarded_addresses_are_not_believed(service: Service) -> None:
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=https",
    }
    answer = service.http.get("/api/sandbox/any-id", headers=headers)
    assert answer.json()["toolboxProxyUrl"] == f"{service.url}/toolbox"


def test_below_the_proxy_url_is_the_service(service: Service) -> None:
    for path in ("/healthz", "/openapi.json", "/readyz"):
        assert service.http.get(f"/toolbox/any-id{path}").json() == service.http.get(path).json()
    with service.client(None) as stranger:
        assert stranger.get("/toolbox/any-id/healthz").status_code == 200, "without a token"


@pytest.mark.parametrize("path", ["/toolbox", "/toolbox/", "/toolbox//x", "/toolbox/a@b/healthz"])
def test_without_an_id_there_is_nothing(service: Service, path: str) -> None:
    answer = service.http.get(path)
    assert (answer.status_code, answer.json()["path"]) == (404, path)


@pytest.mark.parametrize("end", ["/nowhere", "/toolbox/other/healthz"])
def test_what_is_not_at_the_root_is_not_below_either(service: Service, end: str) -> None:
    answer = service.http.get(f"/toolbox/any-id{end}")
    assert answer.status_code == 404
    assert answer.json()["path"] == end


def test_a_redirect_stays_below(service: Service) -> None:
    answer = service.http.get("/toolbox/any-id/plugins/?x=1")
    assert answer.status_code == 301
    assert urlsplit(answer.headers["Location"]).path == "/toolbox/any-id/plugins"
    assert urlsplit(answer.headers["Location"]).query == "x=1"


def test_a_path_prefix_is_kept(make_service: Callable[..., Service]) -> None:
    service = make_service(settings=PREFIX)
    with_prefix = sandbox_api(service, "/box/one").get_sandbox("any-id").toolbox_proxy_url
    assert with_prefix == f"{service.url}/box/one/toolbox"
    assert sandbox_api(service).get_sandbox("any-id").toolbox_proxy_url == f"{service.url}/toolbox"
    for url in (with_prefix, f"{service.url}/toolbox"):
        answer = service.http.get(f"{url}/any-id/openapi.json")
        assert answer.json() == service.http.get("/openapi.json").json()
    redirect = service.http.get(f"{with_prefix}/any-id/plugins/")
    assert urlsplit(redirect.headers["Location"]).path == "/box/one/toolbox/any-id/plugins"
