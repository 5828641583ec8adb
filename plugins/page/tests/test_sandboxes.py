"""The page's sandboxes in a real browser, with real ones: made, entered, stopped and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from toolbox.testing import Service

SCREEN = "document.querySelector('.xterm-rows').innerText"
STATE = "document.getElementById('terminal-state').textContent"
FOCUSED = "document.activeElement"
ERROR = "document.getElementById('sandboxes-error').textContent"
DIALOG = "document.getElementById('sandbox-delete')"

TAB, ENTER, ESCAPE = 9, 13, 27


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A control plane below a prefix, whose sandboxes end with it."""
    data = tmp_path_factory.mktemp("data")
    settings = (
        '[server]\npath_prefix = "/fleet"\n[fleet]\nbackend = "local"\n'
        f'[fleet.local]\ndata = "{data}"\non_stop = "stop"\n[metrics]\nenabled = true\n'
    )
    running = Service(tmp_path_factory.mktemp("fleet"), settings=settings)
    yield running
    running.stop()


@pytest.fixture
def page(browser: Any, fleet: Service) -> Any:
    """The browser, logged in and at the sandboxes."""
    browser.resize(1280, 800)
    browser.log_in(f"{fleet.url}/fleet/", str(fleet.token))
    browser.wait_for("!document.getElementById('sandboxes-link').hidden")
    browser.show("sandboxes")
    # When the snapshots have come, the button is in its place.
    browser.wait_for("!document.getElementById('sandbox-snapshot-part').hidden")
    return browser


def complaints(page: Any) -> list[str]:
    """Errors and warnings, except for the response of a backend that has no snapshots."""
    return [text for text in page.complaints() if "501" not in text]


def row(name: str) -> str:
    return f"#sandbox-rows tr[data-name={json.dumps(name)}]"


def wait_for_state(page: Any, name: str, state: str) -> None:
    page.wait_for(f"document.querySelector({json.dumps(row(name))}).dataset.state === '{state}'")


def button(name: str, text: str) -> str:
    return (
        f"Array.from(document.querySelectorAll({json.dumps(row(name) + ' .actions > *')}))"
        f".find(each => each.textContent === '{text}')"
    )


def press_button(page: Any, name: str, text: str) -> None:
    page.click_at(button(name, text))


def create(page: Any, name: str) -> None:
    """Create a sandbox as a person does, and wait until it has started."""
    page.click("#sandbox-name")
    page.type(name)
    page.click("#sandbox-create")
    wait_for_state(page, name, "started")


def delete(page: Any, name: str) -> None:
    press_button(page, name, "Delete")
    page.wait_for(f"{DIALOG}.open")
    assert page.evaluate("document.getElementById('sandbox-delete-name').textContent") == name
    page.click("#sandbox-delete .danger")
    page.wait_for(f"!document.querySelector({json.dumps(row(name))})")


def test_a_sandbox_from_its_creation_to_its_end(page: Any, fleet: Service) -> None:
    create(page, "first")
    found = fleet.http.get("/api/sandbox/first").json()
    text = page.evaluate(f"document.querySelector({json.dumps(row('first'))}).innerText")
    assert found["id"] in text
    assert f"{found['cpu']} CPU, {found['memory']} GiB memory, {found['disk']} GiB disk" in text
    assert page.evaluate("document.getElementById('sandbox-name').value") == ""
    press_button(page, "first", "Stop")
    wait_for_state(page, "first", "stopped")
    assert fleet.http.get("/api/sandbox/first").json()["state"] == "stopped"
    press_button(page, "first", "Start")
    wait_for_state(page, "first", "started")
    delete(page, "first")
    fleet.wait_for(lambda: fleet.http.get("/api/sandbox/first").status_code == 404, "its end")
    assert complaints(page) == []


