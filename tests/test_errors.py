from __future__ import annotations

import errno
import re
import socket
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from toolbox import errors
from toolbox.errors import ToolboxError
from toolbox.testing import Service


def check_envelope(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body["statusCode"] == status
    assert body["code"] == code
    assert body["source"] == "DAYTONA_DAEMON"
    assert body["method"] == response.request.method
    assert body["path"] == response.request.url.path
    assert body["message"]
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert response.headers["x-request-id"]
    return body


def test_unknown_path_is_404(toys: Service) -> None:
    told = check_envelope(toys.http.get("/nowhere"), 404, "NOT_FOUND")["message"]
    assert "/openapi.json" in told  # Where to look, rather than at one's spelling.


def test_wrong_method_is_404_and_names_the_right_ones(toys: Service) -> None:
    """The API knows no 405."""
    response = toys.http.delete("/greet")
    assert "DELETE" in check_envelope(response, 404, "NOT_FOUND")["message"]
    assert response.headers["allow"] == "POST"
    methods = toys.http.put("/healthz").headers["allow"].split(", ")
    assert methods == sorted(methods) == ["GET", "HEAD"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "empty"),
        (b"   ", "empty"),
        (b"{", "truncated"),
        (b"nonsense", "malformed"),
        (b'"text"', "object"),
        (b"[]", "object"),
        (b"{}", "name"),
        (b'{"name": 1}', "name"),
        (b'{"name": null}', "name"),
        (b'{"name": ""}', "name"),
        (b'{"name": "x", "times": 1.5}', "times"),
        (b'{"name": "x", "times": "1"}', "times"),
        (b'{"name": "\xff"}', ""),
        (b"[" * 100_000, ""),
    ],
)
def test_a_bad_body_is_400_with_the_place_and_not_the_value(
    toys: Service, body: bytes, problem: str
) -> None:
    answer = check_envelope(toys.http.post("/greet", content=body), 400, "INVALID_REQUEST_BODY")
    assert problem in answer["message"]


def test_a_wrong_content_type_and_extra_keys_are_fine(toys: Service) -> None:
    response = toys.http.post(
        "/greet?extra=1", content=b'{"name":"Ada","extra":[1]}', headers={"Content-Type": "x/y"}
    )
    assert (response.status_code, response.json()) == (201, {"text": "Good day Ada"})


def test_a_get_with_a_content_type_and_no_body_is_fine(toys: Service) -> None:
    # The async SDK sends this.
    headers = {"Content-Type": "application/json", "Content-Length": "0"}
    assert toys.http.get("/greet/Ada", headers=headers).json() == {"text": "Good day Ada"}


@pytest.mark.parametrize("query", ["", "?name=", "?name=x&times=many", "?name=x&times=1.5"])
def test_a_bad_query_is_400(toys: Service, query: str) -> None:
    check_envelope(toys.http.get(f"/greet-query{query}"), 400, "BAD_REQUEST")


def test_query_and_path_are_decoded(toys: Service) -> None:
    assert toys.http.get("/greet-query?name=a+b%20c/%C3%A9&times=2").json() == {
        "text": "Good day a b c/é, Good day a b c/é"
    }
    assert toys.http.get("/greet/a%20b%C3%A9").json() == {"text": "Good day a bé"}


def test_a_bad_number_in_the_path_is_400(toys: Service) -> None:
    check_envelope(toys.http.get("/faulty/errno/two"), 400, "BAD_REQUEST")


