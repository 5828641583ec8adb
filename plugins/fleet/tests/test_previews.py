"""Preview URLs: ports of a sandbox, each at a port or a host name of the control plane."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websocket

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

BOX_TOKEN = "the-token-of-the-sandbox"
HEADER = "X-Daytona-Preview-Token"
QUERY = "DAYTONA_SANDBOX_AUTH_KEY"

MakeFleet = Callable[[str], Any]


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    """A client without a credential, which keeps cookies."""
    with httpx.Client(timeout=DEADLINE) as client:
        yield client


def refused(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), DEADLINE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_has_a_url_without_a_path(fleet: Any, app: Any, browser: httpx.Client) -> None:
    urls = fleet.preview(app.port)
    parts = urlsplit(urls["url"])
    assert parts.path == "" and parts.port not in (fleet.plane.port, fleet.box.port, app.port)
    response = browser.get(urls["url"] + "/a%2Fb?x=1", headers={HEADER: urls["token"]})
    told = response.json()
    assert told["target"] == "/a%2Fb?x=1"
    headers = dict(told["headers"])
    assert headers["Host"] == f"localhost:{app.port}"
    assert headers["X-Forwarded-Host"] == parts.netloc
    assert headers["X-Forwarded-Proto"] == "http"
    assert "X-Forwarded-Prefix" not in headers
    text = json.dumps(told)
    assert urls["token"] not in text and BOX_TOKEN not in text and "Hidden" not in text
    assert "preview_" not in text
    # The same one while it is open.
    assert fleet.preview(app.port) == urls


def test_redirects_and_cookies_are_the_applications(
    fleet: Any, app: Any, browser: httpx.Client
) -> None:
    urls = fleet.preview(app.port)
    response = browser.get(urls["url"] + "/redirect", headers={HEADER: urls["token"]})
    assert response.headers["Location"] == "/login?next=/a"
    assert response.headers["Set-Cookie"] == "sid=1; Path=/"


def test_its_own_pages_are_its_origin(fleet: Any, app: Any, browser: httpx.Client) -> None:
    urls = fleet.preview(app.port)
    headers = {
        HEADER: urls["token"],
        "Origin": urls["url"],
        "Referer": urls["url"] + "/page?x=1",
    }
    told = dict(browser.post(urls["url"] + "/", headers=headers).json()["headers"])
    assert told["Origin"] == f"http://localhost:{app.port}"
    assert told["Referer"] == f"http://localhost:{app.port}/page?x=1"


def test_nobody_gets_in_without_a_token(fleet: Any, app: Any, browser: httpx.Client) -> None:
    urls = fleet.preview(app.port)
    other = fleet.preview(app.port + 1 if app.port < 65535 else 1)
    for headers in ({}, {HEADER: other["token"]}, {HEADER: "x"}, {"Authorization": "Bearer x"}):
        response = browser.get(urls["url"], headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")


def test_the_callers_own_token_is_good(fleet: Any, app: Any, browser: httpx.Client) -> None:
    url = fleet.preview(app.port)["url"]
    told = browser.get(url, headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert TOKEN not in json.dumps(told)


def test_an_applications_authorization_passes(fleet: Any, app: Any, browser: httpx.Client) -> None:
    urls = fleet.preview(app.port)
    headers = {HEADER: urls["token"], "Authorization": "Bearer of-the-application"}
    told = browser.get(urls["url"], headers=headers).json()
    assert ["Authorization", "Bearer of-the-application"] in told["headers"]


def test_the_token_in_the_query_leaves_a_cookie(
    fleet: Any, app: Any, browser: httpx.Client
) -> None:
    urls = fleet.preview(app.port)
    told = browser.get(urls["url"] + f"/?{QUERY}={urls['token']}&a=1").json()
    assert told["target"] == "/?a=1"
    response = browser.get(urls["url"] + "/next")
    assert response.json()["target"] == "/next"
    assert "Cookie" not in dict(response.json()["headers"])
    # Another port gets it, too, as browsers send it there; it opens nothing and is not passed on.
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = fleet.preview(other.getsockname()[1])["url"]
        assert browser.get(url).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_a_page_of_elsewhere_has_no_use_of_the_cookie(
    fleet: Any, app: Any, browser: httpx.Client, headers: dict[str, str]
) -> None:
    urls = fleet.preview(app.port)
    assert browser.get(urls["url"] + f"/?{QUERY}={urls['token']}").status_code == 200
    assert browser.post(urls["url"] + "/", headers=headers).status_code == 401


def test_a_public_sandbox_shows_its_applications_and_not_its_api(
    fleet: Any, app: Any, browser: httpx.Client
) -> None:
    fleet.add("open", public=True)
    assert browser.get(fleet.preview(app.port, "open")["url"]).status_code == 200
    api = fleet.preview(2280, "open")["url"]
    assert browser.get(f"{api}/work-dir").status_code == 401
    fleet.add("open", public=False)
    assert browser.get(fleet.preview(app.port, "open")["url"]).status_code == 401


def test_port_2280_is_the_sandboxes_own_api(fleet: Any, browser: httpx.Client) -> None:
    urls = fleet.preview(2280)
    headers = {HEADER: urls["token"]}
    response = browser.get(urls["url"] + "/work-dir", headers=headers)
    assert response.json()["dir"] == str(fleet.box.work_dir)
    created = browser.post(urls["url"] + "/process/pty", headers=headers, json={"id": "ruby"})
    assert created.status_code == 201, created.text
    # As the Ruby SDK does: scheme, host and port of the URL, its own path, and the token.
    address = urlsplit(urls["url"])
    terminal = websocket.create_connection(
        f"ws://{address.netloc}/process/pty/ruby/connect",
        header=[f"{HEADER}: {urls['token']}"],
        timeout=DEADLINE,
    )
    terminal.send_binary(b"echo $((6*7))x\r")
    seen = b""
    while b"42x" not in seen:
        data = terminal.recv()
        seen += data if isinstance(data, bytes) else data.encode()
    terminal.close()
    terminal.shutdown()
    browser.delete(urls["url"] + "/process/pty/ruby", headers=headers)


def test_a_websocket_of_an_application(fleet: Any, browser: httpx.Client) -> None:
    # The application is the sandbox's service itself, which wants its own token.
    urls = fleet.preview(fleet.box.port)
    address = urlsplit(urls["url"])
    with pytest.raises(websocket.WebSocketBadStatusException) as denied:
        websocket.create_connection(
            f"ws://{address.netloc}/api/socket.io/?EIO=4&transport=websocket", timeout=DEADLINE
        )
    assert denied.value.status_code == 401
    events = websocket.create_connection(
        f"ws://{address.netloc}/api/socket.io/?EIO=4&transport=websocket",
        header=[f"{HEADER}: {urls['token']}"],
        timeout=DEADLINE,
    )
    assert str(events.recv()).startswith("0{")
    events.send("40" + json.dumps({"token": BOX_TOKEN}))
    assert str(events.recv()).startswith("40{")
    events.close()
    events.shutdown()


def test_a_port_of_the_control_plane_is_not_a_sandboxes(
    fleet: Any, app: Any, browser: httpx.Client
) -> None:
    shown = urlsplit(fleet.preview(app.port)["url"]).port
    for port in (fleet.plane.port, shown):
        for end in ("preview-url", "signed-preview-url"):
            response = fleet.plane.http.get(f"/api/sandbox/box/ports/{port}/{end}")
            assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")
            assert "control plane" in response.json()["message"]
        for way in ("proxy", "x/absproxy"):
            response = fleet.plane.http.get(f"/toolbox/box/{way}/{port}/")
            assert response.status_code == 403, response.text
            assert "control plane" in response.json()["message"]


def test_a_preview_that_would_lead_to_itself_is_refused(fleet: Any, browser: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    fleet.add("round", public=True)
    url = fleet.preview(port, "round")["url"]
    number = urlsplit(url).port
    again = fleet.plane.http.get(f"/api/sandbox/round/ports/{number}/preview-url")
    assert again.status_code == 403
    assert browser.get(url).status_code == 502


def test_another_sandboxes_service_is_not_this_ones(
    fleet: Any, app: Any, browser: httpx.Client
) -> None:
    """The port is another's only after the preview of it was made."""
    urls = fleet.preview(app.port)
    assert browser.get(urls["url"], headers={HEADER: urls["token"]}).status_code == 200
    fleet.add("other", port=app.port)
    # Any event, after which the control plane looks at where the services are.
    fleet.add("gone")
    assert fleet.plane.http.delete("/api/sandbox/gone").status_code == 200
    response = browser.get(urls["url"], headers={HEADER: urls["token"]})
    assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")
    assert "another sandbox's service" in response.json()["message"]
    assert fleet.plane.http.get(f"/toolbox/box/proxy/{app.port}/").status_code == 403
    # Those that have a network of their own mean a port of theirs.
    fleet.add("apart", own_network=True)
    urls = fleet.preview(app.port, "apart")
    assert browser.get(urls["url"], headers={HEADER: urls["token"]}).status_code == 200
    del fleet.records["other"]
    fleet.add("gone")
    assert fleet.plane.http.delete("/api/sandbox/gone").status_code == 200


