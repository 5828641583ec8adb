"""The group mcp: its cost for the service, and a tool against the operation that does the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from bench.clients import http
from bench.clients import load
from bench.frame import Bench
from bench.frame import Row
from bench.servers import Server
from bench.servers import toolbox

WITHOUT = '[plugins]\ndisable = ["mcp"]\n'
LINE = 'def function(argument: int) -> int:  # A comment, and a "quoted" word.\n'
SIZES = {"10 KB": 10_000, "60 KB": 60_000}


def bench_cost(bench: Bench) -> Iterator[Row]:
    """The service with every plugin, with and without this one."""

    def started(settings: str) -> float:
        with toolbox(settings) as server:
            return server.cpu() * 1e3

    def idle(settings: str) -> float:
        with toolbox(settings) as server:
            return server.memory() / 1e6

    started("")  # Compiles what isn't yet.
    yield Row(
        "CPU of the start with the group mcp",
        "ms",
        ours=lambda: started(""),
        limit=("without", lambda: started(WITHOUT)),
        floor="<= 1.05x",
        rounds=9,  # The kernel counts it in steps of 10 ms.
    )
    yield Row(
        "idle memory with the group mcp",
        "MB",
        ours=lambda: idle(""),
        limit=("without", lambda: idle(WITHOUT)),
        floor="<= 1.02x",
    )


def bench_read_text_file(bench: Bench) -> Iterator[Row]:
    """A source file read by the tool, against its download."""
    with toolbox() as ours:
        for name, size in SIZES.items():
            file = bench.directory / name.replace(" ", "")
            file.write_text((LINE * (size // len(LINE) + 1))[:size])
            call, download = requests(file)
            yield Row(
                f"read_text_file, {name}",
                "ms",
                ours=lambda call=call: milliseconds(ours, call, bench),
                limit=("download", lambda data=download: milliseconds(ours, data, bench)),
                floor="<= 1.3x",
            )


def requests(file: Path) -> tuple[bytes, bytes]:
    """The call of the tool, and the download."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "read_text_file", "arguments": {"path": str(file)}},
    }
    headers = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    call = http("POST", "/mcp", json.dumps(body).encode(), headers)
    return call, http("GET", f"/files/download?{urlencode({'path': str(file)})}")


def milliseconds(server: Server, data: bytes, bench: Bench) -> float:
    """The median time of one client."""
    return load(server.port, data, 1, bench.seconds).p50 * 1e3
