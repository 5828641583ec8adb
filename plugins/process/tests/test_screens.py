"""Screens against a real service: what programs draw, what is typed, what is waited for."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_process.testing import eventually

from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

# Not yet the prompt: with one, the files that a shell reads at its start choose their own.
PLAIN = {"PS1": "", "PROMPT_COMMAND": "", "LC_ALL": "C.UTF-8", "HISTFILE": "/dev/null"}


class Terminal:
    """A terminal, as a client of its screen sees it."""

    def __init__(self, service: Service, name: str, **options: Any) -> None:
        self.http = service.http
        self.name = name
        body = {"id": name, "envs": PLAIN, **options}
        self.http.post("/process/pty", json=body).raise_for_status()

    def get(self, what: str, **query: Any) -> httpx.Response:
        return self.http.get(f"/x/terminals/{self.name}/{what}", params=query)

    def screen(self, **query: Any) -> Any:
        return self.get("screen", **query).raise_for_status().json()

    def send(self, text: str = "", *keys: str, **more: Any) -> Any:
        body = {"text": text, "keys": keys, **more}
        url = f"/x/terminals/{self.name}/send"
        return self.http.post(url, json=body).raise_for_status().json()

    def wait(self, **query: Any) -> Any:
        found = self.get("wait", **{"timeout": DEADLINE / 4, **query})
        assert found.status_code == 200, found.text
        return found.json()

    def until(self, text: str, **query: Any) -> Any:
        """The screen once ``text``, a regular expression, is on it."""
        end = time.monotonic() + DEADLINE
        while True:
            found = self.wait(text=text, **query)
            if found["reason"] == "text":
                return found["screen"]
            assert time.monotonic() < end, found

    def run(self, line: str) -> Any:
        """Type a line; the screen once the prompt is there again."""
        offset = self.send(line, "Enter")["offset"]
        # What follows what was typed, which may be wrapped.
        return self.until(r"^\$ \Z", offset=offset + len(line))

    def delete(self) -> None:
        self.http.delete(f"/process/pty/{self.name}").raise_for_status()


@pytest.fixture
def terminal(service: Service) -> Iterator[Terminal]:
    made = Terminal(service, uuid.uuid4().hex)
    made.send("PS1='$ '; printf '\\033c'", "Enter")
    made.until(r"^\$ \Z")
    yield made
    service.http.delete(f"/process/pty/{made.name}")


def text_of(screen: Any) -> str:
    return "\n".join(screen["rows"])


def test_a_shell(terminal: Terminal) -> None:
    screen = terminal.run("printf '\\033]0;a title\\007'; echo $((6 * 7))")
    assert "42" in screen["rows"]
    assert screen["title"] == "a title"
    assert screen["size"] == {"cols": 80, "rows": 24}
    assert len(screen["rows"]) == 24
    row = max(number for number, line in enumerate(screen["rows"]) if line)
    assert screen["rows"][row] == "$ "
    assert screen["cursor"] == {"row": row, "col": 2, "visible": True}
    assert screen["alternateScreen"] is screen["truncated"] is screen["done"] is False
    listed = terminal.http.get("/x/terminals").json()["terminals"]
    (info,) = (each for each in listed if each["id"] == terminal.name)
    assert info["size"] == {"cols": 80, "rows": 24}
    assert (info["kind"], info["done"]) == ("pty", False)
    # By the id of the job, too.
    by_job = terminal.http.get(f"/x/terminals/{info['jobId']}/screen").json()
    assert by_job["rows"] == screen["rows"]
    assert by_job["id"] == terminal.name


def test_scrollback(terminal: Terminal) -> None:
    screen = terminal.run("seq 100")
    assert screen["scrollback"] == []
    assert terminal.screen(scrollback=3)["scrollback"] == ["75", "76", "77"]
    lines = terminal.screen(scrollback=1000)
    assert lines["scrollback"][-77:] == [str(number) for number in range(1, 78)]
    assert [*lines["scrollback"], *lines["rows"]].count("50") == 1


def test_vim(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("".join(f"line {number}\n" for number in range(1, 500)))
    terminal.send(f"vim -u NONE -i NONE {file}", "Enter")
    screen = terminal.until("^line 20$")
    assert screen["alternateScreen"] is True
    assert screen["rows"][0] == "line 1"
    assert screen["applicationCursor"] is True
    # The arrows honor the application cursor mode, which vim has set.
    terminal.send("", *["Down"] * 30, "Home")
    screen = terminal.until("^line 31$")
    assert screen["rows"][screen["cursor"]["row"]] == "line 31"
    terminal.send("Ofirst\nsecond 日本 😀", "Escape")
    screen = terminal.until("second 日本 😀")
    assert screen["rows"][screen["cursor"]["row"]] == "second 日本 😀"
    terminal.send("", "Ctrl-F", "PageUp")
    terminal.http.post(f"/process/pty/{terminal.name}/resize", json={"cols": 100, "rows": 40})
    screen = terminal.until("^line 37$")
    assert (len(screen["rows"]), screen["size"]) == (40, {"cols": 100, "rows": 40})
    terminal.send(":wq", "Enter")
    screen = terminal.until(r"^\$ \Z")
    assert screen["alternateScreen"] is False
    assert "line 20" not in screen["rows"]
    assert "first\nsecond 日本 😀\nline 31\n" in file.read_text()


SIZES = ((80, 24), (300, 100), (80, 24))


def test_vim_of_each_size_is_full_of_emoji_and_cjk(terminal: Terminal) -> None:
    terminal.send("vim -u NONE -i NONE", "Enter")
    terminal.until("^~$")
    terminal.send(":call append(0, repeat([''], 200))|1", "Enter")
    for cols, rows in SIZES:
        size = {"cols": cols, "rows": rows}
        terminal.http.post(f"/process/pty/{terminal.name}/resize", json=size)
        count = cols // 4
        terminal.send(f":call setline(1, repeat('日😀', {count}))", "Enter")
        terminal.send(f":call setline({rows - 1}, repeat('한漢', {count}))|1", "Enter")
        screen = terminal.until(f"^{'日😀' * count}\n(.*\n){{{rows - 3}}}{'한漢' * count}\n")
        assert (len(screen["rows"]), screen["size"]) == (rows, size)
    terminal.send(":q!", "Enter")
    terminal.until(r"^\$ \Z")


def test_tmux_is_the_same_as_tmux_says(terminal: Terminal) -> None:
    """What tmux shows of itself is what we show of it, from 80x24 to 300x100."""
    socket_name = f"toolbox-{terminal.name}"
    try:
        terminal.run("unset TMUX; export SHELL=/bin/sh ENV=")
        terminal.send(f"tmux -f /dev/null -L {socket_name} new 'PS1=% exec sh -i'", "Enter")
        screen = terminal.until(r"^%[\s\S]*^\[0\]")
        assert screen["alternateScreen"] is True
        for cols, rows in ((80, 24), (300, 100), (40, 10)):
            resized = {"cols": cols, "rows": rows}
            terminal.http.post(f"/process/pty/{terminal.name}/resize", json=resized)
            mark = f"done-{cols}"
            terminal.send(
                f"clear; seq 200; printf '日本 é 😀 \\t|\\n'; echo {mark[:4]}''{mark[4:]}\n"
            )
            screen = terminal.until(f"^{mark}$")
            terminal.until(rf"^{mark}\n%\n+\[0\]")
            command = ["tmux", "-L", socket_name, "capture-pane", "-p"]
            own = subprocess.run(command, capture_output=True, check=True).stdout.decode()
            lines = [line.rstrip() for line in own.splitlines()]
            shown = terminal.screen()["rows"][: len(lines)]
            assert [line.expandtabs() for line in lines] == shown
    finally:
        subprocess.run(["tmux", "-L", socket_name, "kill-server"], capture_output=True)
    terminal.until(r"^\[exited\]|server exited")


def test_htop(terminal: Terminal) -> None:
    terminal.http.post(f"/process/pty/{terminal.name}/resize", json={"cols": 120, "rows": 30})
    terminal.run("export HTOPRC=/dev/null")
    terminal.send("htop", "Enter")
    screen = terminal.until(r"PID.*USER.*[\s\S]*F10")
    assert screen["alternateScreen"] is True
    assert "F1Help" in screen["rows"][-1].replace(" ", "")
    for cols, rows in SIZES:
        size = {"cols": cols, "rows": rows}
        terminal.http.post(f"/process/pty/{terminal.name}/resize", json=size)
        # It draws anew on SIGWINCH: its last line is the screen's.
        screen = terminal.until(rf"\A(.*\n){{{rows - 1}}}F1 ?Help.*F10 ?Quit")
        assert (len(screen["rows"]), screen["size"]) == (rows, size)
    terminal.send("", "F1")
    assert "htop" in text_of(terminal.until("(?i)help|released under"))
    terminal.send("", "Escape")  # Apart from q, or it would be Alt-q.
    terminal.until(r"PID.*USER.*[\s\S]*F10")
    terminal.send("q")
    assert terminal.until(r"^\$ \Z")["alternateScreen"] is False


def test_wide_characters_at_the_edge(terminal: Terminal) -> None:
    terminal.run("clear")
    screen = terminal.run("printf '%079d日本\\n' 0; printf '日%.0s' $(seq 45); echo")
    assert "0" * 79 in screen["rows"]
    assert "日本" in screen["rows"]
    assert "日" * 40 in screen["rows"]
    assert "日" * 5 in screen["rows"]


def test_emoji_and_cjk_on_a_large_screen(service: Service, tmp_path: Path) -> None:
    lines = ["日" * 150, "한글" * 75, "😀" * 150, "a日😀" * 60, "漢" + "x" * 298, "é日" * 100]
    lines = [*lines * 16, "end"]
    # The last one needs two cells, and one is left.
    text = "\n".join([*lines, "x" + "日" * 150])
    (tmp_path / "text").write_text(text + "\n", encoding="utf-8")
    terminal = Terminal(service, uuid.uuid4().hex, cols=300, rows=100)
    try:
        terminal.send("PS1='$ '; printf '\\033c'", "Enter")
        terminal.until(r"^\$ \Z")
        screen = terminal.run(f"clear; cat '{tmp_path}/text'")
        assert screen["rows"][:99] == [*lines, "x" + "日" * 149, "日"]
        assert (screen["cursor"]["row"], screen["cursor"]["col"]) == (99, 2)
    finally:
        terminal.delete()


def test_bytes_that_are_no_text(terminal: Terminal) -> None:
    screen = terminal.run(
        "printf 'a\\0b\\377c\\303\\n'; printf '\\033]0;\\377\\000x\\007'; echo end"
    )
    assert "ab\ufffdc\ufffd" in screen["rows"]
    assert "end" in screen["rows"]
    terminal.run("head -c 300000 /dev/urandom | tr -d '\\005'; printf '\\033c'")
    assert "fine" in terminal.run("echo fi''ne")["rows"]


def test_keys_reach_the_program(terminal: Terminal) -> None:
    """Each key as a program sees it that has set the application cursor mode, or hasn't."""
    terminal.send("stty raw -echo; printf '\\033[?1h'; cat -v", "Enter")
    eventually(lambda: terminal.screen()["applicationCursor"])
    sent = terminal.send("é\n", "Up", "F1", "F12", "Alt-x", "Ctrl-C", "Shift-Tab", "Ctrl-Left")
    screen = terminal.until(r"M-CM-\)\^M\^\[OA\^\[OP\^\[\[24~\^\[x\^C\^\[\[Z\^\[\[1;5D")
    assert screen["offset"] > sent["offset"]
    assert sent["bytes"] == 3 + 3 + 3 + 5 + 2 + 1 + 3 + 6


