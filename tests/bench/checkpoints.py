"""The group checkpoints: a tree like node_modules, against cp."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.clients import TOKEN
from bench.frame import Bench
from bench.frame import Row
from bench.frame import timed
from bench.servers import Server
from bench.servers import toolbox

FILES = int(os.environ.get("TOOLBOX_BENCH_FILES", "50000"))
SIZES = (200, 1_000, 3_000, 6_000)
"""Bytes of the files, in turn: as those of packages are, most of them small."""


def bench_tree(bench: Bench) -> Iterator[Row]:
    """A checkpoint, a restore and a fork of many small files."""
    tree = bench.directory / "tree"
    make(tree)
    settings = f'[checkpoints.local]\ndirectory = "{bench.directory / "store"}"\n'
    with toolbox(settings) as server, Client(server, tree, bench.directory / "store") as client:
        limit = ("cp --reflink=auto -a", lambda: copy(tree))
        yield Row(f"checkpoint of {FILES} files", "s", client.make, limit, floor="<= 1.2x")
        kept = client.create()
        yield Row("the next, of which nothing has changed", "s", client.make, limit)
        yield Row(
            "restore of a directory that was emptied",
            "s",
            lambda: client.restore(kept, empty),
            limit,
            floor="<= 1.5x",
        )
        yield Row(
            "restore where every file was changed",
            "s",
            lambda: client.restore(kept, change),
            limit,
            floor="<= 1.5x",
        )
        yield Row(
            "restore where 10 files were changed",
            "s",
            lambda: client.restore(kept, lambda tree: change(tree, FILES // 10)),
            limit,
        )
        yield Row("fork", "s", lambda: client.fork(kept), limit, floor="<= 1.5x")


class Client:
    """The operations on one tree, in seconds. Outside of that, what they make is deleted."""

    def __init__(self, server: Server, tree: Path, store: Path) -> None:
        self._tree = tree
        self._trash = store / ".trash"
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=600,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._http.post(path, content=json.dumps(body).encode())
        response.raise_for_status()
        result: dict[str, Any] = response.json()
        assert result["complete"], result
        return result

    def create(self) -> str:
        made = self._post("/x/checkpoints", {"path": str(self._tree)})
        assert (made["files"], made["consistent"]) == (FILES, True)
        return str(made["id"])

    def delete(self, identity: str) -> None:
        self._http.delete(f"/x/checkpoints/{identity}").raise_for_status()
        # Removed by a helper, beside which nothing else is to be measured.
        while any(self._trash.iterdir()):
            time.sleep(0.05)

    def make(self) -> float:
        made: list[str] = []
        seconds = timed(lambda: made.append(self.create()))
        self.delete(made[0])
        return seconds

    def restore(self, identity: str, spoil: Any) -> float:
        spoil(self._tree)
        seconds = timed(lambda: self._post(f"/x/checkpoints/{identity}/restore", {}))
        found = sum(len(files) for _, _, files in os.walk(self._tree))
        assert found == FILES
        return seconds

    def fork(self, identity: str) -> float:
        target = self._tree.with_name("fork")
        path = f"/x/checkpoints/{identity}/fork"
        seconds = timed(lambda: self._post(path, {"path": str(target)}))
        shutil.rmtree(target)
        return seconds


def make(tree: Path) -> None:
    for number in range(FILES):
        directory = tree / f"package{number // 200}" / f"lib{number // 10 % 20}"
        if not number % 10:
            directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file{number % 10}.js").write_bytes(os.urandom(SIZES[number % len(SIZES)]))


def copy(tree: Path) -> float:
    target = tree.with_name("copy")
    command = ["cp", "--reflink=auto", "-a", str(tree), str(target)]
    seconds = timed(lambda: subprocess.run(command, check=True))
    shutil.rmtree(target)
    return seconds


def empty(tree: Path) -> None:
    for path in tree.iterdir():
        shutil.rmtree(path)


def change(tree: Path, step: int = 1) -> None:
    """Change each file, or each ``step``-th."""
    for number, file in enumerate(sorted(tree.rglob("*.js"))):
        if not number % step:
            file.write_bytes(b"changed")
