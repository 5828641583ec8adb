from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from toolbox.testing import Service
from toolbox.testing import ending

WRITER = """
import logging, sys
from toolbox import logs
from toolbox.settings import LogSettings

logs.write_to_file(LogSettings(file=sys.argv[1], max_size=4096, keep=100))
print("ready", flush=True)
sys.stdin.readline()
for number in range(500):
    logging.warning("%s-%d-", sys.argv[2], number)
"""


def test_the_log_goes_to_a_file_of_bounded_size(make_service: Callable[..., Service]) -> None:
    # AC-26
    settings = '[log]\naccess = true\nfile = "../own.log"\nmax_size = 4096\nkeep = 2\n'
    service = make_service(settings=settings)
    for number in range(200):
        service.http.get(f"/nothing/{number}")
    # A line is written after its answer was sent: that all are there is only sure at the end.
    assert service.stop() == 0
    logs = sorted(service.directory.glob("own.log*"))
    assert [log.name for log in logs] == ["own.log", "own.log.1", "own.log.2"]
    assert all(log.stat().st_size <= 4096 for log in logs)
    text = "".join(log.read_text() for log in reversed(logs))
    numbers = [int(number) for number in re.findall(r"/nothing/(\d+)", text)]
    assert numbers == list(range(numbers[0], 200))
    assert service.log() == f"Starting toolbox server on port {service.port}\n"
    assert "stopped" in logs[0].read_text()


def test_a_file_that_was_moved_away_is_made_anew(make_service: Callable[..., Service]) -> None:
    service = make_service(settings='[log]\naccess = true\nfile = "../own.log"\n')
    service.http.get("/before")
    log = service.directory / "own.log"
    service.wait_for(lambda: "/before" in log.read_text(), "the first line")
    log.rename(service.directory / "elsewhere")
    service.http.get("/after")
    service.wait_for(lambda: log.exists() and "/after" in log.read_text(), "the new file")


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "own.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, file, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    with contextlib.ExitStack() as stack:
        for writer in writers:
            stack.enter_context(ending(writer))
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.communicate("go\n", timeout=60)
            assert writer.returncode == 0
    written = [log.read_text() for log in tmp_path.iterdir()]
    found = re.findall(r": (\w-\d+)-\n", "".join(written))
    assert sorted(found) == sorted(f"{name}-{number}" for name in "abc" for number in range(500))
    # A line may follow into the file that another process moves away at that moment.
    assert max(len(text) for text in written) < 4096 + 3 * 100
    # None is moved away before it is full, but for the room of one line.
    assert len(written) <= sum(len(text) for text in written) / (4096 - 60) + 1


def test_a_log_file_that_cannot_be_opened_is_one_line_and_status_2() -> None:
    environ = {**os.environ, "TOOLBOX_TOKEN": "x", "TOOLBOX__LOG__FILE": "/nowhere/own.log"}
    result = subprocess.run(
        [sys.executable, "-m", "toolbox", "serve", "--port", "0"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr == "toolbox: log.file: /nowhere/own.log: No such file or directory\n"