def test_a_paste_is_marked_where_the_program_wants_it(terminal: Terminal) -> None:
    # Only once the shell's own line editor, which wants pastes to be marked, has ended.
    terminal.send("echo $((6 * 7)); cat -v", "Enter")
    terminal.until("^42$")
    terminal.send("plain", paste=True)
    terminal.until("^plain$")
    terminal.send("", "Ctrl-D", "Ctrl-D")
    terminal.until(r"\$ \Z")
    # The shell's own editor wants pastes to be marked, too, until the line is run.
    terminal.send("stty raw -echo; printf '\\033[?2004h'; echo $((7 * 8)); cat -v", "Enter")
    terminal.until("^56$")
    assert terminal.screen()["bracketedPaste"]
    terminal.send("a\nb\x1b[201~c", paste=True)
    terminal.until(r"\^\[\[200~a\^Mb\[201~c\^\[\[201~")


def test_what_can_not_be_sent(terminal: Terminal) -> None:
    url = f"/x/terminals/{terminal.name}/send"
    for body in (
        {"keys": ["Nope"]},
        {"keys": ["x" * 101]},
        {"keys": ["Enter"] * 1001},
        {"keys": "Enter"},
        {"text": 7},
    ):
        answer = terminal.http.post(url, json=body)
        assert answer.status_code == 400, (body, answer.text)
        assert answer.json()["statusCode"] == 400
    lone = terminal.http.post(url, content=b'{"text": "\\ud800"}')
    assert lone.status_code in (200, 400)
    assert terminal.http.post("/x/terminals/nope/send", json={"text": "x"}).status_code == 404
    # The surrogate's echo may still come.
    eventually(
        lambda: terminal.send() == {"bytes": 0, "offset": terminal.screen()["offset"]},
        "the output's end",
    )


