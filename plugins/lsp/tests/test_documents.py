"""The interpretation of URIs, notifications of documents, and errors of bad requests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import ProjectInvalid
from toolbox_lsp.operations import completion
from toolbox_lsp.paths import document_path
from toolbox_lsp.paths import project_path
from toolbox_lsp.paths import uri_path

MakeToy = Callable[..., Any]


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["source"] == "DAYTONA_DAEMON"
    return answer.status_code, body["code"]


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    for name in ("project/src", "project/project", "else"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("top.py", "project/top.py", "project/src/a.py", "project/a%20b.py", "else/b c.py"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("project")
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("file://{here}/project/src/a.py", "project/src/a.py"),
        ("file://{here}/link/src/a.py", "project/src/a.py"),
        ("file://{here}/project//src/../src/a.py", "project/src/a.py"),
        ("file://project/src/a.py", "project/src/a.py"),
        ("file://src/a.py", "project/src/a.py"),
        ("src/a.py", "project/src/a.py"),
        # What is in both is taken from where relative paths start, as the examples do.
        ("file://top.py", "top.py"),
        # A name that looks encoded goes before what it could be decoded to.
        ("file://a%20b.py", "project/a%20b.py"),
        ("file://{here}/else/b%20c.py", "else/b c.py"),
        ("file://else/b c.py", "else/b c.py"),
        ("file://gone.py", "project/gone.py"),
    ],
)
def test_document_path(work_dir: Path, uri: str, meant: str) -> None:
    project = work_dir / "project"
    found = document_path(uri.format(here=work_dir), project, work_dir)
    assert found == work_dir.resolve() / meant


@pytest.mark.parametrize(
    "text",
    ["project", "./project/", "link", "else/../project", "{here}/project//", "file://{here}/link"],
)
def test_every_spelling_is_one_project(work_dir: Path, text: str) -> None:
    assert project_path(text.format(here=work_dir), work_dir) == (work_dir / "project").resolve()


def test_paths_that_are_none(work_dir: Path) -> None:
    for text in ("nowhere", "top.py", "a\0b"):
        with pytest.raises(ProjectInvalid):
            project_path(text, work_dir)
    for uri in ("file://a\0b", "file:///a%00b"):
        with pytest.raises(DocumentUnreadable):
            document_path(uri, work_dir, work_dir)


def test_uri_path() -> None:
    odd = Path(os.fsdecode(b"/a b/\xff#?%.py"))
    assert uri_path(odd.as_uri()) == odd
    assert uri_path("file:///a@b") == uri_path("file:///a%40b") == Path("/a@b")
    assert uri_path("untitled:Untitled-1") is None


def test_two_projects_two_servers_two_spellings_one(make_toy: MakeToy) -> None:
    toy = make_toy()
    (toy.service.work_dir / "other").mkdir()
    (toy.service.work_dir / "link").symlink_to("project")
    for path in ("project", "project/", "./project", "link", str(toy.directory)):
        toy.path = path
        assert toy.start().status_code == 200
    assert len(toy.pids()) == 1
    toy.path = "other"
    assert toy.start().status_code == 200
    assert len(toy.pids()) == 2
    toy.stop()
    toy.path = "link"
    assert toy.call("/lsp/did-open", uri=toy.write("a.toy", "Toy")).status_code == 200
    assert len(toy.alive()) == 1


def test_the_server_is_told_of_every_change_once(make_toy: MakeToy) -> None:
    toy = make_toy(more="language_ids = {'.toyx' = 'toyextended'}")
    toy.start()
    uri = toy.write("a b.toyx", "one")
    toy.call("/lsp/did-open", uri=uri)
    toy.call("/lsp/did-open", uri=uri)
    toy.symbols(uri)
    toy.write("a b.toyx", "two")
    toy.symbols(uri)
    toy.symbols(uri)
    toy.call("/lsp/did-close", uri=uri)
    toy.call("/lsp/did-close", uri=uri)
    toy.stop()
    notified = [
        (entry["method"].partition("/")[2], entry["params"])
        for entry in toy.received()
        if entry.get("method", "").startswith("textDocument/did")
    ]
    proper = (toy.directory / "a b.toyx").as_uri()
    assert proper.endswith("/a%20b.toyx")
    opened = {"uri": proper, "version": 1, "languageId": "toyextended", "text": "one"}
    changed = {"uri": proper, "version": 2}
    assert notified == [
        ("didOpen", {"textDocument": opened}),
        ("didChange", {"textDocument": changed, "contentChanges": [{"text": "two"}]}),
        ("didSave", {"textDocument": {"uri": proper}}),
        ("didClose", {"textDocument": {"uri": proper}}),
    ]


def test_documents_that_can_not_be_read(make_toy: MakeToy) -> None:
    toy = make_toy()
    toy.start()
    os.mkfifo(toy.directory / "pipe.toy")
    (toy.directory / "large.toy").touch()
    os.truncate(toy.directory / "large.toy", 17 * 1024 * 1024)
    for name in ("gone.toy", "pipe.toy", "large.toy", ".", "a\0b", "x" * 300):
        for answer in (
            toy.call("/lsp/did-open", uri=f"file://{toy.path}/{name}"),
            toy.symbols(f"file://{toy.path}/{name}"),
        ):
            assert answer.status_code == 400, name
            assert answer.json()["message"]
    gone = toy.call("/lsp/did-open", uri="file://gone.toy")
    assert error(gone) == (400, "LSP_DOCUMENT_UNREADABLE")
    assert "gone.toy: No such file or directory" in gone.json()["message"]


def test_a_document_that_is_deleted_can_be_closed(make_toy: MakeToy) -> None:
    toy = make_toy()
    toy.start()
    uri = toy.write("a.toy", "Toy")
    toy.call("/lsp/did-open", uri=uri)
    (toy.directory / "a.toy").unlink()
    assert toy.symbols(uri).status_code == 400
    proper = (toy.directory / "a.toy").as_uri()
    assert toy.call("/lsp/did-close", uri=proper).status_code == 200
    toy.wait_for("textDocument/didClose")


def test_bad_requests(make_toy: MakeToy) -> None:
    toy = make_toy()
    post, get = toy.service.http.post, toy.service.http.get
    toy.start()
    uri = toy.write("a.toy", "Toy")
    invalid = (400, "INVALID_REQUEST_BODY")
    assert error(post("/lsp/start")) == invalid
    assert error(post("/lsp/start", json={"languageId": "toy"})) == invalid
    assert error(post("/lsp/start", json={"languageId": "", "pathToProject": "x"})) == invalid
    assert error(toy.call("/lsp/did-open")) == invalid
    for position in (None, {}, {"line": -1, "character": 0}, {"line": 0, "character": 2**40}):
        assert error(toy.call("/lsp/completions", uri=uri, position=position)) == invalid
    zero = {"line": 0, "character": 0}
    context = {"triggerKind": 0}
    assert error(toy.call("/lsp/completions", uri=uri, position=zero, context=context)) == invalid
    assert error(get("/lsp/document-symbols")) == (400, "BAD_REQUEST")
    assert error(toy.get("/lsp/workspacesymbols", query="")) == (400, "BAD_REQUEST")
    toy.path = "nowhere"
    assert error(toy.call("/lsp/start")) == (400, "LSP_PROJECT_INVALID")


def test_answers_are_never_null(make_toy: MakeToy) -> None:
    """And symbols are flat, though the toy's are nested."""
    toy = make_toy()
    toy.start()
    uri = toy.write("a.toy", "Toy")
    assert toy.complete(uri).json() == {"isIncomplete": False, "items": []}
    symbols = toy.symbols(uri).json()
    assert [symbol["name"] for symbol in symbols] == ["Toy", "inner"]
    assert all(
        symbol["location"]["uri"] == (toy.directory / "a.toy").as_uri() for symbol in symbols
    )
    # It has no workspace symbols of its own.
    found = toy.get("/lsp/workspacesymbols", query="toy").json()
    assert [symbol["name"] for symbol in found] == ["Toy"]
    assert toy.get("/lsp/workspacesymbols", query="elsewhere").json() == []


