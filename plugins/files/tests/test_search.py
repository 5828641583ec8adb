from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_files.helpers import lines
from toolbox_files.helpers import ripgrep
from toolbox_files.helpers import search_main
from toolbox_files.helpers.search_main import Task
from toolbox_files.search.process import find_ripgrep

from toolbox.filenames import decode_name
from toolbox.patterns.globs import compile_glob
from toolbox.processes import descendants
from toolbox.testing import Service

RG = find_ripgrep()
EVERYTHING = {"path": "/", "pattern": "*"}


def run(**fields: Any) -> list[Any]:
    found: list[bytes] = []
    search_main.run(Task(**fields), found.append)
    return [json.loads(line) for line in b"".join(found).splitlines()]


def search(service: Service, path: Path | str, pattern: str, **query: Any) -> list[str]:
    params = {"path": str(path), "pattern": pattern, **query}
    answer = service.http.get("/files/search", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    files: list[str] = answer.json()["files"]
    return files


def find(
    service: Service, path: Path | str, pattern: str, **query: Any
) -> list[tuple[str, int, str]]:
    params = {"path": str(path), "pattern": pattern, **query}
    answer = service.http.get("/files/find", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    return [(each["file"], each["line"], each["content"]) for each in answer.json()]


# Globs


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.txt", ["a.txt", ".txt", "日.txt"], ["a.TXT", "a.txt2"]),
        ("*", ["a", ".hidden", "a\nb"], []),
        ("a?c", ["abc", "a日c", "a\nc"], ["ac", "abbc"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[^a-c]x", ["dx", "!x"], ["ax"]),
        ("[!a-c]x", ["dx", "^x"], ["ax"]),
        ("[a^]", ["a", "^"], ["b"]),
        (r"\*", ["*"], ["a"]),
        (r"[\]\-]", ["]", "-"], ["\\"]),
        ("{a,b}", ["{a,b}"], ["a"]),
        ("**", ["a", ""], []),
        ("*a*b*", ["ab", "xaybz"], ["ba"]),
        ("[z-a]", [], ["a", "z", "-"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_globs(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = compile_glob(pattern)
    assert matches is not None
    assert [name for name in [*matching, *other] if matches(name)] == matching


@pytest.mark.parametrize("pattern", ["[", "[a", "[]", "[]a]", "[a-", "[a-]", "[-a]", "a\\", "[\\"])
def test_malformed_globs(pattern: str) -> None:
    assert compile_glob(pattern) is None


@given(st.text("ab*?.", max_size=12), st.text("ab.\n", max_size=12))
def test_globs_are_those_of_fnmatch(pattern: str, name: str) -> None:
    matches = compile_glob(pattern)
    assert matches is not None
    assert matches(name) == fnmatch.fnmatchcase(name, pattern)


def test_a_glob_of_many_stars_takes_no_time() -> None:
    matches = compile_glob("*a" * 60 + "b")
    assert matches is not None
    assert not matches("a" * 255)


# Names


def test_names_of_files_and_directories_in_order(service: Service, tmp_path: Path) -> None:
    (tmp_path / "b.txt").mkdir()
    (tmp_path / "b.txt" / "z.txt").touch()
    (tmp_path / "a.txt").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".txt").touch()
    (tmp_path / "c.txt").symlink_to(tmp_path)
    expected = ["a/.txt", "a.txt", "b.txt", "b.txt/z.txt", "c.txt"]
    assert search(service, tmp_path, "*.txt") == [f"{tmp_path}/{name}" for name in expected]


def test_the_root_itself_is_searched_too(service: Service, tmp_path: Path) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert search(service, tmp_path / "tree", "tr*") == [f"{tmp_path}/tree"]
    assert search(service, tmp_path / "file", "fil?") == [f"{tmp_path}/file"]
    assert search(service, tmp_path / "file", "x") == []


def test_relative_roots_give_relative_paths(service: Service) -> None:
    (service.work_dir / "rel" / "sub").mkdir(parents=True, exist_ok=True)
    (service.work_dir / "rel" / "sub" / "hello.txt").touch()
    assert search(service, "./rel/", "*.txt") == ["rel/sub/hello.txt"]
    assert search(service, ".", "hello*") == ["rel/sub/hello.txt"]
    assert search(service, "rel/../rel", "hello*") == ["rel/../rel/sub/hello.txt"]
    absolute = f"{service.work_dir}/rel"
    assert search(service, f"//{absolute}//", "hello*") == [f"{absolute}/sub/hello.txt"]


def test_a_root_that_is_a_link_is_entered_others_are_not(service: Service, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("text")
    (tmp_path / "real" / "self").symlink_to(".")
    (tmp_path / "link").symlink_to("real")
    assert search(service, tmp_path / "link", "file") == [f"{tmp_path}/link/file"]
    assert find(service, tmp_path / "link", "text") == [(f"{tmp_path}/link/file", 1, "text")]


@pytest.mark.parametrize("operation", ["search", "find"])
def test_ac_56_nothing_found_is_an_empty_list(
    service: Service, tmp_path: Path, operation: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "loop", "/dev/null"):
        params = {"path": str(path), "pattern": "[x"}
        answer = service.http.get(f"/files/{operation}", params=params)
        assert answer.status_code == 200
        assert answer.json() == ({"files": []} if operation == "search" else [])


@pytest.mark.parametrize("operation", ["search", "find"])
def test_searches_need_path_and_pattern(service: Service, operation: str) -> None:
    for params in ({"path": "/tmp"}, {"pattern": "x"}, {"path": "", "pattern": "x"}):
        assert service.http.get(f"/files/{operation}", params=params).status_code == 400
    params = {"path": "/tmp", "pattern": ""}
    assert service.http.get(f"/files/{operation}", params=params).status_code == 400
    params = {"path": "a\0b", "pattern": "x"}
    answer = service.http.get(f"/files/{operation}", params=params)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILE_PATH")


def test_names_that_are_not_utf8_are_found(service: Service, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("text")
    expected = f"{tmp_path}/caf\U0010f7e9"
    for pattern in ("caf?", "caf\U0010f7e9", "*\U0010f7e9", "caf[\U0010f7e0-\U0010f7ef]"):
        assert search(service, tmp_path, pattern) == [expected]
    assert find(service, tmp_path, "text") == [(expected, 1, "text")]


# Lines


def test_lines_are_found_literally(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one.two\r\n\r\none+two\nlast one.two")
    (tmp_path / "binary").write_bytes(b"x\0one.two")
    (tmp_path / "late-nul").write_bytes(b"x" * 512 + b"\0one.two\n")
    (tmp_path / "latin").write_bytes(b"caf\xe9 one.two")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_bytes(b"one.two")
    (tmp_path / ".gitignore").write_bytes(b"*\n")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    assert find(service, tmp_path, "one.two") == [
        (f"{tmp_path}/.git/config", 1, "one.two"),
        (f"{tmp_path}/a", 1, "one.two"),
        (f"{tmp_path}/a", 4, "last one.two"),
        (f"{tmp_path}/late-nul", 1, "x" * 512 + "\0one.two"),
        (f"{tmp_path}/latin", 1, "caf\N{REPLACEMENT CHARACTER} one.two"),
    ]
    assert find(service, tmp_path / "a", "last") == [(f"{tmp_path}/a", 4, "last one.two")]
    assert find(service, tmp_path, "one.two\r") == []
    assert find(service, tmp_path, "\n") == []
    assert find(service, tmp_path, "ONE.TWO") == []


def test_ac_58_office_files_are_binary(service: Service, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr("word/document.xml", "x" * 600 + "needle")
    (tmp_path / "letter.txt").write_text("needle")
    assert b"needle" in (tmp_path / "letter.docx").read_bytes()
    assert find(service, tmp_path, "needle") == [(f"{tmp_path}/letter.txt", 1, "needle")]


def test_lines_may_be_longer_than_any_buffer(service: Service, tmp_path: Path) -> None:
    long = b"x" * (lines.CHUNK - 3) + b"needle" + b"y" * (3 * lines.CHUNK)
    (tmp_path / "file").write_bytes(b"first needle\n" + long + b"\nnone\n" + b"last needle")
    found = find(service, tmp_path, "needle")
    assert [(line, len(content)) for _, line, content in found] == [
        (1, 12),
        (2, lines.MAX_CONTENT),
        (4, 11),
    ]


def test_limits_make_pages(service: Service, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_text("text\n" * 2)
    params: dict[str, str | int] = {"path": str(tmp_path), "pattern": "text", "limit": 4}
    first = service.http.get("/files/find", params=params)
    rest = service.http.get("/files/find", params={**params, "offset": 4, "limit": 6})
    assert (len(first.json()), first.headers["x-truncated"]) == (4, "limit")
    assert (len(rest.json()), rest.headers.get("x-truncated")) == (6, None)
    assert (
        first.json() + rest.json()
        == service.http.get("/files/find", params={"path": str(tmp_path), "pattern": "text"}).json()
    )


def test_skipped_directories_are_not_entered(service: Service, tmp_path: Path) -> None:
    for name in ("node_modules", "src", "a*", "a!"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    skip = ["node_modules", "a*"]
    expected = [f"{tmp_path}/{name}/file" for name in ("a!", "src")]
    assert search(service, tmp_path, "file", skip=skip) == expected
    assert [file for file, _, _ in find(service, tmp_path, "text", skip=skip)] == expected
    assert search(service, tmp_path / "src", "file", skip=["src"]) == [f"{tmp_path}/src/file"]


def test_a_search_ends_when_its_time_is_over(service: Service) -> None:
    params: dict[str, str | float] = {"path": "/", "pattern": "*", "seconds": 0.05}
    answer = service.http.get("/files/search", params=params)
    assert answer.status_code == 200
    assert answer.headers["x-truncated"] == "time"
    assert isinstance(answer.json()["files"], list)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that takes minutes to search, without a result."""
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.write(b"x" * lines.SNIFFED)
        file.truncate(1024**4)
    return path


def helpers(service: Service) -> list[int]:
    (worker,) = service.workers()
    return [pid for pid in descendants(worker) if b"helpers.search_main" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("bounds", [{}, {"seconds": 3600}])
def test_a_client_that_goes_away_ends_the_search(
    service: Service, endless: Path, bounds: dict[str, int]
) -> None:
    before = len(service.log())
    query = urlencode({"path": endless, "pattern": "needle", **bounds})
    head = f"GET /files/find?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}"
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(f"{head}\r\n\r\n".encode())
        service.wait_for(lambda: helpers(service), "the helper")
        client.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: client.recv(65536), b""))
    service.wait_for(lambda: not helpers(service), "the end of the helper")
    # It may still listen: what it gets doesn't look like all there is.
    assert b" 408 " in said if bounds else said.endswith(b"\r\n\r\n1\r\n[\r\n")
    assert "Traceback" not in service.log()[before:]


def test_a_helper_that_is_killed_cuts_the_answer(service: Service, endless: Path) -> None:
    params = {"path": str(endless), "pattern": "needle"}
    with service.http.stream("GET", "/files/find", params=params) as answer:
        (helper,) = helpers(service)
        os.kill(helper, signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


# Both engines against each other, and against the plain definition


PIECES = st.lists(
    st.sampled_from(
        [b"ab", b"a", b"b", b"\n", b"\r\n", b"\r", b"\0", b"\xff\xfe", b"\xc3\xa9", b"."]
    )
).map(b"".join)
CONTENTS = PIECES | st.tuples(PIECES, st.just(b"x" * 600), PIECES).map(b"".join)
NAMES = st.sampled_from([b"a", b"b", b".git", b"a.b", b"a b", b"\xff", b"\xc3\xa9", b"B", b"-x"])
TREES = st.recursive(
    CONTENTS, lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=12
)
PATTERNS = st.text("ab.\r\0é", min_size=1, max_size=3)


def plant(path: bytes, tree: bytes | dict[bytes, Any]) -> None:
    if isinstance(tree, bytes):
        Path(os.fsdecode(path)).write_bytes(tree)
        return
    os.mkdir(path)
    for name, below in tree.items():
        plant(path + b"/" + name, below)


def planted(tree: Any, use: Callable[[str], Any]) -> Any:
    directory = tempfile.mkdtemp(prefix="toolbox-test-")
    try:
        plant(os.fsencode(directory) + b"/root", tree)
        return use(directory + "/root")
    finally:
        shutil.rmtree(directory)


def plain_lines(root: bytes, pattern: bytes) -> list[tuple[bytes, int, bytes]]:
    found = []
    paths = [root]
    for directory, _, files in os.walk(root):
        paths += [directory + b"/" + name for name in files]
    for path in sorted(paths, key=lambda each: each.split(b"/")):
        if os.path.isdir(path):
            continue
        data = Path(os.fsdecode(path)).read_bytes()
        if b"\0" in data[:512]:
            continue
        for number, line in enumerate(re.split(rb"\n", data), 1):
            content = line.removesuffix(b"\r")
            if pattern in content:
                found.append((path, number, content))
    return found


@settings(deadline=None)
@given(TREES, PATTERNS)
def test_the_walk_finds_what_the_definition_says(tree: Any, pattern: str) -> None:
    def use(root: str) -> None:
        found = run(kind="lines", root=root, shown=root, pattern=pattern)
        assert [(each["file"], each["line"], each["content"]) for each in found] == [
            (decode_name(path), number, content.decode("utf-8", "replace"))
            for path, number, content in plain_lines(os.fsencode(root), pattern.encode())
        ]

    planted(tree, use)


@pytest.mark.skipif(not RG, reason="ripgrep is not installed")
@settings(deadline=None)
@given(TREES, PATTERNS, st.lists(st.sampled_from([".git", "a", "a b", "-x"]), max_size=2))
def test_ripgrep_changes_no_result(tree: Any, pattern: str, skip: list[str]) -> None:
    def use(root: str) -> None:
        task = {"kind": "lines", "root": root, "pattern": pattern, "skip": skip}
        for shown in (root, "."):
            assert run(**task, shown=shown, rg=RG) == run(**task, shown=shown)

    planted(tree, use)


@pytest.mark.skipif(not RG, reason="ripgrep is not installed")
def test_lines_that_are_too_long_for_ripgrep_are_searched_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.write(b"x" * (64 * 1024 * 1024) + b"needle")
    task: dict[str, Any] = {"kind": "lines", "root": str(tmp_path), "shown": "."}
    task["pattern"] = "needle"
    assert ripgrep.files_with_text(RG, str(tmp_path), ".", b"needle", []) is not None
    monkeypatch.setattr(ripgrep, "MAX_MEMORY", 32 * 1024 * 1024)
    assert ripgrep.files_with_text(RG, str(tmp_path), ".", b"needle", []) is None
    assert run(**task, rg=RG) == run(**task)


@settings(deadline=None)
@given(CONTENTS, st.integers(1, 9), st.text("ab.\ré", min_size=1, max_size=3))
def test_files_of_any_length_are_scanned_alike(content: bytes, chunk: int, pattern: str) -> None:
    def use(path: str) -> list[tuple[int, bytes]]:
        return list(lines.matching_lines(path, pattern.encode(), bytearray(chunk)))

    small = planted(content, use)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", chunk)
        patch.setattr(lines, "SNIFFED", chunk)
        if b"\0" not in content:
            assert planted(content, use) == small
            plain = [line.removesuffix(b"\r") for line in content.split(b"\n")]
            assert small == [
                (number, line) for number, line in enumerate(plain, 1) if pattern.encode() in line
            ]