def test_a_bug_is_500_with_a_log_id_and_leaks_nothing(toys: Service) -> None:
    response = toys.http.get("/faulty/bug")
    answer = check_envelope(response, 500, "INTERNAL_SERVER_ERROR")
    assert "swordfish" not in response.text
    assert "ZeroDivision" not in response.text
    log_id = response.headers["x-request-id"]
    assert log_id in answer["message"]
    assert re.search(rf"/faulty/bug.*{log_id}(.|\n)*ZeroDivisionError", toys.log())


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOENT, 404, "NOT_FOUND"),
        (errno.EACCES, 403, "FORBIDDEN"),
        (errno.EROFS, 403, "FORBIDDEN"),
        (errno.EEXIST, 409, "CONFLICT"),
        (errno.ENAMETOOLONG, 400, "BAD_REQUEST"),
        (errno.ENOSPC, 507, "INSUFFICIENT_STORAGE"),
        (errno.EDQUOT, 507, "INSUFFICIENT_STORAGE"),
        (errno.EMFILE, 503, "SERVICE_UNAVAILABLE"),
        (errno.EIO, 500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_an_error_of_the_kernel_has_its_status(
    toys: Service, number: int, status: int, code: str
) -> None:
    check_envelope(toys.http.get(f"/faulty/errno/{number}"), status, code)


def test_a_body_over_the_limit_is_413_by_its_length_alone(toys: Service) -> None:
    check_envelope(toys.http.post("/greet", content=b" " * 10_000_000), 413, "CONTENT_TOO_LARGE")


def test_a_chunked_body_over_the_limit_is_413(toys: Service) -> None:
    chunks = (b" " * 100_000 for _ in range(100))
    check_envelope(toys.http.post("/greet", content=chunks), 413, "CONTENT_TOO_LARGE")


def test_an_upload_is_drained_before_it_is_refused(toys: Service) -> None:
    response = toys.http.post("/faulty/refuse", content=b"x" * 20_000_000)
    check_envelope(response, 409, "CONFLICT")


def test_a_stream_that_breaks_is_not_completed(toys: Service) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        toys.http.get("/faulty/stream")
    assert toys.http.get("/greet/still-there").status_code == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Header: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 400_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 300 + b"\r\n", 431),
    ],
)
def test_what_is_no_http_gets_the_envelope(toys: Service, request_: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", toys.port), 30) as sock:
        sock.sendall(request_)
        answer = b""
        while data := sock.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"Content-Type: application/json" in head
    assert b'"source":"DAYTONA_DAEMON"' in body


def test_a_request_id_is_kept_if_it_can_be(toys: Service) -> None:
    kept = toys.http.get("/greet/x", headers={"X-Request-Id": "mine-1"})
    assert kept.headers["x-request-id"] == "mine-1"
    replaced = toys.http.get("/greet/x", headers={"X-Request-Id": "x" * 1000})
    assert uuid.UUID(replaced.headers["x-request-id"])


def test_the_101_has_a_request_id_too(toy_service: Callable[..., Service]) -> None:
    service = toy_service("sockets")
    ws = service.websocket("/sockets/echo")
    assert uuid.UUID(ws.getheaders()["x-request-id"])
    ws.close()
    ws = service.websocket("/sockets/echo", header=["X-Request-Id: mine-2"])
    assert ws.getheaders()["x-request-id"] == "mine-2"
    ws.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/greet/x/", 301, "/greet/x"),
        ("GET", "/healthz/?a=b", 301, "/healthz?a=b"),
        ("POST", "/greet/", 307, "/greet"),
    ],
)
def test_the_other_slash_is_a_redirect(
    toys: Service, method: str, path: str, status: int, location: str
) -> None:
    response = toys.http.request(method, path)
    assert (response.status_code, response.headers["location"]) == (status, location)


@pytest.mark.parametrize("rest", ["", "a", "a/", "a/b", "/", "//a//", "a%0Ab", "a%2Fb", "%20"])
def test_the_rest_of_a_path_may_be_anything(toys: Service, rest: str) -> None:
    answer = toys.http.get("/faulty/rest/" + rest)
    assert answer.json() == {"rest": unquote(rest)}


def test_an_encoded_slash_parts_nothing(toys: Service) -> None:
    # F-C17: RFC 3986, 2.2
    for path in ("/faulty%2Frest/a", "/greet/a%2fb/c", "/faulty/refused/a%2Fb/"):
        assert toys.http.get(path).status_code in (301, 404)
    refused = toys.http.get("/faulty/refused/a%2Fb").json()
    assert (refused["message"], refused["path"]) == ("a/b is refused", "/faulty/refused/a/b")
    other = toys.http.get("/faulty/refused/a%2Fb/?c")
    assert other.headers["location"] == "/faulty/refused/a%2Fb?c"


def test_the_rest_of_a_path_begins_with_a_slash(toys: Service) -> None:
    answer = toys.http.get("/faulty/rest?a=b")
    assert (answer.status_code, answer.headers["location"]) == (301, "/faulty/rest/?a=b")


def test_a_path_that_takes_both_slashes_is_answered(toys: Service) -> None:
    assert toys.http.get("/greet-query/?name=x").status_code == 200


def all_errors(kind: type[ToolboxError]) -> list[type[ToolboxError]]:
    found = [kind, *(each for below in kind.__subclasses__() for each in all_errors(below))]
    return [each for each in found if each.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", all_errors(ToolboxError))
def test_every_error_is_in_the_drawing_of_the_tree(kind: type[ToolboxError]) -> None:
    assert re.search(rf"{kind.__name__} +{kind.status}  {kind.code}\n", errors.__doc__ or "")
