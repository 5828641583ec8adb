"""The page in a real browser: log in, look, and read the reference."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from typing import Any

from toolbox.testing import Service

HAS_METRICS = importlib.util.find_spec("toolbox_metrics") is not None


def test_nothing_is_shown_without_the_token(browser: Any, box: Any) -> None:
    browser.log_in(f"{box.url}/box/", "wrong")
    browser.wait_for("document.getElementById('login-error').textContent !== ''")
    assert browser.evaluate("document.getElementById('login-error').textContent") == (
        "That is not the token."
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
    if HAS_METRICS:
        before = "Array.from(document.querySelectorAll('#cards .card'))"
        shown = f"{before}.find(e => e.innerText.startsWith('Requests')).innerText"
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
    browser.evaluate("location.hash = 'reference'")
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
    settings = (
        '[auth]\nmode = "none"\n[plugins]\ndisable = ["process", "info", "port", "metrics"]\n'
    )
    service = make_service(settings=settings, token=None)
    browser.open(service.url + "/#terminal")
    browser.wait_for("!document.getElementById('terminal-none').hidden")
    assert browser.evaluate("document.getElementById('login').hidden") is True
    assert browser.evaluate("document.getElementById('lock').hidden") is True
    browser.evaluate("location.hash = 'status'")
    browser.wait_for("document.querySelectorAll('#cards .card').length === 1")
    assert browser.evaluate("document.getElementById('ports-part').hidden") is True
    assert browser.evaluate("document.getElementById('metrics-hint').hidden") is False
    assert browser.console == [], "what isn't there is not asked for"