def test_a_signed_url_needs_nothing_else(fleet: Any, app: Any, browser: httpx.Client) -> None:
    signed = fleet.signed(app.port)
    assert (signed["sandboxId"], signed["port"]) == ("box", app.port)
    assert signed["token"] in signed["url"]
    told = browser.get(signed["url"] + "/a%2Fb?x=1").json()
    assert told["target"] == "/a%2Fb?x=1"
    assert signed["token"] not in json.dumps(told)
    assert browser.get(signed["url"]).json()["target"] == "/"
    # Some clients keep scheme, host and port only; then the port is enough, on loopback.
    parts = urlsplit(signed["url"])
    told = browser.get(f"{parts.scheme}://{parts.netloc}/y").json()
    assert told["target"] == "/y"


def test_a_signed_url_is_void_before_its_time(fleet: Any, app: Any, browser: httpx.Client) -> None:
    signed = fleet.signed(app.port)
    path = f"/api/sandbox/box/ports/{app.port}/signed-preview-url/{signed['token']}/expire"
    wrong = path.replace(f"ports/{app.port}", "ports/1")
    assert fleet.plane.http.post(wrong).status_code == 404
    assert browser.get(signed["url"]).status_code == 200
    assert fleet.plane.http.post(path).status_code == 200
    fleet.plane.wait_for(lambda: refused(signed["url"]), "the end of the port")
    assert fleet.plane.http.post(path).status_code == 404
    assert browser.get(f"{fleet.preview(app.port)['url']}/{signed['token']}/").status_code == 401