def test_what_the_server_can_not_do(make_toy: MakeToy) -> None:
    toy = make_toy()
    toy.start()
    place = {"uri": toy.write("a.toy", "Toy"), "position": {"line": 0, "character": 0}}
    for operation in ("definition", "references", "rename", "formatting"):
        answer = toy.call(f"/x/lsp/{operation}", **place, newName="x")
        assert error(answer) == (501, "LSP_FEATURE_MISSING")
    hover = toy.call("/x/lsp/hover", **place).json()
    assert hover == {"kind": "markdown", "value": "a *toy*\n\n```toy\nToy()\n```", "range": None}


def test_published_diagnostics(make_toy: MakeToy) -> None:
    toy = make_toy("publishes")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    found = toy.call("/x/lsp/diagnostics", uri=uri, wait=60).json()
    assert found["complete"] is True
    assert [each["message"] for each in found["diagnostics"]] == ["toy trouble"] * 2
    assert found["diagnostics"][0]["code"] == "7"


def test_silence_is_no_clean_bill(make_toy: MakeToy) -> None:
    toy = make_toy()
    toy.start()
    found = toy.call("/x/lsp/diagnostics", uri=toy.write("a.toy", "Toy"), wait=0.2).json()
    assert (found["complete"], found["diagnostics"]) == (False, [])


@pytest.mark.parametrize("given", ["words", {"kind": "plaintext", "value": "words"}])
def test_documentation_is_an_object(given: Any) -> None:
    """The SDKs refuse text, which servers may send (LSP 3.17)."""
    item = msgspec.convert({"label": "x", "documentation": given}, completion._Item)
    shown = msgspec.to_builtins(completion._reduce(item, ""))
    assert shown == {"label": "x", "documentation": {"kind": "plaintext", "value": "words"}}
