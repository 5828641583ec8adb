"""The page in a real browser: log in, look, and read the reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from toolbox.testing import Service

SIDEWAYS = """Array.from(document.querySelectorAll('.table'))
    .filter(table => table.scrollWidth > table.clientWidth).map(table => table.innerText)"""
"""The tables that have to be scrolled sideways."""


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
    assert "take metrics out of" in browser.evaluate(
        "document.getElementById('metrics-hint').textContent"
    )
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
        if part != "terminal":  # Its program may set another title.
            name = "API reference \u2014 " if part == "reference" else ""
            assert browser.evaluate("document.title") == f"{name}Sandbox Toolbox"
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
            browser.wait_for("document.querySelectorAll('#groups tr').length > 0")
            for part in ("status", "terminal", "jobs", "files", "services", "reference"):
                browser.show(part)
                browser.wait_for(f"!document.getElementById('{part}').hidden")
                assert browser.evaluate("document.querySelector('header').offsetHeight") < 56
                for each in ("header", ".toolbar", "nav", "#lock", "#state"):
                    box_ = f"document.querySelector('{each}').getBoundingClientRect()"
                    assert browser.evaluate(f"{box_}.right <= innerWidth"), each
                    assert browser.evaluate(f"{box_}.height < 56"), each
                assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert browser.evaluate(SIDEWAYS) == []
    finally:
        browser.resize(1280, 800)
