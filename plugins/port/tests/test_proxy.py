"""The proxy, through the service, in front of a real application."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from toolbox.testing import TOKEN
from toolbox.testing import Service

MIB = 1024 * 1024
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "MKCOL"]


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    found = {name.lower(): value for name, value in answer["headers"]}
    assert len(found) == len(answer["headers"]), "nothing is there twice"
    return found


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 60)


def send_head(sock: socket.socket, line: str, *headers: str) -> None:
    lines = [f"{line} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *headers]
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


class Memory:
    """The growth of the worker's memory from now on, at its peak, in bytes."""

    def __init__(self, service: Service) -> None:
        (pid,) = service.workers()
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # Resets the peak (proc(5)).
        self._status = Path(f"/proc/{pid}/status")
        self._before = self._peak()

    def growth(self) -> int:
        return self._peak() - self._before

    def _peak(self) -> int:
        return int(self._status.read_text().partition("VmHWM:")[2].split()[0]) * 1024


def descriptors(service: Service) -> int:
    return len(os.listdir(f"/proc/{service.workers()[0]}/fd"))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_passes(service: Service, app: Any, method: str) -> None:
    answer = service.http.request(method, f"/proxy/{app.port}/some/path?q=1")
    assert answer.status_code == 200
    assert answer.json()["method"] == method
    assert answer.json()["target"] == "/some/path?q=1"


def test_head_passes_with_the_length_and_no_body(service: Service, app: Any) -> None:
    answer = service.http.head(f"/proxy/{app.port}/big?size=6553600")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "6553600")
    assert service.http.get("/port").status_code == 200


def test_connect_passes(service: Service, app: Any) -> None:
    with connect(service) as sock:
        send_head(sock, f"CONNECT /proxy/{app.port}/x", "Connection: close")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert app.requests[-1]["target"] == "/x"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?",
        "/a%2Fb%2f%20c",
        "//double//slash",
        "/a/../b/./c",
        "/%E4%F6",
        "/%0A%00",
        "/%25",
        "/~!$&'()*+,;=:@[]|{}",
        "/x?a=%2F&b=+&&c=é&=d&e".replace("é", "%C3%A9"),
        "/x?next=/proxy/1/y",
        "/proxy/80/x",
    ],
)
def test_path_and_query_arrive_as_they_were_sent(service: Service, app: Any, target: str) -> None:
    with connect(service) as sock:
        send_head(sock, f"GET /proxy/{app.port}{target}", "Connection: close")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert app.requests[-1]["target"] == target


def test_the_path_is_found_below_a_prefix_and_in_an_absolute_target(
    make_service: Callable[..., Service], app: Any
) -> None:
    service = make_service(settings='[server]\npath_prefix = "/my-box"')
    for line in (f"GET /my%2Dbox/proxy/{app.port}/a%2Fb", f"GET http://h/proxy/{app.port}/a%2Fb"):
        with connect(service) as sock:
            send_head(sock, line, "Connection: close")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        assert app.requests[-1]["target"] == "/a%2Fb"
    answer = service.http.get(f"/my-box/proxy/{app.port}/x").json()
    assert headers_of(answer)["x-forwarded-prefix"] == f"/my-box/proxy/{app.port}"


def test_the_whole_path_passes_where_that_is_wanted(
    make_service: Callable[..., Service], app: Any
) -> None:
    service = make_service(settings='[server]\npath_prefix = "/my-box"')
    for target in (f"/x/absproxy/{app.port}/a%2Fb?c=%20", f"/my-box/x/absproxy/{app.port}/"):
        with connect(service) as sock:
            send_head(sock, f"GET {target}", "Connection: close")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        assert app.requests[-1]["target"] == target
        assert "x-forwarded-prefix" not in dict(app.requests[-1]["headers"])
    token = f"DAYTONA_SANDBOX_AUTH_KEY={TOKEN}"
    answer = service.http.post(f"/x/absproxy/{app.port}/x?a=1&{token}", content=b"abc").json()
    assert (answer["target"], answer["size"]) == (f"/x/absproxy/{app.port}/x?a=1", 3)
    assert "authorization" not in headers_of(answer)
    for port in ("80@host", "0", "65536"):
        assert service.http.get(f"/x/absproxy/{quote(port, safe='@')}/x").status_code == 400
    with service.client(None) as stranger:
        assert stranger.get(f"/x/absproxy/{app.port}/x").status_code == 401