def test_nothing_is_deleted_by_mistake(page: Any, fleet: Service) -> None:
    create(page, "kept")
    for leave in (lambda: page.press("Escape", ESCAPE, {}), page.enter):
        press_button(page, "kept", "Delete")
        page.wait_for(f"{DIALOG}.open")
        # The dialog begins with what does no harm.
        assert page.evaluate(f"{FOCUSED}.textContent") == "Cancel"
        leave()
        page.wait_for(f"!{DIALOG}.open")
        assert page.evaluate(f"{FOCUSED}.textContent") == "Delete"
    assert fleet.http.get("/api/sandbox/kept").json()["state"] == "started"
    delete(page, "kept")


def test_what_others_do_is_seen_at_once(page: Any, fleet: Service) -> None:
    labels = {"team": "blue", "<b>": "<img src=x onerror=alert(1)>"}
    made = fleet.http.post("/api/sandbox", json={"name": "theirs", "labels": labels}).json()
    wait_for_state(page, "theirs", "started")
    chips = f"Array.from(document.querySelectorAll('{row('theirs')} .chip'), e => e.textContent)"
    assert {f"{name}={labels[name]}" for name in labels} <= set(page.evaluate(chips))
    assert fleet.http.post(f"/api/sandbox/{made['id']}/stop").status_code == 200
    wait_for_state(page, "theirs", "stopped")
    assert fleet.http.delete(f"/api/sandbox/{made['id']}").status_code == 200
    page.wait_for(f"!document.querySelector({json.dumps(row('theirs'))})")
    assert complaints(page) == []


def test_an_error_is_told(page: Any, fleet: Service) -> None:
    create(page, "taken")
    page.click("#sandbox-name")
    page.type("taken")
    page.enter()
    message = fleet.http.post("/api/sandbox", json={"name": "taken"}).json()["message"]
    page.wait_for(f"{ERROR}.toLowerCase() === {json.dumps(message.lower() + '.')}")
    # The name is selected, so that another one replaces it.
    page.type("another")
    page.enter()
    wait_for_state(page, "another", "started")
    assert page.evaluate(ERROR) == ""
    for name in ("taken", "another"):
        delete(page, name)


def test_a_terminal_in_a_sandbox(page: Any, fleet: Service) -> None:
    wanted = {"name": "mine", "env": {"WHOSE": "the sandbox's"}}
    assert fleet.http.post("/api/sandbox", json=wanted).status_code == 200
    wait_for_state(page, "mine", "started")
    press_button(page, "mine", "Terminal")
    page.wait_for(f"{STATE} === 'connected'")
    assert page.evaluate("document.getElementById('terminal-sandbox').textContent") == "mine"
    page.type("echo this is $WHOSE")
    page.enter()
    page.wait_for(f"/^this is the sandbox's$/m.test({SCREEN})")
    # The service's own terminals are others.
    page.show("terminal")
    page.wait_for("document.getElementById('terminal-sandbox').hidden")
    page.wait_for(f"{STATE} === 'connected' && !{SCREEN}.includes('this is')")
    page.type("echo no ${WHOSE-}thing")
    page.enter()
    page.wait_for(f"/^no thing$/m.test({SCREEN})")
    # Back in the sandbox, its terminal is still there.
    page.show("sandboxes")
    page.wait_for("!document.getElementById('sandboxes').hidden")
    press_button(page, "mine", "Terminal")
    page.wait_for(f"/^this is the sandbox's$/m.test({SCREEN})")
    assert complaints(page) == []
    page.show("sandboxes")
    page.wait_for("!document.getElementById('sandboxes').hidden")
    delete(page, "mine")


