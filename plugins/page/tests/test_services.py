"""The page's services in a real browser: created, followed, stopped, started and deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

LOG = "document.getElementById('service-log').innerText"
STATE = "document.getElementById('service-state').textContent"
FACTS = "document.getElementById('service-facts').innerText"
ERROR = "document.getElementById('services-error').textContent"
DIALOG = "document.getElementById('question')"

TAB, ESCAPE = 9, 27
SHIFT = 8


@pytest.fixture
def page(browser: Any, box: Service) -> Any:
    """The browser, logged in and at the services."""
    browser.resize(1280, 800)
    browser.log_in(f"{box.url}/box/")
    browser.wait_for("!document.getElementById('services-link').hidden")
    browser.show("services")
    browser.wait_for("!document.getElementById('services').hidden")
    return browser


def row(name: str) -> str:
    return f"document.querySelector('#service-rows tr[data-key={json.dumps(name)}]')"


def fill(page: Any, field: str, text: str) -> None:
    page.click(f"#service-{field}")
    page.type(text)


def confirm(page: Any) -> None:
    """Choose what the question is about: the second button."""
    page.wait_for(f"{DIALOG}.open && document.activeElement.textContent === 'Cancel'")
    page.press("Tab", TAB, {})
    page.enter()


def test_a_service_from_its_creation_to_its_end(page: Any, box: Service, tmp_path: Path) -> None:
    page.wait_for("!document.getElementById('services-none').hidden")
    page.click("#service-make summary")
    fill(page, "new", "web")
    fill(page, "program", "echo run $WHOSE; echo '<b>bad</b>' >&2; exec sleep 1000")
    fill(page, "envs", "WHOSE=of mine=yours")
    page.press("Tab", TAB, {"modifiers": SHIFT})
    for letter in "its":  # "Ready when: its output matches"
        page.press(letter, ord(letter.upper()), {"text": letter})
    page.press("Tab", TAB, {})
    page.type("run of")
    page.click("#service-form button")
    page.wait_for(f"{STATE} === 'ready'")
    page.wait_for(f"{LOG}.includes('run of mine=yours') && {LOG}.includes('<b>bad</b>')")
    page.wait_for(f"{FACTS}.includes('on-failure')")
    page.click("#service-stop")
    page.wait_for(f"{STATE} === 'stopped' && document.getElementById('service-stop').hidden")
    assert box.http.get("/x/services/web").json()["state"] == "stopped"
    page.click('#service a[href="#services"]')
    page.wait_for(f"{row('web')}.innerText.includes('stopped')")
    page.click_at(f"{row('web')}.querySelector('button')")
    page.wait_for(f"{row('web')}.innerText.includes('ready')")
    page.click_at(f"{row('web')}.querySelector('a')")
    page.wait_for(f"{LOG}.split('run of').length === 3")
    page.click("#service-restart")
    page.wait_for(f"{LOG}.split('run of').length === 4")
    page.click("#service-delete")
    page.wait_for(f"{DIALOG}.open")
    page.press("Escape", ESCAPE, {})
    page.wait_for(f"!{DIALOG}.open")
    page.click("#service-delete")
    confirm(page)
    page.wait_for(
        "location.hash === '#services' && !document.getElementById('services-none').hidden"
    )
    assert box.http.get("/x/services/web").status_code == 404
    assert not [text for text in page.complaints() if "404" not in text]


def test_what_others_do_is_seen(page: Any, box: Service) -> None:
    body = {"command": "echo '<img src=x>'; exit 3", "restart": "never"}
    assert box.http.put("/x/services/theirs", json=body).status_code == 201
    page.wait_for(f"{row('theirs')}.innerText.includes('failed')")
    page.click_at(f"{row('theirs')}.querySelector('a')")
    page.wait_for(f"{STATE} === 'failed' && {FACTS}.includes('exit code 3')")
    page.wait_for(f"{LOG}.includes('<img src=x>')")
    box.http.delete("/x/services/theirs")
    page.wait_for(f"{STATE} === 'gone'")


def test_mistakes_are_told(page: Any, box: Service) -> None:
    box.http.put("/x/services/taken", json={"command": "sleep 1000"})
    page.wait_for(f"{row('taken')}.innerText.includes('ready')")
    page.click("#service-make summary")
    fill(page, "new", "taken")
    fill(page, "program", "sleep 2000")
    fill(page, "envs", "nothing")
    page.click("#service-form button")
    page.wait_for(f"{ERROR}.includes('nothing')")
    page.click("#service-envs")
    page.press_with_control("a", "selectAll")
    page.type("=x")
    page.click("#service-form button")
    # One that is there is replaced only if that is wanted; and then the service explains.
    page.wait_for(f"{DIALOG}.open")
    page.press("Escape", ESCAPE, {})
    page.wait_for(f"!{DIALOG}.open")
    page.click("#service-form button")
    confirm(page)
    page.wait_for(f"{ERROR}.includes('variable')")
    assert box.http.get("/x/services/taken").json()["definition"]["command"] == "sleep 1000"
    box.http.delete("/x/services/taken")


def test_on_a_phone_each_service_is_a_block(page: Any, box: Service) -> None:
    name = "small" + "m" * 59
    box.http.put(f"/x/services/{name}", json={"command": "echo " + "long" * 60 + "; sleep 1000"})
    page.wait_for(f"{row(name)}.innerText.includes('ready')")
    try:
        for scheme in ("dark", "light"):
            page.prefer(scheme)
            page.resize(400, 800)
            for each in ("#service-rows tr", "#service-rows td:last-child", "#service-make"):
                box_ = f"document.querySelector({json.dumps(each)}).getBoundingClientRect()"
                page.wait_for(f"{box_}.right <= innerWidth && {box_}.left >= 0")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.wait_for_colors("#service-rows a", dark=scheme == "dark")
        page.click_at(f"{row(name)}.querySelector('a')")
        page.wait_for(f"{LOG}.includes('long')")
        for each in ("documentElement", "getElementById('services')"):
            assert page.evaluate(f"document.{each}.scrollWidth <= innerWidth"), each
    finally:
        page.prefer("")
        page.resize(1280, 800)
    box.http.delete(f"/x/services/{name}")
