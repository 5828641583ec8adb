"""The page in a real browser: log in, look, and read the reference."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.testing import Service


def test_nothing_is_shown_without_the_token(browser: Any, box: Any) -> None:
    browser.log_in(f"{box.url}/box/", "wrong")
    browser.wait_for("document.getElementById('login-error').textContent !== ''")
    assert browser.evaluate("document.getElementById('login-error').textContent") == (
        "Invalid token."
    )
    for part in ("nav", "status", "terminal", "reference"):
        assert browser.evaluate(f"document.getElementById('{part}').hidden") is True
    browser.evaluate("location.hash = 'terminal'")
    assert "bundled" not in browser.evaluate("document.body.innerText")
    assert browser.evaluate("document.getElementById('terminal').hidden") is True


def test_the_status(browser: Any, box: Any) -> None:
    browser.log_in(f"{box.url}/box")
    browser.wait_for("document.querySelectorAll('#cards .card').length > 0")
    assert browser.evaluate("location.pathname") == "/box/"
    text = browser.evaluate("document.body.innerText")
    for report in box.http.get("/plugins").json()["plugins"]:
        assert report["name"] in text
        assert report.get("backend", "") in text
    assert "ready" in text
    cards = "Array.from(document.querySelectorAll('#cards .card'))"
    shown = f"{cards}.find(e => e.innerText.startsWith('Requests')).innerText"
    first = browser.wait_for(shown)
    browser.wait_for(f"{shown} !== {json.dumps(first)}")
    assert browser.evaluate("document.getElementById('metrics-hint').hidden") is True
    # The token is in the memory of a module, and nowhere that outlives the page.
    kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    kept = browser.evaluate(f"{kept} + document.documentElement.outerHTML")
    assert box.token not in kept and "a/b" not in kept
    assert browser.evaluate("document.getElementById('token').value") == ""
    assert browser.complaints() == []
    browser.click("#lock")
    browser.wait_for("!document.getElementById('login').hidden")


def test_a_service_that_ends_is_told(browser: Any, make_service: Callable[..., Service]) -> None:
    service = make_service()
    browser.log_in(service.url + "/", str(service.token))
    browser.wait_for("document.getElementById('state').textContent === 'ready'")
    service.stop()
    browser.wait_for("document.getElementById('state').textContent === 'unreachable'")


def test_the_reference_shows_and_tries_every_operation(browser: Any, box: Any) -> None:
    browser.log_in(f"{box.url}/box/")
    browser.wait_for("!document.getElementById('nav').hidden")
    browser.show("reference")
    tags = "Array.from(document.querySelectorAll('.opblock-tag')).map(e => e.dataset.tag)"
    browser.wait_for(f"{tags}.length > 1")
    document = box.http.get("/openapi.json").json()
    assert browser.evaluate(tags) == [tag["name"] for tag in document["tags"]]
    browser.click("[data-tag=core]")
    browser.wait_for("!!document.querySelector('#operations-core-list_plugins')")
    browser.click("#operations-core-list_plugins .opblock-summary-control")
    for button in (".try-out__btn", ".execute"):
        path = f"#operations-core-list_plugins {button}"
        browser.wait_for(f"!!document.querySelector('{path}')")
        browser.click(path)
    answer = "#operations-core-list_plugins .live-responses-table .response .response-col_status"
    assert browser.wait_for(f"document.querySelector('{answer}')?.innerText").startswith("200")
    assert browser.complaints() == []


def test_without_token_and_terminal(browser: Any, make_service: Callable[..., Service]) -> None:
    disabled = '["process", "info", "port", "metrics", "computeruse"]'
    settings = f'[auth]\nmode = "none"\n[plugins]\ndisable = {disabled}\n'
    service = make_service(settings=settings, token=None)
    browser.open(service.url + "/#terminal")
    browser.wait_for("!document.getElementById('terminal-none').hidden")
    assert browser.evaluate("document.getElementById('login').hidden") is True
    assert browser.evaluate("document.getElementById('lock').hidden") is True
    browser.show("status")
    browser.wait_for("document.querySelectorAll('#cards .card').length === 1")
    assert browser.evaluate("document.getElementById('ports-part').hidden") is True
    assert browser.evaluate("document.getElementById('metrics-hint').hidden") is False
    # A bookmark of a part that isn't there.
    assert browser.evaluate("document.getElementById('desktop-link').hidden") is True
    browser.evaluate("location.hash = 'desktop'")
    absent = "document.getElementById('absent')"
    browser.wait_for(f"{absent}.innerText === 'Desktop: the group for this is not enabled.'")
    browser.show("status")
    browser.wait_for(f"{absent}.hidden")
    assert browser.console == [], "what isn't there is not asked for"


def test_the_tabs_work_after_the_reference_was_opened(browser: Any, box: Any) -> None:
    # F-D1: a part of Swagger UI took every click on a link to "#..."
    browser.log_in(f"{box.url}/box/")
    browser.wait_for("!document.getElementById('nav').hidden")
    browser.show("reference")
    browser.wait_for("document.querySelectorAll('.opblock-tag').length > 1")
    for part in ("status", "reference", "terminal", "status"):
        browser.show(part)
        browser.wait_for(f"!document.getElementById('{part}').hidden")
        assert browser.evaluate("location.hash") == f"#{part}"
        assert browser.evaluate(
            "document.querySelector('nav [aria-current]').hash"
        ) == f"#{part}"  # fmt: skip
    browser.evaluate("history.back()")
    browser.wait_for("!document.getElementById('terminal').hidden")
    assert browser.complaints() == []


def test_the_reference_is_dark_in_the_dark(browser: Any, box: Any) -> None:
    # F-D2
    try:
        browser.prefer("dark")
        browser.log_in(f"{box.url}/box/#reference")
        browser.wait_for("document.querySelectorAll('.opblock-tag').length > 1")
        for scheme, is_dark in (("dark", True), ("light", False), ("dark", True)):
            browser.prefer(scheme)
            for part in (".opblock-tag", "#viewer", "#reference .filter input"):
                browser.wait_for_colors(part, dark=is_dark)
    finally:
        browser.prefer("")
    assert browser.complaints() == []


def test_the_state_is_told_on_every_part(browser: Any, box: Any) -> None:
    # F-D2: only who had opened the status learned that the service is ready
    for part in ("terminal", "reference", "status", ""):
        browser.log_in(f"{box.url}/box/#{part}")
        browser.wait_for("document.getElementById('state').textContent === 'ready'")
        assert browser.evaluate("document.getElementById('state').hidden") is False


def test_a_group_that_does_nothing_is_not_shown_as_if_it_did(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    # F-D2: metrics and traces are off unless they are turned on
    service = make_service()
    idle = {
        report["name"]: report["idle"]
        for report in service.http.get("/plugins").json()["plugins"]
        if report.get("idle")
    }
    assert sorted(idle) == ["metrics", "opentelemetry"]
    browser.log_in(service.url + "/", str(service.token))
    browser.wait_for("document.querySelectorAll('#groups tr').length > 0")
    rows = dict(browser.evaluate(
        "Array.from(document.querySelectorAll('#groups tr'),"
        " row => [row.querySelector('th').innerText,"
        " [row.querySelector('.pill').innerText, row.querySelector('.pill').className,"
        " row.innerText]])"
    ))  # fmt: skip
    assert rows["page"][:2] == ["enabled", "pill good"]
    for name, reason in idle.items():
        assert rows[name][:2] == ["off", "pill off"]
        assert reason in rows[name][2]


def test_on_a_phone_the_page_is_left_to_what_it_shows(browser: Any, box: Any) -> None:
    # F-D2: the header took a third of the screen
    try:
        for width, height in ((400, 800), (360, 640), (640, 360)):
            browser.resize(width, height)
            browser.log_in(f"{box.url}/box/")
            browser.wait_for("document.getElementById('state').textContent === 'ready'")
            for part in ("status", "terminal", "reference"):
                browser.show(part)
                browser.wait_for(f"!document.getElementById('{part}').hidden")
                assert browser.evaluate("document.querySelector('header').offsetHeight") < 56
                for each in ("header", ".toolbar", "nav", "#lock", "#state"):
                    box_ = f"document.querySelector('{each}').getBoundingClientRect()"
                    assert browser.evaluate(f"{box_}.right <= innerWidth"), each
                    assert browser.evaluate(f"{box_}.height < 56"), each
                assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.resize(1280, 800)


def test_the_address_that_the_start_prints_opens_the_page(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    # F-D3
    service = make_service(
        settings='[server]\npath_prefix = "/box"\n[log]\naccess = true\n', token=None
    )
    service.wait_for(lambda: "export" in service.log(), "the hints")
    (token,) = re.findall(r"export TOOLBOX_TOKEN=(\S+)\n", service.log())
    (url,) = re.findall(r"Open in a browser: (\S+)\n", service.log())
    assert url == f"{service.url}/box/#token={token}"
    browser.call("Page.navigate", url="about:blank")
    browser.call("Page.navigate", url=url)
    browser.wait_for("!document.getElementById('nav').hidden")
    browser.show("terminal")
    browser.wait_for("!document.getElementById('terminal').hidden")
    kept = browser.evaluate(
        "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
        " + document.documentElement.outerHTML"
    )
    assert token not in kept
    history = browser.call("Page.getNavigationHistory")["entries"]
    assert not any(token in entry["url"] for entry in history)
    after = service.log().partition("export TOOLBOX_TOKEN=")[2].partition("\n")[2]
    assert "/page/page.js" in after and token not in after


def test_an_address_with_a_wrong_token_asks_for_the_right_one(browser: Any, box: Any) -> None:
    # F-D3
    for wrong in ("wrong", "%zz", ""):
        browser.call("Page.navigate", url="about:blank")
        browser.call("Page.navigate", url=f"{box.url}/box/#token={wrong}")
        browser.wait_for("document.getElementById('login-error').textContent.includes('URL')")
        assert browser.evaluate("location.hash") == ""
    browser.type(box.token)
    browser.enter()
    browser.wait_for("!document.getElementById('nav').hidden")
    # It may also be pasted where the page is open already.
    browser.evaluate("location.href = '#token=' + encodeURIComponent('not it')")
    browser.wait_for("!document.getElementById('login').hidden")
    browser.evaluate(f"location.href = '#token=' + encodeURIComponent({json.dumps(box.token)})")
    browser.wait_for("document.getElementById('login').hidden")
    assert browser.evaluate("location.hash") == ""


AUTHENTICATOR = """
from toolbox import hookimpl
from toolbox.auth import Authenticator, Credentials, Principal
from toolbox.errors import Unauthorized

