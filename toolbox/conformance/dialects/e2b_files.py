"""E2B's envd: the file system over the Connect protocol, and contents of files."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlencode

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.dialects.e2b import REMOVE
from toolbox.conformance.dialects.e2b import TOKEN
from toolbox.conformance.dialects.e2b import stream
from toolbox.conformance.dialects.e2b import unary
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds
from toolbox.conformance.matching import Lacks

SERVICE = "filesystem.Filesystem"
FILE, DIRECTORY = "FILE_TYPE_FILE", "FILE_TYPE_DIRECTORY"


def call(procedure: str, has: Any = None, error: str = "", **message: Any) -> Call:
    """Return the call of a procedure."""
    return unary(f"{SERVICE}/{procedure}", has, error, **message)


def put(name: str, content: bytes) -> Call:
    """Return the call that writes a file."""
    return Call("POST", f"/files?path={{dir}}/{name}", form={"file": ("f", content)})


def get(name: str, content: bytes | None = None, **options: Any) -> Call:
    """Return the call that reads a file."""
    return Call("GET", f"/files?path={{dir}}/{name}", content=content, **options)


def stored(body: bytes, **headers: str) -> Call:
    """Return the call that writes the file ``a`` without a form."""
    kind = {"Content-Type": "application/octet-stream", **headers}
    return Call("POST", "/files?path={dir}/a", body=body, headers=kind)


def entry(**has: Any) -> dict[str, Any]:
    """Return what a response has that is one entry."""
    return {"entry": has}


def signed(operation: str, seconds: int | None = None) -> Any:
    """Return what signs a URL; it expires in so many seconds."""

    def sign(call: Call, token: str) -> Call:
        (path,) = parse_qs(call.path.partition("?")[2])["path"]
        end = "" if seconds is None else str(int(time.time()) + seconds)
        text = ":".join([path, operation, "", token, *([end] if end else [])])
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        query = {"path": path, "signature": f"v1_{digest}"}
        expiration = {"signature_expiration": end} if end else {}
        return dataclasses.replace(call, path=f"/files?{urlencode({**query, **expiration})}")

    return sign


def opened(operation: str, seconds: int | None = None, **options: Any) -> Call:
    """Return the call that reads a file by a signed URL, without a token."""
    return get("a", made=signed(operation, seconds), open=True, **options)


def watched(kind: str, **has: Any) -> Call:
    """Return the call for events, until there is this one."""
    event = {"events": Holds({"type": f"EVENT_TYPE_{kind}", **has})}
    return dataclasses.replace(call("GetWatcherEvents", event, watcherId="{watcher}"), until=True)


def case(name: str, *steps: Step) -> Case:
    """Return a case in a directory of its own."""
    return Case(name, (call("MakeDir", entry(type=DIRECTORY), path="{dir}"), *steps))


DATA = bytes(range(256)) * 100

FILESYSTEM = (
    case(
        "a file's entry",
        put("a", b"12"),
        # An int64 is a text in JSON.
        call(
            "Stat",
            entry(name="a", type=FILE, path="{dir}/a", size="2", mode=int, permissions=Has("-rw")),
            path="{dir}/a",
        ),
    ),
    case("a directory's entry", call("Stat", entry(type=DIRECTORY), path="{dir}")),
    Case("nothing there", [call("Stat", error="not_found", path="{dir}/none")]),
    # Clients turn this code into the False that make_dir returns.
    case("a directory that exists", call("MakeDir", error="already_exists", path="{dir}")),
    # As mkdir -p does.
    case("missing parents are made", call("MakeDir", entry(name="d"), path="{dir}/b/c/d")),
    case(
        "a move",
        put("a", b"x"),
        call("Move", entry(name="b"), source="{dir}/a", destination="{dir}/b"),
        get("b", b"x"),
        call("Stat", error="not_found", path="{dir}/a"),
    ),
    case("a move of nothing", call("Move", error="not_found", source="{dir}/a", destination="/b")),
    case(
        "a list",
        put("a", b"x"),
        put("b/c", b"x"),
        call("ListDir", {"entries": Holds({"name": "a", "type": FILE})}, path="{dir}"),
        call("ListDir", {"entries": Lacks({"name": "c"})}, path="{dir}", depth=1),
    ),
    # Paths are absolute at any level.
    case(
        "a list of two levels",
        put("b/c", b"x"),
        call("ListDir", {"entries": Holds({"path": "{dir}/b/c"})}, path="{dir}", depth=2),
    ),
    Case("a list of nothing", [call("ListDir", error="not_found", path="{dir}/none")]),
    # As rm -rf: a client that tries again must not fail.
    case(
        "a removal, twice",
        put("b/c", b"x"),
        call("Remove", path="{dir}/b"),
        call("Stat", error="not_found", path="{dir}/b"),
        call("Remove", path="{dir}/b"),
    ),
    # The first message says that changes are seen from now on.
    case(
        "a watch",
        stream(f"{SERVICE}/WatchDir", {"path": "{dir}"}, Holds({"start": {}}), first=1),
    ),
    # Sync clients have no thread for a stream.
    case(
        "a watch that is polled",
        dataclasses.replace(call("CreateWatcher", path="{dir}"), keep={"watcher": "watcherId"}),
        put("a", b"x"),
        watched("CREATE"),
        call("RemoveWatcher", watcherId="{watcher}"),
        call("GetWatcherEvents", error="not_found", watcherId="{watcher}"),
    ),
    Case("a watch of nothing", [call("CreateWatcher", error="not_found", path="{dir}/none")]),
    Case("no such procedure", [call("Nothing", error="unimplemented")]),
    Case("no token", [Call("POST", f"/{SERVICE}/Stat", json={}, status=401, open=True)]),
)
FILES = (
    case("bytes survive", put("a", DATA), get("a", DATA)),
    # New clients send what they stream so, and older ones a form.
    case("a body that is no form", stored(DATA), get("a", DATA)),
    case(
        "a compressed body",
        stored(gzip.compress(DATA, mtime=0), **{"Content-Encoding": "gzip"}),
        get("a", DATA),
    ),
    case("missing directories are made", put("b/c/d", b"x"), get("b/c/d", b"x")),
    # Without a path in the URL each part has its own, as its file name.
    case(
        "paths in a form",
        Call(
            "POST",
            "/files",
            form={"file": ("{dir}/b/c", b"x")},
            has=Holds({"name": "c", "path": "{dir}/b/c", "type": "file"}),
        ),
        get("b/c", b"x"),
    ),
    case("metadata", stored(b"x", **{"X-Metadata-Kind": "note"}), get("a", b"x")),
    case("a name with spaces", put("a%20b%26c", b"x"), get("a%20b%26c", b"x")),
    case("a file that is missing", get("none", status=404, has={"code": 404, "message": str})),
    case("a form without a file", Call("POST", "/files", form={"other": "x"}, status=400)),
    # For browsers and curl, which have no header with a token.
    case("a signed URL", put("a", b"x"), opened("read", content=b"x")),
    case("a signed URL with an end", put("a", b"x"), opened("read", 600, content=b"x")),
    case("a signed URL that has expired", put("a", b"x"), opened("read", -600, status=401)),
    # A signature is for one operation.
    case("a URL that is signed to write", put("a", b"x"), opened("write", status=401)),
    case(
        "a signed upload",
        dataclasses.replace(put("a", b"x"), made=signed("write"), open=True),
        get("a", b"x"),
    ),
    Case("no token", [get("a", status=401, open=True)]),
)

TABLES = (
    Table("filesystem", FILESYSTEM, token_header=TOKEN, cleanup=(REMOVE,)),
    Table("files", FILES, token_header=TOKEN, cleanup=(REMOVE,)),
)