def test_without_a_slash_it_is_a_redirect(service: Service, app: Any) -> None:
    answer = service.http.get(f"/proxy/{app.port}?a=b")
    assert (answer.status_code, answer.headers["location"]) == (301, f"/proxy/{app.port}/?a=b")
    answer = service.http.post(f"/proxy/{app.port}")
    assert (answer.status_code, answer.headers["location"]) == (307, f"/proxy/{app.port}/")


@pytest.mark.parametrize(
    "port",
    ["80@host", "0", "00000", "65536", "99999", "-1", "+80", "80 ", "1e3", "http", "٣٠٠٠", "²",
     "localhost:80", "80:80", "0x50", "123456", "8" * 5000, "%00", "80#"],
)  # fmt: skip
def test_a_port_is_digits_in_range(service: Service, port: str) -> None:
    answer = service.http.get(f"/proxy/{quote(port, safe='@:%+')}/x")
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], body["source"]) == ("BAD_REQUEST", "DAYTONA_DAEMON")
    with pytest.raises(Exception, match="400"):
        service.websocket(f"/proxy/{quote(port, safe='@:%+')}/x")


def test_nothing_without_the_token(service: Service, app: Any) -> None:
    with service.client(None) as stranger:
        assert stranger.get(f"/proxy/{app.port}/x").status_code == 401
        assert stranger.get(f"/proxy/{app.port}").status_code == 401
        assert stranger.get("/port").status_code == 401
    assert not app.requests


def test_nobody_listens_is_502(service: Service, app: Any) -> None:
    app.stop()
    for method in ("GET", "POST"):
        answer = service.http.request(method, f"/proxy/{app.port}/x", content=b"x" * 100_000)
        assert answer.status_code == 502
        body = answer.json()
        assert (body["statusCode"], body["code"]) == (502, "BAD_GATEWAY")
        assert (body["source"], body["path"]) == ("DAYTONA_DAEMON", f"/proxy/{app.port}/x")


@pytest.mark.parametrize(
    "raw",
    ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\x01\x00b\r\n\r\n",
     "HTTP/1.1 200 OK\r\nX: a\x0bb\r\n\r\n", "HTTP/1.1 999999 OK\r\n\r\n",
     "HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 60_000],
)  # fmt: skip
def test_what_is_no_http_is_502(service: Service, app: Any, raw: str) -> None:
    if len(raw) > 60_000:
        answer = _answer_of(service, raw.encode())
    else:
        answer = service.http.get(f"/proxy/{app.port}/raw", params={"bytes": raw})
    assert answer.status_code == 502, answer.text[:500]
    assert answer.json()["code"] == "BAD_GATEWAY"
    assert "Traceback" not in service.log()


