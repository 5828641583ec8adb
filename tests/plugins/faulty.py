"""Operations that go wrong in each way an operation can, and the answers of every kind."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from werkzeug.datastructures import Headers

from toolbox import hookimpl
from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.group import Group
from toolbox.lifecycle import Context
from toolbox.multipart import read_parts
from toolbox.plugins import BackendSpec
from toolbox.plugins import NoSettings
from toolbox.request import Body
from toolbox.response import FileResponse
from toolbox.response import JsonResponse
from toolbox.response import MultipartResponse
from toolbox.response import StreamResponse
from toolbox.response import TextResponse


class Faulty:
    """Holds what the operations share."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self.work_dir = context.work_dir
        self.stopping = context.stopping
        self.waiting = threading.Semaphore(0)
        self.release = threading.Event()
        self.drained = threading.Event()


class Received(msgspec.Struct):
    """What came of a multipart body."""

    parts: list[tuple[str, str | None, int]]


class Path_(msgspec.Struct):
    """A file."""

    path: str


group = Group("faulty", backend=Faulty, default_backend="local")


@group.get("/faulty/bug")
def bug(backend: Faulty) -> None:
    """Divide by a secret."""
    raise ZeroDivisionError("the secret is swordfish")


@group.get("/faulty/refused/{name}")
def refuse_by_name(backend: Faulty, name: str) -> None:
    """Refuse what is asked for, by its name."""
    raise BadRequest(f"{name} is refused")


@group.get("/faulty/errno/{number}")
def fail(backend: Faulty, number: int) -> None:
    """Fail as the kernel would."""
    raise OSError(number, os.strerror(number), "/some/file")


@group.get("/faulty/full")
def full(backend: Faulty) -> None:
    """Fail for want of space."""
    raise OSError(errno.ENOSPC, "No space left on device")


@group.post("/faulty/refuse", errors=(Conflict,))
def refuse(backend: Faulty, body: Body) -> None:
    """Refuse an upload without having read it."""
    raise Conflict("no")


@group.post("/faulty/count")
def count(backend: Faulty, body: Body) -> dict[str, int]:
    """Count the bytes of the body."""
    return {"bytes": sum(len(chunk) for chunk in body)}


@group.post("/faulty/unread")
def unread(backend: Faulty, body: Body) -> dict[str, int]:
    """Respond without a look at the body."""
    return {"length": body.length or 0}


@group.post("/faulty/echo")
def echo(backend: Faulty, body: Body) -> StreamResponse:
    """Send the body back while it comes."""
    return StreamResponse(body)


@group.get("/faulty/rest/{rest:path}")
def rest(backend: Faulty, rest: str) -> dict[str, str]:
    """Tell what is left of the path."""
    return {"rest": rest}


@group.get("/faulty/endless")
def endless(backend: Faulty) -> StreamResponse:
    """Send a stream that has no end of its own."""

    def chunks() -> Iterator[bytes]:
        yield b"begun"
        backend.stopping.wait()
        yield b", ended"

    return StreamResponse(chunks())


@group.post("/faulty/parts")
def parts(backend: Faulty, body: Body) -> Received:
    """Count the bytes of each part."""
    return Received(
        [(part.name, part.filename, sum(len(chunk) for chunk in part)) for part in read_parts(body)]
    )


@group.get("/faulty/file")
def file(backend: Faulty, query: Path_) -> FileResponse:
    """Send a file."""
    return FileResponse(Path(backend.work_dir, query.path).open("rb", buffering=0))


@group.get("/faulty/text")
def text(backend: Faulty) -> TextResponse:
    """Send text."""
    return TextResponse("text", status=203, headers={"X-Extra": "1"})


@group.get("/faulty/answer")
def answer(backend: Faulty) -> JsonResponse:
    """Send JSON with a status of its own."""
    return JsonResponse({"a": 1}, status=202, headers={"X-Extra": "2"})


@group.get("/faulty/stream")
def stream(backend: Faulty) -> StreamResponse:
    """Send a stream that breaks off."""

    def chunks() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("the stream broke")

    return StreamResponse(chunks())


@group.get("/faulty/multipart")
def multipart(backend: Faulty) -> MultipartResponse:
    """Send two parts."""
    disposition = 'form-data; name="file"; filename="%s"'
    return MultipartResponse(
        (Headers({"Content-Disposition": disposition % name}), [name.encode()]) for name in "ab"
    )


@group.get("/faulty/wait")
def wait(backend: Faulty) -> None:
    """Occupy a thread until told otherwise."""
    backend.waiting.release()
    backend.release.wait(60)


@group.get("/faulty/hang")
def hang(backend: Faulty) -> None:
    """Keep the interpreter for good: a regular expression lets nobody else have it."""
    re.fullmatch("(a+)+", "a" * 64 + "b")


@group.get("/faulty/waiting/{number}")
def wait_for_waiting(backend: Faulty, number: int) -> None:
    """Return when that many threads are occupied."""
    for _ in range(number):
        assert backend.waiting.acquire(timeout=60)


@group.post("/faulty/release")
def release(backend: Faulty) -> None:
    """Tell the occupied threads to go on."""
    backend.release.set()


@group.get("/faulty/until/{name}")
def wait_until(backend: Faulty, name: str) -> dict[str, str]:
    """Return when there is a file of that name."""
    backend.waiting.release()
    while not Path(backend.work_dir, name).exists():
        time.sleep(0.01)
    return {"found": name}


@hookimpl
def toolbox_group() -> Group:
    """Add the group."""
    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    """Offer its backend."""
    return [BackendSpec(group="faulty", name="local", target="faulty:Faulty")]
