"""Screens of terminals: what it costs to read one again and again while a program writes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.clients import http
from bench.clients import request
from bench.frame import Bench
from bench.frame import Row
from bench.process import post
from bench.servers import Server
from bench.servers import toolbox

SECONDS = 10
RATE = 1_000_000
"""Bytes a second that the program writes."""

PROGRAM = """
import sys, time
began, written, number = time.monotonic(), 0, 0
while True:
    if sys.argv[1] == "lines":
        data = b"a line of the output of a program, as they usually are, some longer\\r\\n" * 20
    else:
        draw = b"\\x1b[%d;%dH\\x1b[3%dmsome text %d\\x1b[K"
        data = b"".join(draw % (n % 24 + 1, n % 40 + 1, n % 8, number + n) for n in range(48))
    number += 1
    written += sys.stdout.buffer.write(data)
    sys.stdout.flush()
    time.sleep(max(0.0, written / %d - (time.monotonic() - began)))
"""


def bench_screen(bench: Bench) -> Iterator[Row]:
    """A screen that is read every second, of a program that writes 1 MB/s."""
    program = bench.directory / "program.py"
    program.write_text(PROGRAM.replace("%d - (", f"{RATE} - ("))
    with toolbox() as server:
        for kind in ("lines", "drawing"):
            yield Row(
                f"screen of 1 MB/s, read every second, {kind}",
                "% of a core",
                ours=lambda kind=kind: watched(server, program, kind),  # type: ignore[misc]
                floor="<= 20",
                rounds=1,
            )


def watched(server: Server, program: Path, kind: str) -> float:
    """The processor time of the service, and of the program, in percent."""
    post(server, "/process/pty", {"id": kind})
    command = f"exec {sys.executable} {program} {kind}"
    post(server, f"/x/terminals/{kind}/send", {"text": command, "keys": ["Enter"]})
    time.sleep(2)
    cpu, offset = server.cpu(), screen(server, kind)
    for _ in range(SECONDS):
        time.sleep(1)
        end = screen(server, kind)
    # By what the program has written: on a busy machine it doesn't get to write as much.
    found = 100 * (server.cpu() - cpu) / ((end - offset) / RATE)
    request(server.port, http("DELETE", f"/process/pty/{kind}", b"", "Connection: close\r\n"), 10)
    return found


def screen(server: Server, name: str) -> int:
    """Read a screen; the bytes of output that it shows."""
    data = http("GET", f"/x/terminals/{name}/screen", b"", "Connection: close\r\n")
    body = request(server.port, data, 10).partition(b"\r\n\r\n")[2]
    return int(json.loads(body)["offset"])
