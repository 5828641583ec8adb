"""The page's files in a real browser: browsed, uploaded, downloaded, edited, and odd names."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

DIALOG = "document.getElementById('question')"
DIALOG_ERROR = "document.getElementById('question-error').textContent"
ERROR = "document.getElementById('files-error').textContent"
COUNT = "document.getElementById('files-count').textContent"
TEXT = "document.getElementById('editor-text')"
EDITOR_ERROR = "document.getElementById('editor-error').textContent"
UNSAVED = "document.getElementById('editor-state').textContent"
WHY = "document.getElementById('editor-why').textContent"
FOCUSED = "document.activeElement"
NAMES = "Array.from(document.querySelectorAll('#files-rows .name'), each => each.textContent)"

TAB, ESCAPE, DOWN, END, F2, DELETE = 9, 27, 40, 35, 113, 46


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


@pytest.fixture
def page(browser: Any, box: Service, folder: Path) -> Any:
    """The browser, logged in and at an empty folder."""
    browser.resize(1280, 800)
    browser.log_in(f"{box.url}/box/#files/{folder}")
    browser.wait_for(f"{COUNT} === '0 entries'")
    return browser


def link(name: str) -> str:
    """Return the link of an entry by its name as it is shown, as an expression."""
    return (
        "Array.from(document.querySelectorAll('#files-rows a'))"
        f".find(each => each.textContent === {json.dumps(name)})"
    )


def button(name: str, text: str) -> str:
    label = json.dumps(f"{text} {name}")
    return (
        "Array.from(document.querySelectorAll('#files-rows button, #transfers button'))"
        f".find(each => each.getAttribute('aria-label') === {label})"
    )


def press_button(page: Any, name: str, text: str) -> None:
    page.wait_for(f"!!{button(name, text)}")
    page.click_at(button(name, text))


def choose(page: Any, text: str) -> None:
    """Choose an answer of the question that is shown."""
    page.wait_for(f"{DIALOG}.open")
    buttons = f"Array.from({DIALOG}.querySelectorAll('button'))"
    page.click_at(f"{buttons}.find(each => each.textContent === '{text}')")


def wait_for_names(page: Any, *names: str) -> None:
    page.wait_for(
        "!document.getElementById('folder').hidden &&"
        f" JSON.stringify({NAMES}) === JSON.stringify({json.dumps(names)})"
    )


def open_file(page: Any, name: str) -> None:
    page.wait_for(f"!!{link(name)}")
    page.click_at(link(name))
    page.wait_for("!document.getElementById('editor').hidden")


def press(page: Any, key: str, code: int) -> None:
    page.press(key, code, {})


def test_folders_and_the_way_up(page: Any, folder: Path) -> None:
    page.click("#folder-new")
    page.wait_for(f"{DIALOG}.open")
    page.enter()
    page.wait_for(f"{DIALOG_ERROR} === 'The name is empty.'")
    page.type("inner <b>")
    page.enter()
    wait_for_names(page, "inner <b>")
    page.wait_for(f"{FOCUSED} === {link('inner <b>')}")
    # From here on by keys.
    page.enter()
    page.wait_for(f"{COUNT} === '0 entries'")
    (folder / "inner <b>" / ".secret").write_text("")
    page.wait_for(f"{COUNT} === '0 entries, 1 hidden'")
    page.click("#files-hidden")
    wait_for_names(page, ".secret")
    page.click("#files-hidden")
    wait_for_names(page)
    page.click("#files-up")
    wait_for_names(page, "inner <b>")
    page.evaluate("history.back()")
    page.wait_for(f"{COUNT} === '0 entries, 1 hidden'")
    page.evaluate("location.hash = '#files/' + encodeURIComponent('/no/such place')")
    page.wait_for(f"{ERROR} === 'File not found: /no/such place.'")
    assert not [text for text in page.complaints() if "404" not in text]


def test_changes_of_others_are_seen(page: Any, folder: Path) -> None:
    (folder / "theirs.txt").write_text("x")
    wait_for_names(page, "theirs.txt")
    (folder / "theirs.txt").rename(folder / "renamed.txt")
    wait_for_names(page, "renamed.txt")
    (folder / "renamed.txt").unlink()
    wait_for_names(page)
    assert not page.evaluate("document.getElementById('files-none').hidden")


ODD = {
    b"<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    b"caf\xe9": "caf\\xE9",
    b"new\nline": "new\\nline",
    "\u202egpj.exe".encode(): "\\u{202E}gpj.exe",
    "\udcff".encode("utf-8", "surrogateescape"): "\\xFF",
    "\ud800".encode("utf-8", "surrogatepass"): "\\xED\\xA0\\x80",
    b"%2e%2E#?&+": "%2e%2E#?&+",
    b" two  blanks ": " two  blanks ",
    "\U0001f600".encode(): "\U0001f600",
}
"""Names, and how they are shown."""


def test_odd_names_are_shown_and_used(
    page: Any, folder: Path, tmp_path: Path, box: Service
) -> None:
    for name in ODD:
        (folder / os.fsdecode(name)).write_bytes(b"content of " + name)
    page.wait_for(f"{COUNT} === '{len(ODD)} entries'")
    assert sorted(page.evaluate(NAMES)) == sorted(ODD.values())
    assert page.evaluate("document.querySelector('#files img')") is None
    for name in (b"caf\xe9", b"new\nline", b"%2e%2E#?&+"):
        shown = ODD[name]
        press_button(page, shown, "Rename")
        page.wait_for(f"{DIALOG}.open")
        page.press("End", END, {"modifiers": 2})
        page.type("!")
        page.enter()
        page.wait_for(f"!!{link(shown + '!')}")
        assert (folder / os.fsdecode(name + b"!")).exists()
    press_button(page, "\\xED\\xA0\\x80", "Delete")
    choose(page, "Delete")
    page.wait_for(f"{COUNT} === '{len(ODD) - 1} entries'")
    assert not (folder / os.fsdecode(b"\xed\xa0\x80")).exists()
    page.save_downloads(tmp_path / "saved")
    press_button(page, "\\xFF", "Download")
    saved = tmp_path / "saved" / "_xFF"
    box.wait_for(saved.exists, "the download")
    assert saved.read_bytes() == b"content of \xff"
    assert page.complaints() == []


def test_nothing_is_deleted_by_mistake(page: Any, folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "kept" / "file").write_text("x")
    (folder / "other").write_text("x")
    wait_for_names(page, "kept", "other")
    page.click_at(link("other"))
    page.wait_for("!document.getElementById('editor').hidden")
    page.evaluate("history.back()")
    wait_for_names(page, "kept", "other")
    press_button(page, "kept", "Delete")
    page.wait_for(f"{DIALOG}.open && {FOCUSED}.textContent === 'Cancel'")
    press(page, "Escape", ESCAPE)
    page.wait_for(f"!{DIALOG}.open")
    assert page.evaluate(f"{FOCUSED}.textContent") == "Delete"
    # By keys, from the first entry on.
    while not page.evaluate(f"{FOCUSED} === {link('kept')}"):
        page.press("Tab", TAB, {"modifiers": 8})
    press(page, "ArrowDown", DOWN)
    assert page.evaluate(f"{FOCUSED} === {link('other')}")
    press(page, "Delete", DELETE)
    page.wait_for(f"{DIALOG}.open")
    page.press("Tab", TAB, {})
    page.enter()
    wait_for_names(page, "kept")
    page.wait_for(f"{FOCUSED} === {link('kept')}")
    assert (folder / "kept" / "file").exists()
    press(page, "Delete", DELETE)
    choose(page, "Delete")
    wait_for_names(page)
    page.wait_for(f"{FOCUSED}.id === 'upload'")
    assert page.complaints() == []


def test_an_existing_name_is_not_overwritten_by_a_rename(page: Any, folder: Path) -> None:
    (folder / "one").write_text("1")
    (folder / "two").write_text("2")
    wait_for_names(page, "one", "two")
    press_button(page, "one", "Rename")
    page.wait_for(f"{DIALOG}.open")
    page.type("two")
    page.enter()
    page.wait_for(f"{ERROR} !== ''")
    assert (folder / "two").read_text() == "2" and (folder / "one").exists()


def test_text_is_edited_and_its_line_endings_stay(page: Any, folder: Path) -> None:
    file = folder / "text.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\nthree\r\n")
    open_file(page, "text.txt")
    page.wait_for(f"{TEXT}.value.includes('three')")
    page.click("#editor-text")
    page.press("Home", 36, {"modifiers": 2})
    page.press("End", END, {})
    page.type(" and \u00e4")
    page.wait_for(f"{UNSAVED} === 'not saved'")
    page.press_with_control("s")
    page.wait_for(f"{UNSAVED} === ''")
    assert file.read_bytes() == b"\xef\xbb\xbfone and \xc3\xa4\r\ntwo\nthree\r\n"
    page.enter()
    page.click("#editor-save")
    page.wait_for(f"{UNSAVED} === ''")
    assert file.read_bytes() == b"\xef\xbb\xbfone and \xc3\xa4\r\n\r\ntwo\nthree\r\n"
    assert page.complaints() == []


def test_a_change_of_someone_else_is_not_overwritten_unasked(page: Any, folder: Path) -> None:
    file = folder / "shared.txt"
    file.write_text("first\n")
    open_file(page, "shared.txt")
    page.wait_for(f"{TEXT}.value === 'first\\n'")

    def change(text: str) -> None:
        page.click("#editor-text")
        page.type(text)
        file.write_text("theirs\n")
        page.press_with_control("s")
        page.wait_for(f"{DIALOG}.open")
        assert file.read_text() == "theirs\n"

    change("mine ")
    choose(page, "Cancel")
    page.wait_for(f"!{DIALOG}.open && {UNSAVED} === 'not saved'")
    assert "mine" in page.evaluate(f"{TEXT}.value") and file.read_text() == "theirs\n"
    # What isn't saved is still there after a look elsewhere.
    page.show("jobs")
    page.wait_for("!document.getElementById('jobs').hidden")
    page.evaluate("history.back()")
    page.wait_for(f"{TEXT}.value.includes('mine') && {UNSAVED} === 'not saved'")
    page.click("#editor-save")
    choose(page, "Overwrite")
    page.wait_for(f"{UNSAVED} === ''")
    assert "mine" in file.read_text()
    change("again ")
    choose(page, "Reload")
    page.wait_for(f"{TEXT}.value === 'theirs\\n' && {UNSAVED} === ''")
    # One that was deleted is a conflict, too.
    page.click("#editor-text")
    page.type("!")
    file.unlink()
    page.press_with_control("s")
    choose(page, "Overwrite")
    page.wait_for(f"{UNSAVED} === ''")
    assert "!" in file.read_text()
    assert not [text for text in page.complaints() if "412" not in text]


def test_what_is_not_text_is_not_opened_as_text(page: Any, folder: Path) -> None:
    (folder / "binary").write_bytes(b"\x7fELF\0\1\2")
    (folder / "latin").write_bytes(b"caf\xe9\n")
    (folder / "large").write_bytes(b"x" * (2 * 1024 * 1024 + 1))
    wait_for_names(page, "binary", "large", "latin")
    for name, words in {
        "binary": "NUL bytes",
        "latin": "UTF-8",
        "large": "at most 2.0 MiB",
    }.items():
        open_file(page, name)
        page.wait_for(f"{WHY}.includes({json.dumps(words)})")
        assert page.evaluate(f"{TEXT}.hidden") and page.evaluate(f"{TEXT}.value") == ""
        page.click("#editor-close")
        wait_for_names(page, "binary", "large", "latin")
    assert page.complaints() == []


def test_a_new_file_is_written(page: Any, folder: Path) -> None:
    page.click("#file-new")
    page.wait_for(f"{DIALOG}.open")
    page.type("new.txt")
    page.enter()
    page.wait_for(f"!document.getElementById('editor').hidden && !{TEXT}.hidden")
    page.click("#editor-text")
    page.type("written")
    page.press_with_control("s")
    page.wait_for(f"{UNSAVED} === ''")
    assert (folder / "new.txt").read_text() == "written"


def wait_for_upload(page: Any, name: str) -> None:
    row = f"#transfers [data-name={json.dumps(name)}]"
    page.wait_for(f"document.querySelector({json.dumps(row)}).dataset.state === 'done'")


def test_uploads(page: Any, folder: Path, tmp_path: Path, box: Service) -> None:
    source = tmp_path / "source"
    (source / "tree" / "deep").mkdir(parents=True)
    (source / "tree" / "empty").mkdir()
    (source / "tree" / "deep" / "leaf").write_text("leaf")
    (source / "one.txt").write_text("one")
    large = source / "large.bin"
    large.write_bytes(os.urandom(1024) * 9000)
    (folder / "one.txt").write_text("was here")
    wait_for_names(page, "one.txt")
    page.choose("#upload", source / "one.txt", large)
    # What is there is replaced only if that is wanted.
    state = "document.querySelector('#transfers [data-name=\"one.txt\"]')"
    page.wait_for(f"{state}.innerText.includes('already')")
    assert (folder / "one.txt").read_text() == "was here"
    press_button(page, "one.txt", "Replace")
    wait_for_upload(page, "one.txt")
    wait_for_upload(page, "large.bin")
    wait_for_names(page, "large.bin", "one.txt")
    assert (folder / "one.txt").read_text() == "one"
    assert (folder / "large.bin").read_bytes() == large.read_bytes()
    page.drop("#folder", source / "tree", source / "one.txt")
    wait_for_names(page, "tree", "large.bin", "one.txt")
    wait_for_upload(page, "tree/deep/leaf")
    assert (folder / "tree" / "deep" / "leaf").read_text() == "leaf"
    page.wait_for("document.querySelectorAll('#transfers [data-state=failed]').length === 1")
    press_button(page, "one.txt", "Skip")
    page.wait_for("document.querySelectorAll('#transfers [data-state=failed]').length === 0")
    assert (folder / "tree" / "empty").is_dir()
    box.wait_for(lambda: not list(folder.rglob(".*")), "that no piece is left behind")
    assert not [text for text in page.complaints() if "412" not in text]


def test_downloads(page: Any, folder: Path, tmp_path: Path, box: Service) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_bytes(b"\0\1\2")
    content = os.urandom(1024) * 9000
    (folder / "some.bin").write_bytes(content)
    wait_for_names(page, "sub", "some.bin")
    saved = tmp_path / "saved"
    page.save_downloads(saved)
    press_button(page, "some.bin", "Download")
    box.wait_for((saved / "some.bin").exists, "the file")
    assert (saved / "some.bin").read_bytes() == content
    press_button(page, "sub", "Download")
    box.wait_for((saved / "sub.tar.gz").exists, "the folder")
    with tarfile.open(fileobj=io.BytesIO((saved / "sub.tar.gz").read_bytes())) as archive:
        assert [each.name for each in archive if each.isfile()] == ["file"]
    assert page.complaints() == []


def limit_network(page: Any, **limits: float) -> None:
    """Limit the browser's network; without limits, don't."""
    free = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", **{**free, **limits})


def test_an_upload_survives_a_broken_connection_and_can_be_canceled(
    page: Any, folder: Path, tmp_path: Path, box: Service
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(1024) * 8000)
    row = "document.querySelector('#transfers li')"
    moved = f"{row}.querySelector('progress').value"
    try:
        limit_network(page, uploadThroughput=2_000_000)
        page.choose("#upload", large)
        page.wait_for(f"{moved} > 0 && {moved} < 1")
        limit_network(page, offline=True)
        page.wait_for(f"{row}.innerText.includes('interrupted')")
        limit_network(page)
        page.wait_for(f"{row}.dataset.state === 'done'")
        assert (folder / "large.bin").read_bytes() == large.read_bytes()
        (folder / "large.bin").unlink()
        press_button(page, "large.bin", "Clear")
        limit_network(page, uploadThroughput=1_000_000)
        page.choose("#upload", large)
        page.wait_for(f"{moved} > 0 && {moved} < 1")
        press_button(page, "large.bin", "Cancel")
        page.wait_for("document.getElementById('transfers').hidden")
    finally:
        limit_network(page)
    box.wait_for(lambda: not list(folder.iterdir()), "that nothing is left of it")


def test_ten_thousand_entries_stay_usable(page: Any, folder: Path) -> None:
    for number in range(10_000):
        (folder / f"file-{number}").touch()
    page.click("#folder-refresh")
    page.wait_for(f"{COUNT} === '10000 entries'")
    assert page.evaluate("document.querySelectorAll('#files-rows tr').length") < 1000
    assert page.evaluate(f"{NAMES}.slice(0, 3)") == ["file-0", "file-1", "file-2"]
    # The last one is a key away, and any by its name.
    page.press("Tab", TAB, {})
    while not page.evaluate(f"{FOCUSED} === {link('file-0')}"):
        page.press("Tab", TAB, {})
    press(page, "End", END)
    page.wait_for(f"{FOCUSED}.textContent === 'file-9999'")
    page.click("#files-filter")
    page.type("e-1234")
    wait_for_names(page, "file-1234")
    press_button(page, "file-1234", "Delete")
    choose(page, "Delete")
    page.wait_for(f"{COUNT} === '0 entries'")
    page.click("#files-filter")
    page.press_with_control("a", "selectAll")
    page.type("-9")
    page.wait_for(f"{COUNT} === '1111 entries'")
    page.click('[data-order="size"]')
    page.click('[data-order="name"]')
    page.click('[data-order="name"]')
    page.wait_for(f"{NAMES}[0] === 'file-9999'")
    assert page.complaints() == []


def test_the_files_go_on_with_the_new_token(
    browser: Any, make_service: Callable[..., Service], folder: Path
) -> None:
    service = make_service()
    browser.resize(1280, 800)
    (folder / "text").write_text("before\n")
    browser.log_in(f"{service.url}/#files/{folder}/text", str(service.token))
    browser.wait_for(f"{TEXT}.value === 'before\\n'")
    browser.click("#editor-text")
    browser.type("kept ")
    assert service.http.post("/init", json={"token": "another"}).status_code == 200
    browser.press_with_control("s")
    browser.wait_for("document.getElementById('login-error').textContent.includes('no longer')")
    browser.type("another")
    browser.enter()
    browser.wait_for("document.getElementById('login').hidden")
    browser.wait_for(f"{TEXT}.value.includes('kept') && {UNSAVED} === 'not saved'")
    browser.click("#editor-save")
    browser.wait_for(f"{UNSAVED} === ''")
    assert "kept" in (folder / "text").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_each_scheme_and_on_a_phone(page: Any, folder: Path, scheme: str) -> None:
    (folder / ("long name " * 20)).write_text("x")
    (folder / ("w" * 200)).mkdir()
    page.wait_for(f"{COUNT} === '2 entries'")
    try:
        page.prefer(scheme)
        for width in (400, 360):
            page.resize(width, 800)
            for each in ("#files-rows tr", "#files-rows .actions button:last-child", "#upload"):
                box_ = f"document.querySelector({json.dumps(each)}).getBoundingClientRect()"
                page.wait_for(f"{box_}.right <= innerWidth && {box_}.left >= 0")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for part in ("#files-rows a", "#files-rows button", "#folder-new"):
            page.wait_for_colors(part, dark=scheme == "dark")
        page.click_at(link("long name " * 20))
        page.wait_for(f"{TEXT}.value === 'x'")
        page.wait_for_colors("#editor-text", dark=scheme == "dark")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        page.prefer("")
        page.resize(1280, 800)


def test_without_the_groups_there_are_no_views(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    service = make_service(settings='[plugins]\ndisable = ["process", "files"]\n')
    browser.log_in(f"{service.url}/#files", str(service.token))
    browser.wait_for("!document.getElementById('status').hidden")
    for view in ("files", "jobs", "services"):
        assert browser.evaluate(f"document.getElementById('{view}-link').hidden") is True
        assert browser.evaluate(f"document.getElementById('{view}').hidden") is True