def _answer_of(service: Service, raw: bytes) -> httpx.Response:
    """Return the proxy's response if the application sends ``raw``."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        port = listener.getsockname()[1]
        future = pool.submit(service.http.get, f"/proxy/{port}/")
        with listener.accept()[0] as sock, contextlib.suppress(OSError):
            sock.recv(65536)
            sock.sendall(raw)
        return future.result()


@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb"])
def test_odd_bytes_in_a_header_are_no_error_of_ours(service: Service, value: str) -> None:
    raw = f"HTTP/1.1 200 OK\r\nX-Odd: {value}\r\nContent-Length: 2\r\n\r\nok"
    assert _answer_of(service, raw.encode("latin-1")).headers["x-odd"] == "a b"
    assert "Traceback" not in service.log()


def test_a_length_beside_chunked_does_not_count(service: Service) -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
        b"6\r\nabcdef\r\n0\r\n\r\n"
    )
    answer = _answer_of(service, raw)
    assert answer.content == b"abcdef"
    assert "content-length" not in answer.headers


# Headers


def test_the_request_says_where_it_comes_from(service: Service, app: Any) -> None:
    sent = {"Host": "box.example:8080", "X-Custom": "1", "Cookie": "a=1; b=2", "Accept": "x/y"}
    found = headers_of(service.http.get(f"/proxy/{app.port}/x", headers=sent).json())
    assert found["host"] == f"localhost:{app.port}"
    assert found["x-forwarded-for"] == "127.0.0.1"
    assert found["x-forwarded-host"] == "box.example:8080"
    assert found["x-forwarded-proto"] == "http"
    assert found["x-forwarded-prefix"] == f"/proxy/{app.port}"
    assert (found["x-custom"], found["cookie"], found["accept"]) == ("1", "a=1; b=2", "x/y")


def test_what_proxies_on_the_way_have_said_is_kept(service: Service, app: Any) -> None:
    sent = {
        "X-Forwarded-For": "192.0.2.1, 192.0.2.2",
        "X-Forwarded-Host": "public.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/boxes/7/",
        "Forwarded": "for=192.0.2.1",
    }
    found = headers_of(service.http.get(f"/proxy/{app.port}/x", headers=sent).json())
    assert found["x-forwarded-for"] == "192.0.2.1, 192.0.2.2, 127.0.0.1"
    assert found["x-forwarded-host"] == "public.example"
    assert found["x-forwarded-proto"] == "https"
    assert found["x-forwarded-prefix"] == f"/boxes/7/proxy/{app.port}"
    assert found["forwarded"] == "for=192.0.2.1"


def test_hop_by_hop_headers_stay_on_their_hop(service: Service, app: Any) -> None:
    sent = {
        "Connection": "keep-alive, X-Hop, Content-Length",
        "X-Hop": "1",
        "Keep-Alive": "timeout=5",
        "Proxy-Authorization": "Basic eA==",
        "Proxy-Connection": "keep-alive",
        "TE": "trailers",
        "Trailer": "X-T",
        "Upgrade": "h2c",
    }
    answer = service.http.post(f"/proxy/{app.port}/x", headers=sent, content=b"abc").json()
    found = headers_of(answer)
    assert answer["size"] == 3
    assert found["connection"] == "close"
    assert not {name.lower() for name in sent if name != "Connection"} & set(found)


def test_the_answer_keeps_its_headers(service: Service, app: Any) -> None:
    with connect(service) as sock:
        send_head(sock, f"GET /proxy/{app.port}/headers")
        head, *lines = read_until(sock, b"\r\n\r\n").decode("latin-1").strip().split("\r\n")
    assert head == "HTTP/1.1 207 Many Things"
    assert [line for line in lines if line.startswith("Set-Cookie")] == [
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2",
    ]
    assert "X-Latin: caf\xe9" in lines
    assert "Location: http://x/{odd}|path?a b" in lines
    names = [line.partition(":")[0].lower() for line in lines]
    for gone in ("x-private", "keep-alive", "proxy-authenticate", "content-type"):
        assert gone not in names
    for once in ("date", "server", "connection", "content-length", "x-request-id"):
        assert names.count(once) == 1


@pytest.mark.parametrize(("code", "length"), [(204, ""), (304, ""), (304, "5"), (299, "0")])
def test_an_answer_without_a_body(service: Service, app: Any, code: int, length: str) -> None:
    for _ in range(
        2
    ):  # The second uses the connection in the state in which the first has left it.
        answer = service.http.get(f"/proxy/{app.port}/status?code={code}&length={length}")
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (code, b"", '"x"')


def test_early_hints_pass(service: Service, app: Any) -> None:
    with connect(service) as sock:
        send_head(sock, f"GET /proxy/{app.port}/hints")
        text = read_until(sock, b"hinted")
    assert text.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n")
    assert b"HTTP/1.1 200 OK" in text


OWN = "http://localhost:{port}"


@pytest.mark.parametrize(
    ("sent", "origin", "referer"),
    [
        # F-C12: what Django, Streamlit, Jupyter and SvelteKit compare with Host.
        ({"Origin": "http://box.example:8080"}, OWN, None),
        ({"Origin": "http://Box.Example:8080"}, OWN, None),
        ({"Origin": "https://public.example"}, OWN, None),
        ({"Origin": "https://public.example:443"}, OWN, None),
        ({"Origin": "http://evil.example"}, "http://evil.example", None),
        ({"Origin": "http://box.example"}, "http://box.example", None),
        ({"Origin": "http://box.example:8080.evil.example"}, None, None),
        ({"Origin": "null"}, "null", None),
        ({"Referer": "http://box.example:8080{head}/a/b?c=d"}, None, OWN + "/a/b?c=d"),
        ({"Referer": "https://public.example/boxes/7{head}/"}, None, OWN + "/"),
        ({"Referer": "http://box.example:8080{head}"}, None, OWN + "/"),
        ({"Referer": "http://box.example:8080/elsewhere"}, None, OWN + "/"),
        ({"Referer": "http://evil.example{head}/a"}, None, "http://evil.example{head}/a"),
        ({"Referer": "http://[evil"}, None, "http://[evil"),
    ],
)
def test_the_clients_own_origin_is_the_applications(
    service: Service, app: Any, sent: dict[str, str], origin: str | None, referer: str | None
) -> None:
    words = {"port": app.port, "head": f"/proxy/{app.port}"}
    headers = {"Host": "box.example:8080", "X-Forwarded-Host": "public.example"}
    headers |= {"X-Forwarded-Prefix": "/boxes/7"}
    headers |= {name: value.format(**words) for name, value in sent.items()}
    found = headers_of(service.http.get(f"/proxy/{app.port}/x", headers=headers).json())
    origin = sent.get("Origin") if origin is None else origin
    assert found.get("origin") == (origin and origin.format(**words))
    assert found.get("referer") == (referer and referer.format(**words))


def test_the_whole_path_stays_in_the_referer(service: Service, app: Any) -> None:
    # F-C12
    path = f"/x/absproxy/{app.port}/a"
    answer = service.http.get(path, headers={"Referer": f"{service.url}{path}?b"})
    assert headers_of(answer.json())["referer"] == f"http://localhost:{app.port}{path}?b"


# The token


def test_the_token_stays_here(service: Service, app: Any) -> None:
    # Also if it isn't needed, because the header was sufficient.
    query = f"a=1&DAYTONA_SANDBOX_AUTH_KEY={TOKEN}&DAYTONA%5FSANDBOX_AUTH_KEY={TOKEN}&b=%2F"
    answer = service.http.get(f"/proxy/{app.port}/x?{query}")
    assert answer.json()["target"] == "/x?a=1&b=%2F"
    assert TOKEN not in answer.text
    answer = service.http.get(f"/proxy/{app.port}/x?DAYTONA_SANDBOX_AUTH_KEY={TOKEN}")
    assert answer.json()["target"] == "/x"
    # F-B9
    answer = service.http.get(f"/proxy/{app.port}/x?TOOLBOX_TICKET=t&a=1&TOOLBOX%5fTICKET=t")
    assert answer.json()["target"] == "/x?a=1"


@pytest.mark.parametrize("key", ["DAYTONA_SANDBOX_AUTH_KEY", "TOOLBOX_TICKET", "TOOLBOX%5FTICKET"])
@pytest.mark.parametrize("host", ["127.0.0.1", "elsewhere.example"])
def test_the_token_in_a_url_that_a_header_names_stays_here(
    service: Service, app: Any, host: str, key: str
) -> None:
    # F-B9
    url = f"http://{host}/x?a=1&{key}={TOKEN}&b=2"
    headers = {"Referer": url, "X-Original-URI": f"/x?{key}={TOKEN}", "X-Forwarded-Uri": url}
    headers["X-Daytona-Preview-Token"] = TOKEN
    found = headers_of(service.http.get(f"/proxy/{app.port}/x", headers=headers).json())
    assert TOKEN not in str(found)
    assert found["x-original-uri"] == "/x"
    assert found["referer"].endswith("?a=1&b=2")


@pytest.mark.parametrize("mount", ["/proxy", "/x/absproxy"])
@pytest.mark.parametrize("of", ["token", "2280", "app", "another"])
def test_no_token_of_any_kind_is_passed_on_as_authorization(
    service: Service, app: Any, mount: str, of: str
) -> None:
    # F-B9: the Ruby SDK sends both headers; one of all ports would open the service itself.
    def preview(port: int | str) -> str:
        url = f"/api/sandbox/box/ports/{port}/preview-url"
        return str(service.http.get(url).json()["token"])

    ports = {"2280": 2280, "app": app.port, "another": 3999}
    bearer = TOKEN if of == "token" else preview(ports[of])
    shown = {"X-Daytona-Preview-Token": preview(app.port), "Authorization": f"bearer  {bearer}"}
    alone = {"Authorization": f"Bearer {bearer}"}
    with service.client(None) as client:
        for headers in (shown, alone) if of != "another" else (shown,):
            answer = client.get(f"{mount}/{app.port}/x", headers=headers)
            assert answer.status_code == 200
            assert bearer not in answer.text
        shown["Authorization"] = "Bearer preview_of-its-own"
        answer = client.get(f"{mount}/{app.port}/x", headers=shown)
        assert headers_of(answer.json())["authorization"] == "Bearer preview_of-its-own"


def test_without_a_token_authorization_is_the_applications(
    make_service: Callable[..., Service], app: Any
) -> None:
    service = make_service(settings='[auth]\nmode = "none"', token=None)
    answer = service.http.get(f"/proxy/{app.port}/x", headers={"Authorization": "Basic eA=="})
    assert headers_of(answer.json())["authorization"] == "Basic eA=="


# Bodies


def random_pieces(total: int) -> Iterator[bytes]:
    piece = os.urandom(MIB)
    for _ in range(total // MIB):
        yield piece


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 10 * MIB])
def test_a_request_body_arrives_whole(service: Service, app: Any, size: int, chunked: bool) -> None:
    data = os.urandom(size)
    content = (data[at : at + 100_000] for at in range(0, size, 100_000)) if chunked else data
    answer = service.http.post(f"/proxy/{app.port}/x", content=content).json()
    assert (answer["size"], answer["sha256"]) == (size, hashlib.sha256(data).hexdigest())
    framing = "transfer-encoding" if chunked else "content-length"
    assert framing in headers_of(answer)
    # The connection is at the start of the next request.
    assert service.http.get("/port").status_code == 200


def test_a_body_after_expect_100_arrives_whole(service: Service, app: Any) -> None:
    for size in (10, 200_000):
        answer = service.http.post(
            f"/proxy/{app.port}/x", content=b"x" * size, headers={"Expect": "100-continue"}
        )
        assert answer.json()["size"] == size


def test_both_bodies_flow_at_once(service: Service, app: Any) -> None:
    with connect(service) as sock:
        send_head(sock, f"POST /proxy/{app.port}/duplex", "Transfer-Encoding: chunked")
        for word in (b"one", b"two", b"three"):
            sock.sendall(b"%x\r\n%b\r\n" % (len(word), word))
            read_until(sock, word)
        sock.sendall(b"0\r\n\r\n")
        read_until(sock, b"0\r\n\r\n")


@pytest.mark.parametrize(("how", "size"), [("", 128), ("&chunked=1", 96), ("&close=1", 96)])
def test_a_download_is_streamed_in_bounded_memory(
    service: Service, app: Any, how: str, size: int
) -> None:
    service.http.get(f"/proxy/{app.port}/x")
    memory = Memory(service)
    total = 0
    with service.http.stream("GET", f"/proxy/{app.port}/big?size={size * MIB}{how}") as answer:
        for data in answer.iter_raw():
            total += len(data)
    assert total == size * MIB
    assert memory.growth() < 24 * MIB


def test_an_upload_is_streamed_in_bounded_memory(service: Service, app: Any) -> None:
    service.http.get(f"/proxy/{app.port}/x")
    memory = Memory(service)
    headers = {"Content-Length": str(128 * MIB)}
    answer = service.http.post(
        f"/proxy/{app.port}/x", content=random_pieces(128 * MIB), headers=headers
    )
    assert answer.json()["size"] == 128 * MIB
    assert memory.growth() < 24 * MIB


def test_a_slow_reader_stops_the_application(service: Service, app: Any) -> None:
    with connect(service) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        send_head(sock, f"GET /proxy/{app.port}/big?size={1024 * MIB}")
        read_until(sock, b"\r\n\r\n")
        memory = Memory(service)
        for _ in range(20):
            assert sock.recv(4096)
        assert memory.growth() < 24 * MIB


def test_events_come_at_once(service: Service, app: Any) -> None:
    with service.http.stream("GET", f"/proxy/{app.port}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        pieces = answer.iter_raw()
        assert next(pieces) == b"data: one\n\n"
        app.go.set()
        assert next(pieces) == b"data: two\n\n"
    assert app.left.acquire(timeout=60), "the application learns that the client has left"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_refusal_comes_before_the_upload_is_done(
    service: Service, app: Any, chunked: bool
) -> None:
    content = random_pieces(8 * MIB)
    headers = {} if chunked else {"Content-Length": str(8 * MIB)}
    answer = service.http.post(f"/proxy/{app.port}/refuse-upload", content=content, headers=headers)
    assert (answer.status_code, answer.content) == (413, b"too much")


@pytest.mark.parametrize("how", ["", "?chunked=1"])
def test_an_answer_that_breaks_off_is_not_completed(service: Service, app: Any, how: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        service.http.get(f"/proxy/{app.port}/cut{how}")
    assert "Traceback" not in service.log()


# Leaving


def test_a_client_that_leaves_before_the_answer_is_noticed(service: Service, app: Any) -> None:
    for head in ((), ("Content-Length: 100000",)):
        with connect(service) as sock:
            send_head(sock, f"POST /proxy/{app.port}/silent", *head)
            service.wait_for(lambda: app.requests, "the request")
        assert app.left.acquire(timeout=60)
        app.requests.clear()


def test_a_client_that_leaves_during_the_answer_is_noticed(service: Service, app: Any) -> None:
    with connect(service) as sock:
        send_head(sock, f"GET /proxy/{app.port}/events")
        read_until(sock, b"one")
    app.go.set()
    assert app.left.acquire(timeout=60)


def test_half_an_upload_does_not_pass_for_a_whole(service: Service, app: Any) -> None:
    with connect(service) as sock:
        send_head(sock, f"PUT /proxy/{app.port}/x", "Content-Length: 1000000")
        sock.sendall(b"x" * 500_000)
        service.wait_for(lambda: app.requests, "the request")
    assert app.left.acquire(timeout=60)


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"3\r\nabcd\r\n", b"10000000000000000\r\n"])
def test_a_malformed_body_is_the_clients_fault(service: Service, app: Any, chunks: bytes) -> None:
    with connect(service) as sock:
        send_head(sock, f"PUT /proxy/{app.port}/x", "Transfer-Encoding: chunked")
        service.wait_for(lambda: app.requests, "the request")
        sock.sendall(chunks)
        assert b"HTTP/1.1 400 " in read_until(sock, b"}")


def test_leaving_leaves_nothing_behind(service: Service, app: Any) -> None:
    # AC-45
    service.http.get(f"/proxy/{app.port}/x")
    before = descriptors(service)
    for _ in range(100):
        with connect(service) as sock:
            send_head(sock, f"GET /proxy/{app.port}/silent")
    for _ in range(100):
        assert app.left.acquire(timeout=60)
    service.wait_for(lambda: descriptors(service) <= before + 16, "the descriptors")
    assert service.http.get(f"/proxy/{app.port}/x").status_code == 200


def test_a_stream_does_not_hold_up_the_end(make_service: Callable[..., Service], app: Any) -> None:
    # AC-47
    service = make_service(settings="[server]\nshutdown_timeout = 4")
    with service.http.stream("GET", f"/proxy/{app.port}/events") as answer:
        pieces = answer.iter_raw()
        next(pieces)
        app.go.set()
        next(pieces)
        service.process.terminate()
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)
    assert service.process.wait(60) == 0
    assert app.left.acquire(timeout=60)


# Many, and others


def test_an_application_on_ipv6_alone_is_reached(service: Service, app6: Any) -> None:
    answer = service.http.get(f"/proxy/{app6.port}/x").json()
    assert headers_of(answer)["host"] == f"localhost:{app6.port}"


def test_an_old_client_gets_what_it_understands(service: Service, app: Any) -> None:
    with connect(service) as sock:
        request = f"GET /proxy/{app.port}/big?size=65536&chunked=1 HTTP/1.0\r\n"
        sock.sendall(f"{request}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert len(body) == 65536


def test_many_at_once(service: Service, app: Any) -> None:
    def ask(number: int) -> bool:
        answer = service.http.post(f"/proxy/{app.port}/{number}", content=b"x" * number * 1000)
        told = answer.json()
        return bool(told["size"] == number * 1000 and told["target"] == f"/{number}")

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(ask, range(200)))


def test_an_application_with_one_thread_is_not_held(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve_two() -> None:
            for _ in range(2):
                with listener.accept()[0] as sock:
                    sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    assert sock.recv(65536) == b"", "the proxy hangs up"

        thread = threading.Thread(target=serve_two)
        thread.start()
        for _ in range(2):
            assert service.http.get(f"/proxy/{port}/").content == b"ok"
        thread.join()
