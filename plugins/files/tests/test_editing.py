from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolbox_files.errors import EditMismatch
from toolbox_files.models import Insertion
from toolbox_files.models import Replacement
from toolbox_files.text import edits
from toolbox_files.text.edits import apply_edits

from toolbox.testing import Service


def replace(old: str, new: str, **more: int) -> dict[str, Any]:
    return {"type": "replace", "oldText": old, "newText": new, **more}


def insert(line: int, text: str) -> dict[str, Any]:
    return {"type": "insert", "afterLine": line, "newText": text}


def edit(service: Service, path: Path, *edits: dict[str, Any], **headers: str) -> Any:
    body = {"path": str(path), "edits": edits}
    return service.http.post("/x/files/edit", json=body, headers=headers)


def outcome(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def written(path: Path) -> tuple[int, int]:
    """Return values that change when the file is written, but not when it is read."""
    info = path.stat()
    return info.st_ino, info.st_mtime_ns


def test_edits_follow_one_another(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one\ntwo two\n\xff")
    file.chmod(0o741)
    answer = edit(
        service, file, replace("one", "1\n\u00e9"), replace("two", "2", count=2), insert(0, "zero")
    )
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"lines": [[1], [3, 3], [1]]}
    assert file.read_bytes() == "zero\n1\né\n2 2\n".encode() + b"\xff"
    assert file.stat().st_mode & 0o777 == 0o741
    query = {"path": str(file)}
    etag = service.http.get("/files/download", params=query).headers["etag"]
    assert answer.headers["etag"] == etag


def test_a_text_must_occur_as_often_as_expected(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a\nb\na\n")
    before = written(file)
    several = edit(service, file, replace("b", "c"), replace("a", "x"))
    assert outcome(several) == (422, "EDIT_MISMATCH")
    assert several.json()["message"] == "edit 2: expected 1 occurrences, found 2 (lines 1, 3)"
    absent = edit(service, file, replace("z", "x"))
    assert absent.json()["message"] == "edit 1: expected 1 occurrences, found 0"
    behind = edit(service, file, insert(4, "x"))
    assert behind.json()["message"] == "edit 1: no line 4, the file has 3 lines"
    assert written(file) == before
    file.write_text("a" * 100)
    assert edit(service, file, replace("a", "x")).json()["message"].endswith("1, 1, ...)")


def test_edits_are_conditional(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    first = edit(service, file, replace("a", "b"))
    etag = first.headers["etag"]
    assert edit(service, file, replace("b", "c"), **{"If-Match": etag}).status_code == 200
    late = edit(service, file, replace("c", "d"), **{"If-Match": etag})
    assert outcome(late) == (412, "PRECONDITION_FAILED")
    assert file.read_text() == "c"
    assert edit(service, file, replace("c", "d"), **{"If-Match": "*"}).status_code == 200


def test_f_a2_a_file_with_several_names_is_apply_edits(service: Service, tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("a b")
    os.link(file, other)
    first = edit(service, file, replace("a", "longer"))
    assert first.status_code == 200, first.text
    etag = first.headers["etag"]
    query = {"path": str(other)}
    # By its other name, and conditionally.
    done = service.http.post(
        "/files/upload-v2", params=query, content=b"new", headers={"If-Match": etag}
    )
    assert done.status_code == 200, done.text
    assert outcome(edit(service, file, replace("new", "x"), **{"If-Match": etag})) == (
        412,
        "PRECONDITION_FAILED",
    )
    assert (file.read_text(), other.read_text()) == ("new", "new")


def test_an_edit_that_changes_nothing_writes_nothing(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    before = written(file)
    assert edit(service, file, replace("a", "a")).status_code == 200
    assert written(file) == before


def test_what_can_not_be_apply_edits(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = replace("a", "b")
    assert outcome(edit(service, tmp_path / "absent", change)) == (404, "FILE_NOT_FOUND")
    assert outcome(edit(service, tmp_path, change)) == (400, "INVALID_FILE_PATH")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(edits.MAX_SIZE + 1)
    assert outcome(edit(service, tmp_path / "large", change)) == (413, "CONTENT_TOO_LARGE")
    (tmp_path / "file").write_text("a" * 1000)
    growing = replace("a", "b" * (edits.MAX_SIZE // 1000 + 1), count=1000)
    assert outcome(edit(service, tmp_path / "file", growing)) == (413, "CONTENT_TOO_LARGE")
    (tmp_path / "file").write_text("a")
    mistakes: list[list[dict[str, Any]]] = [
        [],
        [{}],
        [replace("", "x")],
        [insert(-1, "x")],
        [replace("a", "b", count=0)],
    ]
    for wrong in mistakes:
        assert outcome(edit(service, tmp_path / "file", *wrong)) == (400, "INVALID_REQUEST_BODY")
    assert (tmp_path / "file").read_text() == "a"


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        (b"", 0, b"x\n"),
        (b"a", 0, b"x\na"),
        (b"a", 1, b"a\nx\n"),
        (b"a\n", 1, b"a\nx\n"),
        (b"a\nb\n", 1, b"a\nx\nb\n"),
        (b"a\r\nb", 2, b"a\r\nb\r\nx\r\n"),
    ],
)
def test_insertions(content: bytes, line: int, expected: bytes) -> None:
    assert apply_edits(content, [Insertion(after_line=line, new_text="x")])[0] == expected


@given(st.text("ab\n", max_size=12), st.text("ab\n", min_size=1, max_size=2), st.text("ab"))
def test_replacements_are_those_of_python(content: str, old: str, new: str) -> None:
    count = content.count(old)
    change = Replacement(old_text=old, new_text=new, count=max(count, 1))
    if not count:
        with pytest.raises(EditMismatch):
            apply_edits(content.encode(), [change])
        return
    changed, [lines] = apply_edits(content.encode(), [change])
    assert changed.decode() == content.replace(old, new)
    parts = content.split(old)
    starts = [len(old.join(parts[: index + 1])) for index in range(count)]
    assert lines == [content[:start].count("\n") + 1 for start in starts]
