"""Language servers: what asking through the service costs over asking them oneself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.clients import http
from bench.frame import Bench
from bench.frame import Row
from bench.frame import Sample
from bench.memory import started_by
from bench.servers import Server
from bench.servers import toolbox
from toolbox.testing import end_tree

TEXT = "class Greeter:\n    def greet(self):\n        return 1\n\n\ngreeter = Greeter()\ngreeter.\n"
PLACE = {"line": 6, "character": 8}
REQUESTS = 50

QUICK = """
import json
import sys

items = [
    {"label": f"name{n}", "kind": 3, "detail": "d", "documentation": "of it"}
    for n in range(50)
]
while True:
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if not length:
        break
    message = json.loads(sys.stdin.buffer.read(length))
    if "id" in message:
        result = {"capabilities": {}} if message["method"] == "initialize" else items
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
        sys.stdout.buffer.flush()
"""
"""A language server that takes no time, so that what is left is ours."""


def bench_completion(bench: Bench) -> Iterator[Row]:
    """Fifty suggestions of a server that takes no time, and those of pylsp."""
    quick = bench.directory / "quick.py"
    quick.write_text(QUICK)
    quick_server = [sys.executable, str(quick)]
    yield from completion_rows("a server that takes no time", quick_server, "<= 3", "<= 1")
    # It takes a hundred times what we add, and never the same: no target could be judged.
    yield from completion_rows("pylsp", ["pylsp"])


def completion_rows(
    name: str, command: list[str], floor: str = "", stretch: str = ""
) -> Iterator[Row]:
    """The median of one after another, the two in turns; the difference is what counts."""
    settings = f"[lsp.servers.python]\ncommand = {json.dumps(command)}\n"
    with toolbox(settings) as server, contextlib.ExitStack() as stack:
        project = make_project(server)
        bare = stack.enter_context(contextlib.closing(Bare(command, project)))
        ours = stack.enter_context(contextlib.closing(Ours(server)))
        yield Row(
            f"completion by {name}, p50 over the bare server's",
            unit="ms",
            ours=lambda: difference(ours.complete, bare.complete),
            floor=floor,
            stretch=stretch,
        )


def difference(ours: Callable[[], object], bare: Callable[[], object]) -> Sample:
    """Milliseconds of one after another."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REQUESTS):
        for each, action in zip(times, (ours, bare), strict=True):
            began = time.perf_counter()
            action()
            each.append((time.perf_counter() - began) * 1e3)
    mine, theirs = (statistics.median(each) for each in times)
    return Sample(mine - theirs, {"bare ms": theirs})


def bench_memory(bench: Bench) -> Iterator[Row]:
    """What a language server takes that has one small project and nothing to do."""
    languages = {
        "pylsp": ("python", "pylsp", "a.py"),
        "typescript-language-server": ("typescript", "typescript-language-server", "a.ts"),
    }
    for name, (language, program, file) in languages.items():
        if shutil.which(program) is None:
            continue
        with toolbox() as server:
            make_project(server)
            yield Row(
                f"idle memory of {name}",
                unit="MB",
                ours=lambda server=server, language=language, file=file: idle(
                    server, language, file
                ),
                rounds=1,
            )


def idle(server: Server, language: str, file: str) -> float:
    """Megabytes of everything below the service once a document is open."""
    (server.directory / "project" / file).write_text("")
    body = {"languageId": language, "pathToProject": "project", "uri": f"file://project/{file}"}
    with contextlib.closing(Ours(server)) as ours:
        ours.ask("/lsp/start", body)
        ours.ask("/lsp/did-open", body)
        ours.get(f"/lsp/document-symbols?languageId={language}&pathToProject=project&uri={file}")
    return started_by(server) / 1e6


class Ours:
    """A connection to the service."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._body = {"languageId": "python", "pathToProject": "project"}
        self.ask("/lsp/start", self._body)

    def close(self) -> None:
        self._socket.close()

    def complete(self) -> None:
        """Ask for suggestions."""
        self.ask(
            "/lsp/completions", {**self._body, "uri": "file://project/a.py", "position": PLACE}
        )

    def ask(self, path: str, body: dict[str, Any]) -> None:
        """Post; the answer must be a 200."""
        self._send(http("POST", path, json.dumps(body).encode()))

    def get(self, path: str) -> None:
        """Get; the answer must be a 200."""
        self._send(http("GET", path))

    def _send(self, request: bytes) -> None:
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(1 << 18)
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(1 << 18)


class Bare:
    """The same server, asked directly."""

    def __init__(self, command: list[str], project: Path) -> None:
        from toolbox_lsp.server.capabilities import CAPABILITIES

        self._process = subprocess.Popen(
            command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=-3
        )
        self._uri = (project / "a.py").as_uri()
        self._number = 0
        root = {"rootUri": project.as_uri(), "capabilities": CAPABILITIES, "processId": None}
        self._request("initialize", root)
        self._send(method="initialized", params={})
        document = {"uri": self._uri, "languageId": "python", "version": 1, "text": TEXT}
        self._send(method="textDocument/didOpen", params={"textDocument": document})

    def close(self) -> None:
        end_tree(self._process)

    def complete(self) -> None:
        """Ask for suggestions."""
        params = {"textDocument": {"uri": self._uri}, "position": PLACE}
        self._request("textDocument/completion", params)

    def _request(self, method: str, params: Any) -> None:
        self._number += 1
        self._send(id=self._number, method=method, params=params)
        while True:
            answer = self._receive()
            if answer.get("id") == self._number and "method" not in answer:
                return

    def _send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


def make_project(server: Server) -> Path:
    """A project of one file, written long ago: what was written just now is read each time."""
    project = server.directory / "project"
    project.mkdir()
    (project / "a.py").write_text(TEXT)
    os.utime(project / "a.py", (1e9, 1e9))
    return project