def test_a_click_is_not_lost_to_news_of_the_sandbox(page: Any, fleet: Service) -> None:
    wanted = {"name": "busy", "labels": {"step": "1"}}
    made = fleet.http.post("/api/sandbox", json=wanted).json()
    wait_for_state(page, "busy", "started")
    x, y = page.hover_at(button("busy", "Terminal"))
    where = {"x": x, "y": y, "button": "left", "clickCount": 1}
    page.call("Input.dispatchMouseEvent", type="mousePressed", **where)
    labels = {"labels": {"step": "2"}}
    assert fleet.http.put(f"/api/sandbox/{made['id']}/labels", json=labels).status_code == 200
    # The page reads the list again when a service that was lost is back.
    page.evaluate("document.dispatchEvent(new Event('returned'))")
    page.wait_for(f"document.querySelector('{row('busy')} .chip').textContent === 'step=2'")
    page.call("Input.dispatchMouseEvent", type="mouseReleased", **where)
    page.wait_for("!document.getElementById('terminal').hidden")
    page.show("sandboxes")
    page.wait_for("!document.getElementById('sandboxes').hidden")
    delete(page, "busy")


def test_the_keyboard_is_enough(page: Any, fleet: Service) -> None:
    page.click("#sandbox-name")
    page.type("keys")
    page.enter()
    wait_for_state(page, "keys", "started")
    page.evaluate(f"{FOCUSED}.id")
    label = f"{FOCUSED}.getAttribute('aria-label')"
    page.wait_for(f"{FOCUSED}.tagName !== 'BODY'")
    for expected in ("Terminal of keys", "Stop keys"):
        while page.evaluate(label) != expected:
            page.press("Tab", TAB, {})
    page.enter()
    wait_for_state(page, "keys", "stopped")
    # The button is gone, and the focus is still in its row.
    while page.evaluate(label) != "Delete keys":
        assert page.evaluate(f"document.querySelector('{row('keys')}').contains({FOCUSED})")
        page.press("Tab", TAB, {})
    page.enter()
    page.wait_for(f"{DIALOG}.open")
    page.press("Tab", TAB, {})
    assert page.evaluate(f"{FOCUSED}.textContent") == "Delete"
    page.enter()
    page.wait_for(f"!document.querySelector({json.dumps(row('keys'))})")
    page.wait_for(f"{FOCUSED}.id === 'sandbox-name'")


def test_on_a_phone_each_sandbox_is_a_block(page: Any) -> None:
    create(page, "small")
    try:
        for width in (400, 360):
            page.resize(width, 800)
            page.wait_for(f"innerWidth === {width}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            for each in (row("small"), "#sandbox-form", "nav", "#lock", "#sandboxes-link"):
                box = f"document.querySelector({json.dumps(each)}).getBoundingClientRect()"
                assert page.evaluate(f"{box}.right <= innerWidth && {box}.left >= 0"), each
            buttons = f"Array.from(document.querySelectorAll('{row('small')} .actions > *'))"
            assert page.evaluate(
                f"{buttons}.every(each => each.getBoundingClientRect().right <= innerWidth)"
            )
    finally:
        page.resize(1280, 800)
    delete(page, "small")


def test_a_service_that_comes_back_is_followed_again(
    browser: Any, make_service: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("again")
    settings = f'[fleet]\nbackend = "local"\n[fleet.local]\ndata = "{data}"\non_stop = "stop"\n'
    first = make_service(settings=settings)
    port = first.port
    browser.log_in(f"{first.url}/", str(first.token))
    browser.wait_for("!document.getElementById('sandboxes-link').hidden")
    browser.show("sandboxes")
    browser.wait_for("!document.getElementById('sandboxes-none').hidden")
    first.stop()
    second = make_service("--port", str(port), settings=settings)
    assert second.http.post("/api/sandbox", json={"name": "after"}).status_code == 200
    wait_for_state(browser, "after", "started")


def test_a_service_that_is_the_only_sandbox_lists_none(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    service = make_service(settings='[fleet]\nbackend = "single"\n')
    browser.log_in(f"{service.url}/#sandboxes", str(service.token))
    browser.wait_for("!document.getElementById('status').hidden")
    assert browser.evaluate("document.getElementById('sandboxes-link').hidden") is True
    assert browser.evaluate("document.getElementById('sandboxes').hidden") is True
