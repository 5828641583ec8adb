"""The page's terminal in a real browser, where the group ``process`` is installed."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

from toolbox.testing import Service

SCREEN = "document.querySelector('.xterm-rows').innerText"
STATE = "document.getElementById('terminal-state').textContent"


class Line:
    """A TCP connection to a service that can be cut, as a bad network does."""

    def __init__(self, port: int) -> None:
        self._target = port
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
                service = socket.create_connection(("127.0.0.1", self._target))
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


def open_terminal(browser: Any, url: str) -> None:
    browser.log_in(url)
    browser.wait_for("!document.getElementById('nav').hidden")
    browser.evaluate("location.hash = 'terminal'")
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
    # All of it is to be seen.
    assert browser.evaluate(
        "document.querySelector('.xterm-screen').getBoundingClientRect().right <= innerWidth"
    )
    browser.type("printf '\\033[38;2;1;2;3mcolo\\033[0m''ur'; exit")
    browser.enter()
    browser.wait_for(f"{STATE} === 'ended'")
    assert "exited with 0" in browser.evaluate(SCREEN)
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
