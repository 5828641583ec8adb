"""Repositories to measure on, made by the git binary, and a server for them."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IDENTITY = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0")


def git(directory: Path, *arguments: str, **options: Any) -> None:
    """Run the binary."""
    command = ["git", *IDENTITY, *arguments]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL, **options)


@contextlib.contextmanager
def serving(root: Path) -> Iterator[str]:
    """``git http-backend`` for the repositories below ``root``; its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length") or 0)
            env = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(length),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            backend = subprocess.Popen(
                ["git", "http-backend"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert backend.stdin and backend.stdout
            with backend:
                backend.stdin.write(self.rfile.read(length))
                backend.stdin.close()
                shutil.copyfileobj(backend.stdout, self.wfile)

        do_POST = do_GET

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_tree(root: Path, count: int, size: int = 20) -> Path:
    """A repository of ``count`` files in directories of twenty, all of them committed."""
    for directory in range(count // 20):
        path = root / f"{directory // 100:02d}" / f"{directory % 100:02d}"
        path.mkdir(parents=True)
        for number in range(20):
            (path / f"file{number}.txt").write_text(f"{directory} {number}\n" * (size // 8 + 1))
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "all of them")
    time.sleep(1.1)  # What is as new as the index has to be read again (git's racy files).
    git(root, "update-index", "-q", "--refresh", "--force-write-index")
    return root


def make_history(root: Path, count: int) -> Path:
    """A repository of ``count`` commits without a file."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    grow(root, count, files=False)
    git(root, "gc", "-q")
    return root


def grow(root: Path, count: int, *, files: bool = True) -> None:
    """Add commits, each with another content of one file."""
    parent = b"from refs/heads/main^0\n" if files else b""
    commits = []
    for number in range(count):
        change = b"M 100644 inline counter\ndata 8\n%08d\n" % number if files else b""
        commits.append(
            b"commit refs/heads/main\ncommitter Bench <b@x> %d +0000\ndata 9\ncommit %02d\n"
            % (1_600_000_000 + number, number % 100)
            + (parent if number == 0 else b"")
            + change
        )
    git(root, "fast-import", "--quiet", input=b"".join(commits))
    if files:
        git(root, "reset", "-q", "--hard")