class Certificates(Authenticator):
    schemes = {"certificate": {"type": "apiKey", "in": "header", "name": "X-Client-Cert"}}

    def authenticate(self, environ):
        return Principal("certificate") if environ.get("HTTP_X_CLIENT_CERT") == "good" else None

    def refusal(self):
        message = "open this page with a client certificate"
        return Unauthorized(message, {"WWW-Authenticate": "ClientCertificate"})

    def credentials_in(self, environ):
        return Credentials(headers=frozenset({"x-client-cert"}))

@hookimpl
def toolbox_authenticator():
    return Certificates()
"""


def test_the_page_tells_what_another_authenticator_wants(
    browser: Any, make_service: Callable[..., Service], tmp_path: Path
) -> None:
    (tmp_path / "certificates.py").write_text(AUTHENTICATOR)
    info = tmp_path / "certificates-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: certificates\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toolbox.plugins]\ncertificates = certificates\n")
    service = make_service(
        settings='[auth]\nmode = "plugin"\n', env={"PYTHONPATH": str(tmp_path)}, token=None
    )
    browser.open(service.url + "/")
    shown = "document.getElementById('login-instruction').innerText"
    browser.wait_for(f"{shown} === 'open this page with a client certificate'")
    assert browser.evaluate("document.getElementById('login-form').offsetHeight") == 0
    try:
        # A proxy in front of the service would add it to every request.
        browser.call("Network.setExtraHTTPHeaders", headers={"X-Client-Cert": "good"})
        browser.open(service.url + "/")
        browser.wait_for("!document.getElementById('nav').hidden")
        assert browser.evaluate("document.getElementById('login').hidden") is True
    finally:
        browser.call("Network.setExtraHTTPHeaders", headers={})


def test_a_token_that_holds_no_longer_is_asked_for_anew(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    # F-D2, F-D6: whoever looks at the status when the token is replaced
    service = make_service()
    browser.log_in(service.url + "/", str(service.token))
    browser.wait_for("!document.getElementById('nav').hidden")
    assert service.http.post("/init", json={"token": "another"}).status_code == 200
    browser.wait_for("document.getElementById('login-error').textContent.includes('no longer')")
    browser.type("another")
    browser.enter()
    browser.wait_for("document.getElementById('login').hidden")
    browser.wait_for("!document.getElementById('status').hidden")
