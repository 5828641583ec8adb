"""The page's jobs in a real browser: started, followed, signalled and ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

OUTPUT = "document.getElementById('job-output').innerText"
STATE = "document.getElementById('job-state').textContent"
ERROR = "document.getElementById('job-error').textContent"
LIST_ERROR = "document.getElementById('jobs-error').textContent"
ROWS = "document.querySelectorAll('#job-rows tr')"
DIALOG = "document.getElementById('question')"

TAB, ESCAPE = 9, 27


@pytest.fixture
def page(browser: Any, box: Service) -> Any:
    """The browser, logged in and at the jobs."""
    return enter(browser, f"{box.url}/box/")


def enter(browser: Any, url: str, *token: str) -> Any:
    browser.resize(1280, 800)
    browser.log_in(url, *token)
    browser.wait_for("!document.getElementById('jobs-link').hidden")
    browser.show("jobs")
    browser.wait_for("!document.getElementById('jobs').hidden")
    return browser


def start(page: Any, command: str) -> str:
    """Start a job as a person does; return its id."""
    page.click("#job-new")
    page.type(command)
    page.enter()
    page.wait_for("!document.getElementById('job').hidden")
    return str(page.evaluate("location.hash.split('/')[1]"))


def until(path: Path) -> str:
    """Return a command that waits for a file."""
    return f"until [ -e {path} ]; do sleep 0.02; done"


def blocks(page: Any, stream: str) -> list[str]:
    found = f"document.querySelectorAll('#job-output [data-stream={stream}]')"
    texts: list[str] = page.evaluate(f"Array.from({found}, each => each.textContent)")
    return texts


def test_a_job_from_its_start_to_its_end(page: Any, box: Service, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    job = start(
        page,
        f"echo one; {until(first)}; printf '<b>two</b>\\xff\\e[31m\\n' >&2; {until(second)};"
        " printf 'thr\\303'; printf '\\251e'; exit 3",
    )
    # The order of the streams is certain, since each waits for what is seen.
    page.wait_for(f"{OUTPUT}.includes('one')")
    assert page.evaluate(STATE) == "running"
    first.touch()
    page.wait_for(f"{OUTPUT}.includes('two')")
    second.touch()
    page.wait_for(f"{STATE} === 'exit code 3' && {OUTPUT}.includes('thr\u00e9e')")
    assert blocks(page, "stdout") == ["one\n", "thr\u00e9e"]
    assert blocks(page, "stderr") == ["<b>two</b>\ufffd\n"], "and nothing of it is markup"
    assert page.evaluate("document.getElementById('job-controls').disabled")
    # One of the streams can be looked at by itself.
    page.click("#job-stdout")
    page.wait_for(f"!{OUTPUT}.includes('one') && {OUTPUT}.includes('two')")
    page.click("#job-stdout")
    page.grant_clipboard()
    page.click("#job-copy")
    page.wait_for(f"await navigator.clipboard.readText() === '{job}'")
    downloads = tmp_path / "downloads"
    page.save_downloads(downloads)
    page.click("#job-save")
    saved = downloads / f"{job}.log"
    box.wait_for(saved.exists, "the output as a file")
    assert saved.read_bytes() == b"one\n<b>two</b>\xff\x1b[31m\nthr\xc3\xa9e"
    assert page.complaints() == []


def test_signals_and_the_end(page: Any, box: Service) -> None:
    start(page, "trap 'echo caught' USR1; echo be'gun'; while :; do sleep 0.02; done")
    page.wait_for(f"{OUTPUT}.includes('begun')")
    page.click("#job-copy")
    page.press("Tab", TAB, {})
    page.press("u", ord("U"), {"text": "u"})
    page.wait_for("document.getElementById('job-signal').value === 'USR1'")
    page.click("#job-send")
    page.wait_for(f"{OUTPUT}.includes('caught')")
    # Nothing ends by mistake: the question begins with what does no harm.
    page.click("#job-end")
    page.wait_for(f"{DIALOG}.open && document.activeElement.textContent === 'Cancel'")
    page.press("Escape", ESCAPE, {})
    page.wait_for(f"!{DIALOG}.open")
    assert page.evaluate(STATE) == "running"
    page.click("#job-end")
    page.wait_for(f"{DIALOG}.open")
    page.press("Tab", TAB, {})
    page.enter()
    page.wait_for(f"{STATE} === 'cancelled'")
    assert page.complaints() == []


def test_the_list_follows_what_others_run(page: Any, box: Service) -> None:
    command = "echo '<img src=x onerror=alert(1)>\n\u202e'; sleep 1000"
    job = box.http.post("/x/jobs", json={"command": command}).json()["id"]
    row = f"document.querySelector('#job-rows tr[data-key=\"{job}\"]')"
    page.wait_for(f"{row}.innerText.includes('running')")
    name = page.evaluate(f"{row}.querySelector('a').textContent")
    assert name == "echo '<img src=x onerror=alert(1)>\\n\\u{202E}'; sleep 1000"
    # The newest is the first; the rest is found by its command.
    assert page.evaluate(f"{ROWS}[0] === {row}")
    page.click("#jobs-filter")
    page.type("SLEEP 1000")
    page.wait_for(f"{ROWS}.length === 1")
    page.click(f'#job-rows tr[data-key="{job}"] button')
    page.wait_for(f"{DIALOG}.open")
    page.press("Tab", TAB, {})
    page.enter()
    page.wait_for(f"{row}.innerText.includes('cancelled')")
    page.click("#jobs-running")
    page.wait_for(f"!{row} && !document.getElementById('jobs-none').hidden")
    page.click("#jobs-running")
    assert page.complaints() == []


def test_what_cannot_be_started_is_told(page: Any, box: Service) -> None:
    page.click("#job-cwd")
    page.type("/nowhere")
    page.click("#job-new")
    page.type("true")
    page.enter()
    page.wait_for(f"{LIST_ERROR}.includes('/nowhere')")
    assert page.evaluate("document.getElementById('job-new').value") == "true", "to be corrected"
    page.evaluate("location.hash = '#jobs/no%2Fsuch'")
    page.wait_for(f"{ERROR}.includes('know this job')")


def test_a_flood_stays_usable(page: Any, box: Service) -> None:
    start(page, "seq 1000000; echo the e'nd' >&2")
    page.wait_for(f"{STATE} === 'exit code 0' && {OUTPUT}.includes('the end')")
    assert page.evaluate(f"{OUTPUT}.length") < 400_000, "only the last part is kept in the page"
    assert "1000000\n" in page.evaluate(OUTPUT)


def test_output_goes_on_with_the_new_token(
    browser: Any, make_service: Callable[..., Service], tmp_path: Path
) -> None:
    service = make_service()
    page = enter(browser, f"{service.url}/", str(service.token))
    go = tmp_path / "go"
    start(page, f"echo one; {until(go)}; echo two; sleep 1000")
    page.wait_for(f"{OUTPUT}.includes('one')")
    assert service.http.post("/init", json={"token": "another"}).status_code == 200
    page.wait_for("document.getElementById('login-error').textContent.includes('no longer')")
    go.touch()
    page.type("another")
    page.enter()
    page.wait_for(f"{OUTPUT}.trim() === 'one\\ntwo'")
    assert page.evaluate("document.getElementById('jobs').hidden") is False


def test_on_a_phone_each_job_is_a_block(page: Any, box: Service) -> None:
    start(page, "echo " + "long" * 60)
    page.wait_for(f"{STATE} === 'exit code 0' && {OUTPUT}.includes('long')")
    try:
        page.resize(400, 800)
        for each in ("#job", "#job-output", "#job-controls", "#job-copy"):
            box_ = f"document.querySelector({json.dumps(each)}).getBoundingClientRect()"
            page.wait_for(f"{box_}.right <= innerWidth && {box_}.left >= 0")
        page.click('#job a[href="#jobs"]')
        page.wait_for(f"{ROWS}.length > 0")
        for each in ("#job-form", "#job-rows tr", "#job-rows td:last-child"):
            box_ = f"document.querySelector({json.dumps(each)}).getBoundingClientRect()"
            assert page.evaluate(f"{box_}.right <= innerWidth && {box_}.left >= 0"), each
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        page.resize(1280, 800)
