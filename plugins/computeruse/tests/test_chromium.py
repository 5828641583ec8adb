"""Chromium, driven by its accessibility tree and by keys; its window's title shows the result."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from .conftest import session_bus

PAGE = """<!doctype html><meta charset="utf-8"><title>empty</title>
<input aria-label="field" oninput="document.title = encodeURIComponent(value) || 'nothing'">
<button onclick="document.title = 'pressed'">Press me</button>"""


class Browser:
    """Open a window with a page on the desktop."""

    def __init__(self, desk: Any, directory: Path) -> None:
        self.desk = desk
        page = directory / "page.html"
        page.write_text(PAGE)
        self.program = desk.run(
            *("chromium", "--no-sandbox", "--no-first-run", "--disable-gpu"),
            *("--disable-background-networking", "--force-renderer-accessibility"),
            *("--user-data-dir=" + str(directory / "profile"), page.as_uri()),
            env={"DBUS_SESSION_BUS_ADDRESS": session_bus(desk)},
        )
        self.wait_for_title("empty")
        desk.wait_for(lambda: self.find(name="Press me"), "the page on the bus")

    def find(self, **wanted: Any) -> Any:
        body = {"scope": "focused", **wanted}
        response = self.desk.service.http.post("/computeruse/a11y/find", json=body)
        return response.json().get("matches")

    def wait_for_text(self, text: str) -> None:
        self.wait_for_title(quote(text, safe="!~*'()"))

    def wait_for_title(self, title: str) -> None:
        titles: list[str] = []

        def there() -> bool:
            titles[:] = [each["title"] for each in self.desk.get("display/windows")["windows"]]
            return f"{title} - Chromium" in titles

        try:
            self.desk.wait_for(there, f"the title {title!r}")
        except AssertionError:
            pytest.fail(f"the title {title!r} did not come; there are {titles}")


@pytest.fixture(scope="module")
def browser(shared_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed (Debian: chromium)")
    yield Browser(shared_desk, tmp_path_factory.mktemp("browser"))
    shared_desk.end_programs()


@pytest.mark.parametrize(
    "text", ["Hello, World! ~|{}", "naïve Ωμέγα Привет €5 — „quoted“", "日本語 한글 中文 😀🎉 שלום"]
)
def test_ac_80_text_of_any_script_arrives_exactly(browser: Browser, text: str) -> None:
    [field] = browser.find(name="field", states=["editable"])
    box = field["bounds"]
    middle = {"x": box["x"] + box["width"] // 2, "y": box["y"] + box["height"] // 2}
    browser.desk.post("mouse/click", **middle)
    browser.desk.post("keyboard/hotkey", keys="ctrl+a")
    browser.desk.post("keyboard/type", text=text)
    browser.wait_for_text(text)


def test_a_field_that_takes_no_text_from_the_bus_is_typed_into(browser: Browser) -> None:
    [field] = browser.find(name="field", states=["editable"])
    [button] = browser.find(name="Press me", role="button")
    browser.desk.post("a11y/node/focus", id=button["id"])
    for text in ("Grüße, 日本", "another"):
        browser.desk.post("a11y/node/value", id=field["id"], value=text)
        browser.wait_for_text(text)
    for wrong in ("a\nb", "a\tb"):
        error = browser.desk.post("a11y/node/value", status=400, id=field["id"], value=wrong)
        assert error["code"] == "A11Y_ACTION_NOT_SUPPORTED"
    browser.desk.post("a11y/node/value", id=field["id"], value="")
    browser.wait_for_title("nothing")


def test_a_button_is_pressed(browser: Browser) -> None:
    [button] = browser.find(name="Press me", role="button")
    browser.desk.post("a11y/node/invoke", id=button["id"], action="press")
    browser.wait_for_title("pressed")


def test_the_whole_tree_can_be_read(browser: Browser) -> None:
    tree = browser.desk.get("a11y/tree", scope="all")
    assert not tree["truncated"]
    names, level = set(), [tree["root"]]
    for node in level:
        names.add(node["name"])
        level += node.get("children", [])
    assert {"field", "Press me"} <= names