def test_waiting_for_silence(terminal: Terminal) -> None:
    # What was typed counts as well: its effect is still to come.
    terminal.send("sleep 0.5; echo la''ter", "Enter")
    found = terminal.wait(idle=3)
    assert found["reason"] == "idle"
    assert "later" in found["screen"]["rows"]
    found = terminal.wait(text="never", idle=0.1)
    assert (found["reason"], found["match"]) == ("idle", None)


def test_waiting_for_a_text(terminal: Terminal) -> None:
    found = terminal.wait(text=r"^\$ ")
    assert (found["reason"], found["match"]) == ("text", "$ ")
    # With the offset from before, the prompt that is there already doesn't count.
    sent = terminal.send("sleep 1; echo fi''nished", "Enter")
    found = terminal.wait(text=r"finished\n\$", offset=sent["offset"])
    assert found["match"] == "finished\n$"
    assert terminal.wait(text="never", timeout=0)["reason"] == "timeout"
    assert terminal.wait(text="never", timeout=0.3)["reason"] == "timeout"


def test_a_terminal_that_ends_meanwhile(terminal: Terminal) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(terminal.wait, text="never"), pool.submit(terminal.wait, idle=3000)]
        terminal.send("echo by''e; exit 3", "Enter")
        for each in waiting:
            found = each.result(DEADLINE)
            assert found["reason"] == "ended"
            assert found["screen"]["done"] is True
            assert found["screen"]["exitCode"] == 3
            assert "bye" in found["screen"]["rows"]
    # It is known for a while after its end, by its name and by the job's id.
    assert "bye" in terminal.screen()["rows"]
    assert terminal.wait(text="bye")["reason"] == "text"
    assert terminal.wait(text="never")["reason"] == "ended"
    answer = terminal.http.post(f"/x/terminals/{terminal.name}/send", json={"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (410, "COMMAND_ALREADY_COMPLETED")


def test_patterns_that_take_forever(terminal: Terminal) -> None:
    terminal.run("printf 'a%.0s' $(seq 500); echo")
    for pattern in (r"(a+)+\1$b", r"(a|aa)+$z", r"(?:(?:(?:(?:a{1,99}){99}){99}){99}){99}z"):
        answer = terminal.get("wait", text=pattern, timeout=5)
        if answer.status_code != 400:
            assert answer.json()["reason"] == "timeout", pattern
        else:
            assert "too long" in answer.json()["message"] or "invalid" in answer.json()["message"]
    again = terminal.get("wait", text=r"(a|aa)+$z", timeout=5)
    assert again.status_code == 400
    # The others go on.
    assert terminal.wait(text="a{500}|a{80}")["reason"] == "text"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"text": "("}, 400),
        ({"text": "x" * 1001}, 400),
        ({"text": "(?P<x>"}, 400),
        ({"text": "(" * 1000}, 400),
        ({"idle": -1}, 400),
        ({"idle": "nan"}, 400),
        ({"idle": 1, "timeout": 1e9}, 400),
        ({"text": "x", "offset": -1}, 400),
        ({"text": "x", "scrollback": 1001}, 400),
    ],
)
def test_what_can_not_be_waited_for(terminal: Terminal, query: Any, status: int) -> None:
    answer = terminal.get("wait", **query)
    assert answer.status_code == status, answer.text
    assert answer.json()["statusCode"] == status