def test_a_signed_url_expires(fleet: Any, app: Any, browser: httpx.Client) -> None:
    signed = fleet.signed(app.port, seconds=1)
    fleet.plane.wait_for(lambda: refused(signed["url"]), "the end of the port")
    shared = fleet.preview(app.port)["url"]
    assert browser.get(f"{shared}/{signed['token']}/").status_code == 401


def test_the_api_is_not_open_to_whoever_finds_a_port(fleet: Any, browser: httpx.Client) -> None:
    signed = fleet.signed(2280)
    parts = urlsplit(signed["url"])
    assert browser.get(f"{signed['url']}/work-dir").status_code == 200
    assert browser.get(f"{parts.scheme}://{parts.netloc}/work-dir").status_code == 401
    assert "Set-Cookie" not in browser.get(f"{signed['url']}/work-dir").headers


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "604801"])
def test_the_time_is_checked(fleet: Any, seconds: str) -> None:
    path = f"/api/sandbox/box/ports/3000/signed-preview-url?expiresInSeconds={seconds}"
    assert fleet.plane.http.get(path).status_code == 400


@pytest.mark.parametrize("end", ["preview-url", "signed-preview-url"])
@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_the_port_is_checked(fleet: Any, port: str, end: str) -> None:
    assert fleet.plane.http.get(f"/api/sandbox/box/ports/{port}/{end}").status_code == 400


