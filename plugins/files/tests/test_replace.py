from __future__ import annotations

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolbox_files.text.bulk_replace import replace_in_blocks

from toolbox.request import CHUNK
from toolbox.testing import Service


def replace(service: Service, files: list[Path | str], pattern: str, new: str) -> Any:
    body = {"files": [str(file) for file in files], "pattern": pattern, "newValue": new}
    answer = service.http.post("/files/replace", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def written(path: Path) -> tuple[int, int]:
    """Return values that change when the file is written, but not when it is read."""
    info = path.stat()
    return info.st_ino, info.st_mtime_ns


def test_every_occurrence_is_replaced_literally(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a.b a.b\xff\raxb a.b")
    assert replace(service, [file], "a.b", "é") == [{"file": str(file), "success": True}]
    assert file.read_bytes() == "é é".encode() + b"\xff\raxb " + "é".encode()


def test_results_come_in_order_whatever_fails(service: Service, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("old")
    os.mkfifo(tmp_path / "fifo")
    files: list[Path | str] = [tmp_path / "absent", tmp_path / "good", tmp_path, tmp_path / "fifo"]
    results = replace(service, [*files, "", "nul\0"], "old", "")
    assert [each["success"] for each in results] == [False, True, False, False, False, False]
    assert [each["file"] for each in results] == [str(file) for file in [*files, "", "nul\0"]]
    assert ["error" in each for each in results] == [not each["success"] for each in results]
    assert "file not found" in results[0]["error"]
    assert (tmp_path / "good").read_bytes() == b""


def test_a_file_without_the_text_is_not_touched(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    before = written(file)
    assert replace(service, [file], "absent", "x")[0]["success"]
    assert written(file) == before


def test_mode_and_links_are_kept(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o751)
    (tmp_path / "link").symlink_to("file")
    assert replace(service, [tmp_path / "link"], "old", "new")[0]["success"]
    assert (tmp_path / "link").is_symlink()
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o751)


def test_f_a1_what_has_several_names_is_replaced_under_all(
    service: Service, tmp_path: Path
) -> None:
    for number, content in enumerate((b"foo", b"x" * CHUNK + b"foo", b"foo" * 2 * CHUNK)):
        file, other = tmp_path / f"a{number}", tmp_path / f"b{number}"
        file.write_bytes(content)
        os.link(file, other)
        assert replace(service, [file], "foo", "longer")[0]["success"]
        assert file.read_bytes() == content.replace(b"foo", b"longer")
        assert file.samefile(other)


def test_f_e9_binary_files_are_not_changed(service: Service, tmp_path: Path) -> None:
    # AC-58
    office = tmp_path / "book.xlsx"
    with zipfile.ZipFile(office, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", "<t>needle</t>")
    late = tmp_path / "late"
    late.write_bytes(b"needle" * CHUNK + b"\0")
    wide = tmp_path / "wide"
    wide.write_bytes("\ufeffneedle".encode("utf-16"))
    for file, pattern in ((office, "needle"), (late, "needle"), (wide, "n\0")):
        before = written(file)
        (result,) = replace(service, [file], pattern, "x")
        assert (result["success"], "binary file" in result["error"]) == (False, True)
        change = {"type": "replace", "oldText": pattern, "newText": "x"}
        body = {"path": str(file), "edits": [change]}
        answer = service.http.post("/x/files/edit", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "BINARY_FILE")
        assert written(file) == before
    # Nothing is lost where there is nothing to replace.
    assert replace(service, [office], "absent", "x")[0]["success"]


@pytest.mark.parametrize("links", [1, 2])
def test_nothing_is_lost_where_several_replace_at_once(
    service: Service, tmp_path: Path, links: int
) -> None:
    names = [f"word{number}" for number in range(4)]
    file = tmp_path / "file"
    file.write_text(" ".join(names))
    if links == 2:
        os.link(file, tmp_path / "other")
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda name: replace(service, [file], name, name.upper()), names)
    done = [result["success"] for (result,) in results]
    # A failure is reported, and changes nothing.
    expected = [name.upper() if fine else name for name, fine in zip(names, done, strict=True)]
    assert file.read_text() == " ".join(expected)
    assert any(done)


def test_a_text_across_the_blocks_a_file_is_read_in(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * (CHUNK - 2) + b"needle" + b"x" * (2 * CHUNK) + b"needle")
    assert replace(service, [file], "needle", "pin")[0]["success"]
    assert file.read_bytes() == b"x" * (CHUNK - 2) + b"pin" + b"x" * (2 * CHUNK) + b"pin"


def test_what_find_has_found_can_be_replaced(service: Service) -> None:
    (service.work_dir / "src").mkdir(exist_ok=True)
    (service.work_dir / "src" / "file").write_text("a needle")
    (match,) = service.http.get("/files/find", params={"path": ".", "pattern": "needle"}).json()
    assert replace(service, [match["file"]], "needle", "pin")[0]["success"]
    assert (service.work_dir / "src" / "file").read_text() == "a pin"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"files": [], "pattern": "", "newValue": ""}',
        b'{"files": [], "pattern": "x", "newValue": null}',
        b'{"files": [], "pattern": "x"}',
        b'{"files": null, "pattern": "x", "newValue": ""}',
        b'{"pattern": "x", "newValue": ""}',
    ],
)
def test_bodies_that_are_refused(service: Service, body: bytes) -> None:
    answer = service.http.post("/files/replace", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")


def test_no_files_are_no_results(service: Service) -> None:
    assert replace(service, [], "x", "") == []


@given(
    st.lists(st.binary(max_size=6) | st.text("ab", max_size=6).map(str.encode)),
    st.text("ab", min_size=1, max_size=3).map(str.encode),
    st.text("ab", max_size=3).map(str.encode),
)
def test_blocks_are_replaced_as_the_whole_is(blocks: list[bytes], old: bytes, new: bytes) -> None:
    whole = b"".join(blocks)
    assert b"".join(replace_in_blocks(iter(blocks), old, new)) == whole.replace(old, new)
