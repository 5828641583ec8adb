"""The page's terminal in a real browser."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.testing import Service

SCREEN = "document.querySelector('.xterm-rows').innerText"
STATE = "document.getElementById('terminal-state').textContent"

SHIFT = 8


class Line:
    """A TCP connection to a service that can be cut, as a bad network does."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._open: set[socket.socket] = set()
        self.down = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                if self.down:
                    client.close()
                    continue
                service = socket.create_connection(("127.0.0.1", self.target))
                self._open |= {client, service}
                for pair in ((client, service), (service, client)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Cut every connection, and let no new one through."""
        self.down = True
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            each.close()


def open_terminal(browser: Any, url: str, *token: str) -> None:
    browser.log_in(url, *token)
    browser.wait_for("!document.getElementById('nav').hidden")
    browser.show("terminal")
    browser.wait_for(f"{STATE} === 'connected'")


def _size(box: Service) -> tuple[int, int]:
    (pty,) = box.http.get("/process/pty").json()["sessions"]
    return pty["cols"], pty["rows"]


def test_a_terminal_is_typed_into_and_follows_the_window(browser: Any, box: Service) -> None:
    browser.resize(1280, 800)
    open_terminal(browser, f"{box.url}/box/")
    browser.type("echo hel'lo'")
    browser.enter()
    browser.wait_for(f"/^hello$/m.test({SCREEN})")
    wide = browser.evaluate("document.getElementById('terminal-size').textContent")
    assert wide
    browser.resize(700, 500)
    size = "document.getElementById('terminal-size').textContent"
    browser.wait_for(f"{size} !== {json.dumps(wide)}")
    columns, rows = re.findall(r"\d+", browser.evaluate(size))
    box.wait_for(lambda: _size(box) == (int(columns), int(rows)), "the new size")
    browser.type("clear; stty size")
    browser.enter()
    browser.wait_for(f"/^{rows} {columns}$/m.test({SCREEN})")
    # All of it is visible.
    assert browser.evaluate(
        "document.querySelector('.xterm-screen').getBoundingClientRect().right <= innerWidth"
    )
    browser.type("printf '\\033[38;2;1;2;3mcolo\\033[0m''ur'; exit")
    browser.enter()
    browser.wait_for(f"{STATE} === 'ended'")
    browser.wait_for(f"{SCREEN}.includes('exited with 0')")
    assert browser.evaluate(
        "Array.from(document.querySelectorAll('.xterm-rows span'))"
        ".find(e => e.textContent === 'colo').style.color"
    ) == "rgb(1, 2, 3)"  # fmt: skip
    assert browser.complaints() == [], "nor does the policy forbid what it needs"
    browser.resize(1280, 800)


def test_a_connection_that_breaks_is_taken_up_where_it_was(
    browser: Any, box: Service, tmp_path: Path
) -> None:
    line = Line(box.port)
    go = tmp_path / "go"
    try:
        open_terminal(browser, f"http://127.0.0.1:{line.port}/box/")
        browser.type(f"echo one; until [ -e {go} ]; do sleep 0.05; done; echo t'wo'; touch {go}.2")
        browser.enter()
        browser.wait_for(f"/^one$/m.test({SCREEN})")
        line.cut()
        browser.wait_for(f"{STATE} === 'reconnecting…'")
        go.touch()
        box.wait_for(Path(f"{go}.2").exists, "what is shown while nobody looks")
        line.down = False
        browser.wait_for(f"{STATE} === 'connected'")
        browser.wait_for(f"/^two$/m.test({SCREEN})")
        browser.type("echo th'ree'")
        browser.enter()
        browser.wait_for(f"/^three$/m.test({SCREEN})")
        text = browser.evaluate(SCREEN).replace("\xa0", " ").splitlines()
        for word in ("one", "two", "three"):
            assert text.count(word) == 1, "nothing is lost, and nothing is there twice"
    finally:
        line.close()


def test_a_page_that_comes_back_finds_its_terminal(browser: Any, box: Service) -> None:
    open_terminal(browser, f"{box.url}/box/")
    terminal = browser.evaluate("document.getElementById('terminals').value")
    browser.type("echo before'hand'")
    browser.enter()
    browser.wait_for(f"/^beforehand$/m.test({SCREEN})")
    open_terminal(browser, f"{box.url}/box/")
    assert browser.evaluate("document.getElementById('terminals').value") == terminal
    browser.wait_for(f"/^beforehand$/m.test({SCREEN})")
    browser.click("#terminal-new")
    chosen = "document.getElementById('terminals').value"
    browser.wait_for(f"{chosen} !== {json.dumps(terminal)} && {STATE} === 'connected'")
    assert "beforehand" not in browser.evaluate(SCREEN)
    browser.click("#terminal-end")
    browser.wait_for(f"{STATE} === 'ended'")
    for each in box.http.get("/process/pty").json()["sessions"]:
        box.http.delete(f"/process/pty/{each['id']}")


def test_a_flood_is_followed_to_its_end(browser: Any, box: Service) -> None:
    open_terminal(browser, f"{box.url}/box/")
    browser.type("seq 300000; echo do'ne'")
    browser.enter()
    browser.wait_for(f"/^done$/m.test({SCREEN})")
    assert "\n300000\n" in browser.evaluate(SCREEN).replace("\xa0", " ")
    assert browser.evaluate(STATE) == "connected"


WIDTHS = """
while read -r width text; do
  printf '\\r%s\\e[6n' "$text"
  IFS='[;' read -rs -d R _ _ column </dev/tty
  echo "$width $((column - 1)) $text"
done <<'END' 2>&1 | tee widths
1 a
2 日
2 👍
2 🎉
2 🥱
2 🫠
2 🪿
2 🇩🇪
2 👍🏽
2 👨‍👩‍👧
2 ❤️
1 ❤
4 👍🎉
END
"""


def test_characters_take_as_many_cells_as_they_are_wide(browser: Any, box: Service) -> None:
    # F-D2: emoji took one cell
    (box.work_dir / "widths.sh").write_text(WIDTHS.replace("printf", ">/dev/tty printf"))
    open_terminal(browser, f"{box.url}/box/")
    browser.type("bash widths.sh; exit")
    browser.enter()
    browser.wait_for(f"{STATE} === 'ended'")
    lines = [line.split(" ") for line in (box.work_dir / "widths").read_text().splitlines()]
    assert len(lines) == 13
    for wanted, column, text in lines:
        assert column == wanted, text


def test_control_v_pastes_and_control_c_copies_what_is_selected(browser: Any, box: Service) -> None:
    # F-D2
    browser.grant_clipboard()
    open_terminal(browser, f"{box.url}/box/")
    for shift in (False, True):
        browser.evaluate(f"navigator.clipboard.writeText(\"echo pas'ted'-{shift}\")")
        browser.press_with_control("v", "paste", shift=shift)
        browser.enter()
        browser.wait_for(f"/^pasted-{shift}$/m.test({SCREEN})")
    for shift in (False, True):
        browser.evaluate("navigator.clipboard.writeText('')")
        browser.double_click_at(text_at(f"pasted-{shift}"))
        browser.press_with_control("c", shift=shift)
        browser.wait_for(f"await navigator.clipboard.readText() === 'pasted-{shift}'")
    # Nothing is selected now: Ctrl+C interrupts.
    browser.press_with_control("c", shift=True)
    browser.click("#screen")
    browser.type("clear; echo be'gun'; sleep 1000; echo n'ot'")
    browser.enter()
    browser.wait_for(f"/^begun$/m.test({SCREEN})")
    browser.press_with_control("c")
    # The shell drops input that is typed before its prompt.
    browser.wait_for(f"/\\^C\\n.*# *$/.test({SCREEN}.trimEnd() + ' ')")
    browser.type("echo inter'rupted'")
    browser.enter()
    browser.wait_for(f"/^interrupted$/m.test({SCREEN})")
    assert "\nnot\n" not in browser.evaluate(SCREEN)
    assert browser.complaints() == []


def text_at(text: str) -> str:
    """Return the last occurrence of ``text`` on the screen, as an expression for a range."""
    return (
        "(() => { const range = document.createRange();"
        " const walker = document.createTreeWalker("
        "document.querySelector('.xterm-rows'), NodeFilter.SHOW_TEXT);"
        " for (let node; (node = walker.nextNode());) {"
        f" const at = node.data.indexOf({json.dumps(text)});"
        f" if (at >= 0) {{ range.setStart(node, at); range.setEnd(node, at + {len(text)}); }} }}"
        " return range })()"
    )


def test_a_program_sets_title_links_and_clipboard(browser: Any, box: Service) -> None:
    # F-D2: OSC 0, 8 and 52
    browser.grant_clipboard()
    browser.evaluate("navigator.clipboard?.writeText('before')")
    open_terminal(browser, f"{box.url}/box/")
    browser.type(r"printf '\e]0;My \303\274title\a'; sleep 1000")
    browser.enter()
    browser.wait_for("document.title === 'My \u00fctitle \u2014 Sandbox Toolbox'")
    browser.show("status")
    browser.wait_for("document.title === 'Sandbox Toolbox'")
    browser.show("terminal")
    browser.wait_for("document.title.startsWith('My')")
    browser.press_with_control("c")

    # A program may write it but never read it.
    browser.type(r"printf '\e]52;c;%s\a\e]52;c;?\a' $(printf 'caf\303\251' | base64)")
    browser.enter()
    browser.wait_for("await navigator.clipboard.readText() === 'caf\u00e9'")

    target = f"{box.url}/box/healthz"
    browser.type(rf"printf '\e]8;;{target}?marked\e\\mar''ked\e]8;;\e\\\n'; echo {target}?pl''ain")
    browser.enter()
    for word in ("marked", "plain"):
        shown = word if word == "marked" else f"{target}?{word}"
        browser.wait_for(f"{SCREEN}.split('\\n').includes({json.dumps(shown)})")
        browser.hover_at(text_at(shown))
        browser.wait_for(f"document.getElementById('screen').title === '{target}?{word}'")
        browser.click_at(text_at(shown))
        assert browser.wait_for_page(f"{target}?{word}")
    browser.type(r"printf '\e]8;;javascript:alert(1)\e\\evil\e]8;;\e\\\n'; : e'vil'")
    browser.enter()
    browser.wait_for(f"/^evil$/m.test({SCREEN})")
    browser.click_at(text_at("evil"))
    assert browser.complaints() == []


def test_over_plain_http_there_is_a_clipboard_too(browser: Any, box: Service) -> None:
    # F-D2: where the browser has no API for it, it is written after a key or a click
    browser.grant_clipboard()
    for number, wanted in enumerate(("word-0", "program")):
        open_terminal(browser, f"http://far.test:{box.port}/box/")
        assert browser.evaluate("navigator.clipboard === undefined")
        # Another word each time: the terminal is the same, and replays the first one.
        words = f"$(printf program | base64) wo'rd'-{number}"
        browser.type(rf"printf '\e]52;c;%s\a\n%s\n' {words}")
        browser.enter()
        browser.wait_for(f"/^word-{number}$/m.test({SCREEN})")
        if wanted == "program":
            browser.click("#screen")
        else:
            browser.double_click_at(text_at(wanted))
            browser.press_with_control("c")
        browser.open(f"{box.url}/box/")
        browser.wait_for(f"await navigator.clipboard.readText() === {json.dumps(wanted)}")
        browser.evaluate("navigator.clipboard.writeText('')")


def test_what_a_terminal_showed_long_ago_changes_no_clipboard(browser: Any, box: Service) -> None:
    # F-D2: its output is shown once more when the page comes back
    browser.grant_clipboard()
    open_terminal(browser, f"{box.url}/box/")
    browser.type(r"printf '\e]52;c;%s\a' $(printf old | base64); echo co'pied'")
    browser.enter()
    browser.wait_for(f"/^copied$/m.test({SCREEN})")
    browser.wait_for("await navigator.clipboard.readText() === 'old'")
    browser.evaluate("navigator.clipboard.writeText('new')")
    open_terminal(browser, f"{box.url}/box/")
    browser.wait_for(f"/^copied$/m.test({SCREEN})")
    assert browser.evaluate("navigator.clipboard.readText()") == "new"


def test_after_a_restart_the_terminal_tells_and_enter_opens_another(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    # F-D2
    service = make_service()
    line = Line(service.port)
    try:
        open_terminal(browser, f"http://127.0.0.1:{line.port}/", str(service.token))
        before = browser.evaluate("document.getElementById('terminals').value")
        line.cut()
        browser.wait_for(f"{STATE} === 'reconnecting…'")
        service.stop()
        again = make_service()
        line.target = again.port
        line.down = False
        browser.wait_for(f"{STATE} === 'ended'")
        told = f"[{before}: closed elsewhere, or the service was restarted"
        browser.wait_for(f"{SCREEN}.includes({json.dumps(told)})")
        browser.click("#screen")
        browser.enter()
        browser.wait_for(f"{STATE} === 'connected'")
        browser.type("echo an'other'")
        browser.enter()
        browser.wait_for(f"/^another$/m.test({SCREEN})")
        assert len(again.http.get("/process/pty").json()["sessions"]) == 1
        browser.type("exit")
        browser.enter()
        browser.wait_for(f"{STATE} === 'ended'")
        browser.wait_for(f"{SCREEN}.includes('Press Enter to open a new terminal')")
    finally:
        line.close()


def test_a_terminal_goes_on_with_the_new_token(
    browser: Any, make_service: Callable[..., Service]
) -> None:
    # F-D2, F-D6: the connection breaks after the token was replaced
    service = make_service()
    line = Line(service.port)
    try:
        open_terminal(browser, f"http://127.0.0.1:{line.port}/", str(service.token))
        browser.type("echo on'e'")
        browser.enter()
        browser.wait_for(f"/^one$/m.test({SCREEN})")
        line.cut()
        assert service.http.post("/init", json={"token": "another"}).status_code == 200
        line.down = False
        browser.wait_for("document.getElementById('login-error').textContent.includes('no longer')")
        browser.type("another")
        browser.enter()
        browser.wait_for(f"{STATE} === 'connected' && /^one$/m.test({SCREEN})")
        browser.type("echo t'wo'")
        browser.enter()
        browser.wait_for(f"/^two$/m.test({SCREEN})")
    finally:
        line.close()


def test_text_is_found_in_what_has_scrolled_away(browser: Any, box: Service) -> None:
    found = "document.getElementById('terminal-found').textContent"
    open_terminal(browser, f"{box.url}/box/")
    browser.type("clear; echo need'le' one; seq 200; echo need'le' two; seq 300; echo do'ne'")
    browser.enter()
    browser.wait_for(f"/^done$/m.test({SCREEN})")
    assert "needle" not in browser.evaluate(SCREEN)
    browser.press_with_control("f", shift=True)
    browser.wait_for("document.activeElement.id === 'terminal-text'")
    browser.type("needle")
    browser.wait_for(f"/^needle two$/m.test({SCREEN})")
    browser.enter()
    browser.wait_for(f"/^needle one$/m.test({SCREEN}) && {found} === ''")
    browser.press("Enter", 13, {"text": "\r", "modifiers": SHIFT})
    browser.wait_for(f"/^needle two$/m.test({SCREEN})")
    browser.type("x")
    browser.wait_for(f"{found} === 'not found'")
    browser.press("Escape", 27, {})
    browser.wait_for("document.getElementById('terminal-finding').hidden")
    browser.type("echo ty'ped'")
    browser.enter()
    browser.wait_for(f"/^typed$/m.test({SCREEN})")
    browser.type("exit")
    browser.enter()
    browser.wait_for(f"{STATE} === 'ended'")
    assert browser.complaints() == []