def test_a_deleted_sandbox_has_no_ports_left(fleet: Any, app: Any, browser: httpx.Client) -> None:
    fleet.add("gone")
    urls = fleet.preview(app.port, "gone")
    assert browser.get(urls["url"], headers={HEADER: urls["token"]}).status_code == 200
    assert fleet.plane.http.delete("/api/sandbox/gone").status_code == 200
    fleet.plane.wait_for(lambda: refused(urls["url"]), "the end of the port")
    # The connection that was kept alive leads nowhere.
    response = browser.get(urls["url"], headers={HEADER: urls["token"]})
    assert response.status_code == 401


def test_many_at_once(fleet: Any) -> None:
    def look(port: int) -> str:
        with fleet.plane.client(TOKEN) as client:
            url: str = client.get(f"/api/sandbox/box/ports/{port}/preview-url").json()["url"]
        return url

    with ThreadPoolExecutor(8) as pool:
        urls = list(pool.map(look, [*range(3000, 3040), *range(3000, 3040)]))
    assert urls[:40] == urls[40:] and len(set(urls)) == 40


def test_the_port_is_the_same_after_a_restart(make_fleet: MakeFleet, app: Any) -> None:
    fleet = make_fleet("")
    before = fleet.preview(app.port)
    port = str(fleet.plane.port)
    fleet.plane.stop()
    fleet.plane = fleet.start("--port", port)
    assert fleet.preview(app.port) == before


def test_ports_are_of_the_range_and_an_error_if_all_are_taken(make_fleet: MakeFleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fleet = make_fleet(f'preview_ports = "{port}-{port}"\n')
        response = fleet.plane.http.get("/api/sandbox/box/ports/3000/preview-url")
        assert response.status_code == 503
        assert "preview_ports" in response.json()["message"]
    assert fleet.preview(3000)["url"] == f"http://127.0.0.1:{port}"


def test_hosts_in_place_of_ports(make_fleet: MakeFleet, app: Any, browser: httpx.Client) -> None:
    fleet = make_fleet('preview_host = "https://{port}-{sandbox}.preview.example"\n')
    urls = fleet.preview(app.port)
    assert urls["url"] == f"https://{app.port}-box.preview.example"
    # Wildcard DNS and TLS are the operator's: here only the header has the name.
    host = f"{app.port}-box.preview.example"
    headers = {"Host": host, HEADER: urls["token"]}
    told = browser.get(fleet.plane.url + "/x", headers=headers).json()
    assert told["target"] == "/x"
    assert dict(told["headers"])["X-Forwarded-Host"] == host
    assert browser.get(fleet.plane.url, headers={"Host": host}).status_code == 401
    signed = fleet.signed(app.port)
    host = urlsplit(signed["url"]).netloc
    assert host == f"{app.port}-{signed['token']}.preview.example"
    assert browser.get(fleet.plane.url + "/y", headers={"Host": host}).json()["target"] == "/y"
    # A name can name any port, also of what is not the sandbox's.
    fleet.add("open", public=True)
    foreign = {"Host": f"{fleet.plane.port}-open.preview.example"}
    assert browser.get(fleet.plane.url, headers=foreign).status_code == 403
    other = host.replace(str(app.port), "1", 1)
    assert browser.get(fleet.plane.url, headers={"Host": other}).status_code == 401
