"""Repositories: both backends against the git binary."""

from __future__ import annotations

import contextlib
import functools
import shutil
import statistics
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench import files
from bench.clients import TOKEN
from bench.frame import Bench
from bench.frame import Row
from bench.frame import Sample
from bench.frame import timed
from bench.memory import Watched
from bench.repositories import git
from bench.repositories import grow
from bench.repositories import make_history
from bench.repositories import make_tree
from bench.repositories import serving
from bench.servers import Server
from bench.servers import toolbox

BACKENDS = ("cli", "dulwich")
STATUS = ("status", "--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--no-renames")

LOG = ("log", "--format=%H%x00%an%x00%ae%x00%at%x00%B", "-z")


class Client:
    """The service, by each of its backends."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.quick = files.Client(server.port)
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=600,
        )

    def get(self, operation: str, path: Path) -> httpx.Response:
        return self._http.get(f"/git/{operation}", params={"path": str(path)}).raise_for_status()

    def post(self, operation: str, **body: Any) -> httpx.Response:
        return self._http.post(f"/git/{operation}", json=body).raise_for_status()


@contextlib.contextmanager
def clients() -> Iterator[dict[str, Client]]:
    """A service with each backend."""
    with contextlib.ExitStack() as stack:
        yield {
            backend: Client(stack.enter_context(toolbox(f'[git]\nbackend = "{backend}"\n')))
            for backend in BACKENDS
        }


def bench_status(bench: Bench) -> Iterator[Row]:
    """A clean working tree."""
    with clients() as services:
        for count in (10_000, 50_000):
            tree = make_tree(bench.directory / str(count), count)
            for backend, client in services.items():
                yield Row(
                    f"status, {count:,} files, {backend}",
                    unit="s",
                    ours=timing(client.get, "status", tree),
                    limit=("git", timing(git, tree, *STATUS)),
                    floor="<= 6x",
                    stretch="<= 3x",
                )


def bench_add(bench: Bench) -> Iterator[Row]:
    """New files into the index."""
    tree = make_tree(bench.directory / "tree", 2_000)
    with clients() as services:
        for backend, client in services.items():
            add = functools.partial(client.post, "add", path=str(tree), files=["."])
            yield Row(
                f"add 2,000 files, {backend}",
                unit="s",
                ours=anew(tree, add),
                limit=("git", anew(tree, functools.partial(git, tree, "add", "-A"))),
                floor="<= 6x",
                stretch="<= 3x",
                rounds=3,
            )


def timing(action: Callable[..., object], *arguments: object) -> Callable[[], float]:
    """Seconds ``action`` takes."""
    return lambda: timed(lambda: action(*arguments))


def history(client: Client, repository: Path) -> None:
    """Ask for it by a client that costs less than the operation."""
    client.quick.send("GET", "/git/history", path=repository)
    client.quick.receive()


def often(action: Callable[[], object]) -> Callable[[], float]:
    """Seconds ``action`` takes, the median of several times: it is short."""
    return lambda: statistics.median(timed(action) for _ in range(9))


def anew(tree: Path, action: Callable[[], object]) -> Callable[[], float]:
    """Seconds ``action`` takes in a repository that knows nothing yet."""

    def run() -> float:
        shutil.rmtree(tree / ".git")
        git(tree, "init", "-q")
        return timed(action)

    return run


def bench_log(bench: Bench) -> Iterator[Row]:
    """Histories without files."""
    with clients() as services:
        for count, floor, stretch in (
            (1, "<= 1.8x", "<= 1.3x"),
            (100, "<= 1.8x", "<= 1.3x"),
            (10_000, "", ""),
        ):
            repository = make_history(bench.directory / str(count), count)
            limit = functools.partial(git, repository, *LOG)
            for backend, client in services.items():
                yield Row(
                    f"log of {count:,} commits, {backend}",
                    unit="s",
                    ours=often(functools.partial(history, client, repository)),
                    limit=("git", often(limit)),
                    floor=floor,
                    stretch=stretch,
                )


def bench_clone(bench: Bench) -> Iterator[Row]:
    """5,000 files and 500 commits, over HTTP and from the disk."""
    source = make_tree(bench.directory / "source", 5_000, size=2_000)
    grow(source, 500)
    git(source, "gc", "-q")
    git(source, "config", "http.receivepack", "true")
    targets = bench.directory / "targets"
    with clients() as services, serving(bench.directory) as url:
        for place, address in (("HTTP", f"{url}/source/.git"), ("disk", source.as_uri())):
            for backend, client in services.items():
                yield Row(
                    f"clone over {place}, {backend}",
                    unit="s",
                    ours=functools.partial(cloned, client, address, targets),
                    limit=("git", functools.partial(cloned_by_git, address, targets)),
                    floor="<= 2x",
                    stretch="<= 1.2x",
                    rounds=3,
                )


def cloned(client: Client, address: str, target: Path) -> Sample:
    """Clone; the seconds it takes, and the memory of what does it."""
    with Watched(client.server) as watched:
        seconds = fresh(target, lambda: client.post("clone", url=address, path=str(target)))
    return Sample(seconds, {"peak MB": watched.peak / 1e6})


def cloned_by_git(address: str, target: Path) -> float:
    """Seconds the binary takes."""
    return fresh(target, lambda: git(target.parent, "clone", "-q", address, str(target)))


def fresh(target: Path, action: Callable[[], object]) -> float:
    """Seconds ``action`` takes, without ``target`` at its begin."""
    shutil.rmtree(target, ignore_errors=True)
    return timed(action)
