"""Signing in to the page in a real browser: by the printed URL, by the form, and over reloads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.testing import Service

INSIDE = "document.getElementById('nav').hidden === false"
ASKED = "document.getElementById('login').hidden === false"
KEPT = "document.getElementById('keep').checked"
REASON = "document.getElementById('login-error').textContent"


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


def reload(browser: Any) -> None:
    """Load the page again, and wait until it is another document."""
    browser.evaluate("window.before = true")
    browser.call("Page.reload")
    browser.wait_for("!window.before && document.readyState === 'complete'")


def press_keep(browser: Any) -> None:
    """Press the box by its key: it is below figures that come and go."""
    # What isn't shown yet takes no focus.
    focus = "document.getElementById('keep').focus()"
    browser.wait_for(f"({focus}, document.activeElement.id === 'keep')")
    browser.press(" ", 32, {"text": " ", "code": "Space"})


def test_the_token_is_kept_over_reloads_only_if_that_is_wished(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    service = make_service(settings='[server]\npath_prefix = "/box"\n')
    url = f"{service.url}/box/"
    browser.open("about:blank")
    browser.call("Page.navigate", url=f"{url}#token={service.token}")
    browser.wait_for(f"{INSIDE} && !{KEPT}")
    reload(browser)
    browser.wait_for(ASKED)
    browser.evaluate(f"location.hash = '#token={service.token}'")
    browser.wait_for(INSIDE)
    press_keep(browser)
    browser.show("jobs")
    browser.wait_for("!document.getElementById('job-form').hidden")
    reload(browser)
    browser.wait_for(f"{INSIDE} && {KEPT} && !document.getElementById('jobs').hidden")
    # No cookie, which other ports of this host would get, and nothing that outlives the tab.
    assert browser.evaluate("document.cookie + localStorage.length") == "0"
    assert str(service.token) not in browser.evaluate("location.href")
    browser.show("status")
    press_keep(browser)
    reload(browser)
    browser.wait_for(ASKED)
    assert browser.evaluate("sessionStorage.length") == 0
    assert browser.complaints() == []


def test_a_kept_token_is_forgotten_when_asked_to_or_when_it_is_void(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    service = make_service()
    token = str(service.token)
    for forget in ("click", "replace while shown", "replace while away"):
        browser.open(f"{service.url}/")
        browser.wait_for(ASKED)
        browser.click("#token-keep")
        browser.click("#token")
        browser.type(token)
        browser.enter()
        browser.wait_for(f"{INSIDE} && {KEPT}")
        if forget == "click":
            browser.wait_for("document.getElementById('state').textContent === 'ready'")
            browser.click("#lock")
            browser.wait_for(f"{ASKED} && {REASON} === ''")
        else:
            if forget == "replace while away":
                browser.call("Page.navigate", url="about:blank")
                browser.wait_for("location.href === 'about:blank'")
            token = f"after-{forget}".replace(" ", "-")
            assert service.http.post("/init", json={"token": token}).status_code == 200
            service.http.headers["Authorization"] = f"Bearer {token}"
            if forget == "replace while away":
                browser.call("Page.navigate", url=f"{service.url}/")
            browser.wait_for(f"{ASKED} && {REASON} === 'The token is no longer valid.'")
        assert browser.evaluate("sessionStorage.length") == 0