def test_a_hundred_wait(service: Service, terminal: Terminal) -> None:
    with ThreadPoolExecutor(100) as pool:
        waiting = [
            pool.submit(terminal.wait, text=f"go-{n % 7}|^x{{{n + 1}}}$") for n in range(100)
        ]
        terminal.send("while :; do echo fi''ller; done & sleep 1; kill %1; clear", "Enter")
        terminal.send("echo go-{0..6}", "Enter")
        assert {each.result(DEADLINE)["reason"] for each in waiting} == {"text"}
    # With the last of those who wait, the helper has ended.
    eventually(lambda: not helpers(service), "the helper's end")


def helpers(service: Service) -> list[int]:
    """The pids of programs that match regular expressions."""
    found = []
    for pid in descendants(service.process.pid):
        with contextlib.suppress(OSError):
            if b"matching/program" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def test_a_client_that_disconnects(service: Service, terminal: Terminal) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(
            f"GET /x/terminals/{terminal.name}/wait?text=%5Bn%5Dever&timeout=3600 HTTP/1.1\r\n"
            f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        eventually(lambda: helpers(service), "the wait")
    eventually(lambda: not helpers(service), "the end of the wait")


def test_before_a_lazy_start(service: Service) -> None:
    terminal = Terminal(service, "lazy-screen", lazyStart=True, cols=40, rows=10)
    screen = terminal.screen()
    assert screen["rows"] == [""] * 10
    assert screen["done"] is False
    terminal.send("echo star''ted", "Enter")
    assert "started" in terminal.until("^started")["rows"]
    terminal.delete()
    assert terminal.screen()["done"] is True


def test_a_job_on_a_terminal(service: Service) -> None:
    body = {"command": "stty size; cat", "pty": {"rows": 10, "cols": 40}}
    job = service.http.post("/x/jobs", json=body).raise_for_status().json()["id"]
    url = f"/x/terminals/{job}"
    found = service.http.get(
        f"{url}/wait", params={"text": "10 40", "timeout": DEADLINE / 2}
    ).json()
    assert found["reason"] == "text", found
    assert found["screen"]["id"] == job
    assert len(found["screen"]["rows"]) == 10
    service.http.post(f"{url}/send", json={"text": "日本", "keys": ["Enter", "Ctrl-D"]})
    found = service.http.get(f"{url}/wait", params={"text": "[n]ever", "timeout": 30}).json()
    assert (found["reason"], found["screen"]["exitCode"]) == ("ended", 0)
    assert found["screen"]["rows"][1:3] == ["日本", "日本"]
    assert '"width":40' in service.http.get(f"{url}/recording").text
    assert job in [each["id"] for each in service.http.get("/x/terminals").json()["terminals"]]


def test_what_is_not_there(service: Service) -> None:
    for what in ("screen", "wait?idle=1", "recording"):
        answer = service.http.get(f"/x/terminals/nope/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "PROCESS_NOT_FOUND")
    # A job without a terminal has no screen.
    job = service.http.post("/x/jobs", json={"command": "true"}).json()["id"]
    assert service.http.get(f"/x/terminals/{job}/screen").status_code == 404


def test_much_output(terminal: Terminal) -> None:
    terminal.send("yes | head -c 16000000; printf 'the %s\\n' end", "Enter")
    screen = terminal.until(r"^the end\n\$")
    assert screen["truncated"] is False
    assert screen["rows"][0] == "y"
    assert screen["offset"] > 16_000_000
    assert set(terminal.screen(scrollback=500)["scrollback"]) == {"y"}
    recording = terminal.get("recording")
    assert int(recording.headers["X-Toolbox-Lost"]) > 10_000_000


def test_a_recording(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("printf '\\033]0;the title\\007日本 \\377\\n'")
    terminal.http.post(f"/process/pty/{terminal.name}/resize", json={"cols": 100, "rows": 30})
    terminal.run("sleep 0.3; echo second")
    answer = terminal.get("recording").raise_for_status()
    assert answer.headers["content-type"] == "application/x-asciicast"
    assert "X-Toolbox-Lost" not in answer.headers
    header, *events = [json.loads(line) for line in answer.text.splitlines()]
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    assert header["title"] == "the title"
    assert header["env"] == {"TERM": "xterm-256color"}
    times = [event[0] for event in events]
    assert times == sorted(times)
    assert times[-1] >= 0.3
    assert [event[2] for event in events if event[1] == "r"] == ["100x30"]
    output = "".join(event[2] for event in events if event[1] == "o")
    assert "日本 \ufffd\r\n" in output
    assert "second\r\n" in output
    # Played by the program that the format is for, as fast as it can.
    file = tmp_path / "recording.cast"
    file.write_bytes(answer.content)
    command = [sys.executable, "-m", "asciinema", "cat", str(file)]
    played = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=True).stdout
    assert played.decode() == output
