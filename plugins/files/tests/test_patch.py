"""Patches and edits of several files, all or none: ``/x/files/patch``."""

from __future__ import annotations

import concurrent.futures
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_files.errors import FileAccessDenied
from toolbox_files.write.transaction import changing

from toolbox.errors import PreconditionFailed
from toolbox.testing import Service

MiB = 1024 * 1024


def apply(service: Service, path: Path, patch: str, **more: Any) -> Any:
    body = {"path": str(path), "patch": patch, **more}
    return service.http.post("/x/files/patch", json=body)


def applied(service: Service, path: Path, patch: str, **more: Any) -> list[Any]:
    answer = apply(service, path, patch, **more)
    assert answer.status_code == 200, answer.text
    files: list[Any] = answer.json()["files"]
    return files


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def conflicts(service: Service, path: Path, patch: str, **more: Any) -> list[Any]:
    before = content(path)
    answer = apply(service, path, patch, **more)
    assert refusal(answer) == (409, "PATCH_CONFLICT"), answer.text
    assert content(path) == before
    found: list[Any] = answer.json()["conflicts"]
    return found


def content(path: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file below a directory and whether it is executable; git's own are left out."""
    return {
        str(file.relative_to(path)): (file.read_bytes(), bool(file.stat().st_mode & 0o100))
        for file in sorted(path.rglob("*"))
        if file.is_file() and ".git" not in file.parts
    }


def git(path: Path, *arguments: str) -> str:
    command = ["git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "repository"
    top.mkdir()
    git(top, "init", "-q")
    return top


# Everything that git writes


def changed(chance: random.Random, text: bytes) -> bytes:
    """Some lines of a text changed, removed and added; its last newline, too, at times."""
    lines = text.split(b"\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(lines))
        lines[at : at + chance.randint(0, 2)] = [
            b"new %d\r" % chance.randint(0, 9) if chance.random() < 0.2 else b"new"
            for _ in range(chance.randint(0, 2))
        ]
    return b"\n".join(lines)


@pytest.mark.parametrize("seed", range(12))
def test_what_git_writes_is_applied_as_git_does(
    service: Service, repository: Path, seed: int
) -> None:
    chance = random.Random(seed)
    names = ["a.txt", "b c.txt", "sub/d é.txt", 'sub/"q"\t.txt', "sub/below/e", "f", "g"]
    for name in names:
        file = repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        ending = chance.choice([b"\n", b"\r\n"])
        lines = [b"line %d" % chance.randint(0, 20) for _ in range(chance.randint(0, 60))]
        file.write_bytes(ending.join([*lines, chance.choice([b"", b"no newline"])]))
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "old")
    for name in names:
        file = repository / name
        kind = chance.choice(["change", "change", "mode", "delete", "move", "both", "keep"])
        if kind in ("change", "both"):
            file.write_bytes(changed(chance, file.read_bytes()))
        if kind == "mode":
            file.chmod(0o755)
        if kind == "delete":
            file.unlink()
        if kind in ("move", "both"):
            target = repository / chance.choice(["", "new/dir/"]) / f"{chance.random()}"
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    (repository / "new empty").touch()
    (repository / "run").write_text("#!/bin/sh\n")
    (repository / "run").chmod(0o755)
    git(repository, "add", "-A")
    context = chance.choice(["-U3", "-U1", "-U0"])
    patch = git(repository, "diff", "--cached", "-M20%", "-C20%", context)
    wanted = content(repository)
    git(repository, "reset", "-q", "--hard")
    git(repository, "clean", "-qfd")
    old = content(repository)
    assert applied(service, repository, patch, dryRun=True)
    assert content(repository) == old
    applied(service, repository, patch)
    assert content(repository) == wanted
    git(repository, "add", "-A")
    assert git(repository, "diff", "--cached", "-M20%", "-C20%", context) == patch


def test_what_diff_writes_is_applied(service: Service, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for directory in (old, new):
        (directory / "sub").mkdir(parents=True)
        (directory / "sub" / "a").write_text("one\ntwo\nthree\n")
    (new / "sub" / "a").write_text("one\n2\nthree\n")
    (new / "added").write_text("added\n")
    # Quoted, and before a time.
    (new / "a\ttab").write_text("added\n")
    done = subprocess.run(
        ["diff", "-ruN", "old", "new"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = applied(service, old, done.stdout, strip=1)
    assert [(file["path"], file["operation"]) for file in found] == [
        ("a\ttab", "create"),
        ("added", "create"),
        ("sub/a", "modify"),
    ]
    assert content(old) == content(new)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("strip", [1, 2])
def test_names_in_headers_are_stripped_and_may_end_with_a_carriage_return(
    service: Service, tmp_path: Path, strip: int, ending: str
) -> None:
    (tmp_path / "x").write_text("x\n")
    above = "d/" * (strip - 1)
    # Without hunks, and of names whose halves look like nothing.
    lines = [
        f"diff --git a/{above}x b/{above}longername",
        "old mode 100644",
        "new mode 100755",
        "similarity index 100%",
        f"rename from {above}x",
        f"rename to {above}longername",
    ]
    found = applied(service, tmp_path, "".join(line + ending for line in lines), strip=strip)
    assert found == [{"path": "longername", "operation": "rename", "source": "x"}]
    assert content(tmp_path) == {"longername": (b"x\n", True)}


def test_a_swap_and_a_copy_are_of_the_files_before(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n")
    (tmp_path / "b").write_text("b\n")
    (tmp_path / "b").chmod(0o755)
    patch = (
        "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n"
        "diff --git a/b b/a\nsimilarity index 100%\nrename from b\nrename to a\n"
        "diff --git a/a b/c\nsimilarity index 100%\ncopy from a\ncopy to c\n"
    )
    applied(service, tmp_path, patch)
    assert content(tmp_path) == {"a": (b"b\n", True), "b": (b"a\n", False), "c": (b"a\n", False)}


def test_files_keep_their_attributes_and_empty_directories_go(
    service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / "er" / "file"
    file.parent.mkdir(parents=True)
    file.write_text("one\n")
    file.chmod(0o640)
    applied(service, tmp_path, "--- a/deep/er/file\n+++ b/deep/er/file\n@@ -1 +1 @@\n-one\n+two\n")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two\n", 0o640)
    move = "diff --git a/deep/er/file b/new/one\nrename from deep/er/file\nrename to new/one\n"
    applied(service, tmp_path, move)
    assert (tmp_path / "new" / "one").stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "deep").exists()
    applied(service, tmp_path, "--- a/new/one\n+++ /dev/null\n@@ -1 +0,0 @@\n-two\n")
    assert list(tmp_path.iterdir()) == []


# Where a hunk fits


HUNK = "--- a/f\n+++ b/f\n@@ -{line},3 +{line},3 @@\n one\n-two\n+2\n three\n"


def test_a_hunk_may_be_elsewhere_and_the_nearest_place_counts(
    service: Service, tmp_path: Path
) -> None:
    block = "one\ntwo\nthree\n"
    (tmp_path / "f").write_text(block + "x\n" * 20 + block + "x\n" * 20 + block)
    (file,) = applied(service, tmp_path, HUNK.format(line=21))
    assert file["hunks"] == [{"line": 24, "moved": 3}]
    lines = (tmp_path / "f").read_text().splitlines()
    assert [number for number, line in enumerate(lines, 1) if line == "2"] == [25]
    assert applied(service, tmp_path, HUNK.format(line=900))[0]["hunks"] == [
        {"line": 1, "moved": -899}
    ]


def test_a_conflict_names_the_hunk_and_the_text(service: Service, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("one\n")
    (tmp_path / "f").write_text("one\nzwei\nthree\n")
    patch = "--- a/good\n+++ b/good\n@@ -1 +1 @@\n-one\n+1\n"
    patch += HUNK.format(line=1) + "@@ -9 +9 @@\n-four\n+4\n"
    patch += "--- a/missing\n+++ b/missing\n@@ -1 +1 @@\n-a\n+b\n"
    patch += "--- /dev/null\n+++ b/good\n@@ -0,0 +1 @@\n+a\n"
    first, second, third, fourth = conflicts(service, tmp_path, patch)
    assert first == {
        "path": "f",
        "reason": "the text to replace is not there",
        "hunk": 1,
        "header": "@@ -1,3 +1,3 @@",
        "line": 1,
        "expected": "one\ntwo\nthree",
        "found": "one\nzwei\nthree",
    }
    assert (second["hunk"], second["line"], "found" in second) == (2, 9, False)
    assert (third["path"], third["reason"]) == ("missing", "the file doesn't exist")
    assert (fourth["path"], fourth["reason"]) == ("good", "the file exists already")
    (tmp_path / "f").write_text("one\n2\nthree\n")
    (found,) = conflicts(service, tmp_path, HUNK.format(line=1))
    assert found["reason"] == "the hunk seems to be applied already"


def test_context_is_exact(service: Service, tmp_path: Path) -> None:
    """No fuzz: neither white space nor a missing newline is overlooked."""
    for text in ("one \ntwo\nthree\n", "one\ntwo\n", "\tone\ntwo\nthree\n", "One\ntwo\nthree\n"):
        (tmp_path / "f").write_text(text)
        conflicts(service, tmp_path, HUNK.format(line=1))
    (tmp_path / "f").write_text("one\ntwo\nthree")
    (found,) = conflicts(service, tmp_path, HUNK.format(line=1))
    assert found["reason"] == "the file ends without a newline, or the hunk does"
    # In the middle of a line is no place.
    (tmp_path / "f").write_text("xone\ntwo\nthree\n")
    conflicts(service, tmp_path, HUNK.format(line=1))


def test_the_file_s_line_endings_are_kept(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "f"
    for patch in (HUNK.format(line=1), HUNK.format(line=1).replace("\n", "\r\n")):
        for ending in (b"\n", b"\r\n"):
            file.write_bytes(ending.join([b"one", b"two", b"three", b""]))
            applied(service, tmp_path, patch)
            assert file.read_bytes() == ending.join([b"one", b"2", b"three", b""])
    # Of both kinds: as they are in the patch.
    file.write_bytes(b"one\r\ntwo\nthree\n")
    conflicts(service, tmp_path, HUNK.format(line=1))
    applied(service, tmp_path, HUNK.format(line=1).replace(" one\n", " one\r\n"))
    assert file.read_bytes() == b"one\r\n2\nthree\n"


def test_wrong_lengths_of_hunks_are_refused_or_recounted(service: Service, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one\ntwo\nthree\n")
    (tmp_path / "g").write_text("g\n")
    other = "--- a/g\n+++ b/g\n@@ -1,5 +1,5 @@\n-g\n+G\n\n"
    for counts in ("-1,2 +1,2", "-1,9 +1,9", "-1,3 +1,2"):
        patch = HUNK.format(line=1).replace("-1,3 +1,3", counts) + other
        before = content(tmp_path)
        assert refusal(apply(service, tmp_path, patch)) == (400, "INVALID_PATCH")
        assert content(tmp_path) == before
        applied(service, tmp_path, patch, recount=True)
        assert content(tmp_path) == {"f": (b"one\n2\nthree\n", False), "g": (b"G\n", False)}
        (tmp_path / "f").write_text("one\ntwo\nthree\n")
        (tmp_path / "g").write_text("g\n")


# What is refused


ADD = "--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n"


def test_nothing_outside_is_reached(service: Service, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (inside / "real").mkdir(parents=True)
    (outside / "file").write_text("old\n")
    (inside / "real" / "file").write_text("old\n")
    (inside / "directory").symlink_to("../outside")
    (inside / "absolute").symlink_to(outside)
    (inside / "link").symlink_to("../outside/file")
    (inside / "dangling").symlink_to("../outside/new")
    (inside / "good").symlink_to("real")
    (inside / "alias").symlink_to("good/file")
    names = ["../outside/file", "real/../../outside/file", str(outside / "file"), "directory/file"]
    names += ["absolute/file", "link", "dangling", "real/..", "", ".", "good/../../outside/file"]
    for name in names:
        change = f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-old\n+new\n"
        for patch in (change, ADD.format(name=name)):
            answer = apply(service, inside, patch)
            assert refusal(answer) == (400, "INVALID_FILE_PATH"), (name, answer.text)
        move = f"diff --git a/x b/y\nrename from real/file\nrename to {name}\n"
        assert apply(service, inside, move).status_code == 400
        # An empty name is not what /dev/null is.
        one = f"--- a/{name}\n+++ b/real/new\n@@ -0,0 +1 @@\n+x\n"
        assert name or refusal(apply(service, inside, one)) == (400, "INVALID_FILE_PATH")
        edit = {"type": "replace", "oldText": "old", "newText": "new", "path": name or "/"}
        answer = service.http.post("/x/files/patch", json={"path": str(inside), "edits": [edit]})
        assert refusal(answer) == (400, "INVALID_FILE_PATH")
    assert [file.name for file in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "old\n"
    # Links that stay inside are followed; the file keeps its place.
    for number, name in enumerate(("alias", "good/file", "real/file")):
        old = f"{number}" if number else "old"
        applied(
            service, inside, f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-{old}\n+{number + 1}\n"
        )
    assert (inside / "real" / "file").read_text() == "3\n"
    assert (inside / "alias").is_symlink()
    answer = apply(service, inside, "--- a/alias\n+++ /dev/null\n@@ -1 +0,0 @@\n-3\n")
    assert refusal(answer) == (400, "INVALID_FILE_PATH")
    two = "".join(
        f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-3\n+4\n" for name in ("alias", "real/file")
    )
    assert refusal(apply(service, inside, two)) == (409, "CONFLICT")


@pytest.mark.parametrize("hunk", ["-1 +1 @@\n-a\n+x\n", "-1,0 +2 @@\n+x\n"])
def test_a_line_without_a_newline_is_followed_by_none(
    service: Service, tmp_path: Path, hunk: str
) -> None:
    (tmp_path / "f").write_text("a\nb\n")
    patch = f"--- a/f\n+++ b/f\n@@ {hunk}\\ No newline at end of file\n"
    assert "newline" in conflicts(service, tmp_path, patch)[0]["reason"]
    (tmp_path / "f").write_text("a\n")
    applied(service, tmp_path, patch)
    assert (tmp_path / "f").read_text() in ("x", "a\nx")


@pytest.mark.parametrize(
    "patch",
    [
        "no patch at all\n",
        "@@ -1 +1 @@\n-a\n+b\n",
        "--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n",
        "diff --git a/f b/f\nindex 1..2 100644\nGIT binary patch\nliteral 0\n",
        "diff --git a/f b/f\nindex 1..2\nBinary files a/f and b/f differ\n",
        "diff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/f b/f\nnew file mode 160000\n",
        "diff --git a/f b/g\nold mode 100644\nnew mode 100755\n",
    ],
)
def test_what_is_no_patch_of_text_is_refused(service: Service, tmp_path: Path, patch: str) -> None:
    (tmp_path / "f").write_text("a\n")
    assert refusal(apply(service, tmp_path, patch)) == (400, "INVALID_PATCH")


def test_bad_input_is_refused(service: Service, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    (tmp_path / "binary").write_bytes(b"a\0\n")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "fifo")
    edit = {"type": "replace", "oldText": "a", "newText": "b", "path": "f"}
    good = ADD.format(name="new")

    def send(**body: Any) -> tuple[int, str]:
        return refusal(service.http.post("/x/files/patch", json={"path": str(tmp_path), **body}))

    assert send() == (400, "BAD_REQUEST")
    assert send(patch=good, edits=[edit]) == (400, "BAD_REQUEST")
    assert send(patch=good, path=str(tmp_path / "no")) == (404, "FILE_NOT_FOUND")
    assert send(patch=good, path=str(tmp_path / "f")) == (400, "INVALID_FILE_PATH")
    assert send(patch=good, path="a\0b") == (400, "INVALID_FILE_PATH")
    assert send(patch=good, strip=-1)[0] == 400
    assert send(patch=good, strip=3) == (400, "INVALID_PATCH")
    assert send(patch=ADD.format(name="a\0b")) == (400, "INVALID_FILE_PATH")
    assert send(patch=ADD.format(name="n" * 300)) == (400, "INVALID_FILE_PATH")
    assert send(patch=ADD.format(name="f/below")) == (400, "INVALID_FILE_PATH")
    for name, refused in (("d", 400), ("fifo", 400), ("binary", 422)):
        change = f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-a\n+b\n"
        assert send(patch=change)[0] == refused
        assert send(edits=[{**edit, "path": name}])[0] == refused
    assert send(edits=[{**edit, "path": ""}]) == (400, "BAD_REQUEST")
    assert send(edits=[{**edit, "path": "no"}]) == (404, "FILE_NOT_FOUND")
    many = "".join(ADD.format(name=f"many/{number}") for number in range(1001))
    assert send(patch=many) == (413, "CONTENT_TOO_LARGE")
    lone = f'{{"path":"{tmp_path}","patch":"--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-a\\n+\\ud800\\n"}}'
    answer = service.http.post("/x/files/patch", content=lone)
    assert answer.status_code in (200, 400)
    assert not list(tmp_path.glob("new*")) and not (tmp_path / "many").exists()


def test_a_hunk_that_fits_nowhere_of_many_places_takes_no_time(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("a\n" * 200_000)
    lines = "".join(f" {'a' if number else 'b'}\n" for number in range(5000))
    patch = f"--- a/f\n+++ b/f\n@@ -100000,5000 +100000,5001 @@\n{lines}+x\n"
    (found,) = conflicts(service, tmp_path, patch)
    assert len(found["expected"]) < 5000


# Edits


def test_edits_of_several_files_are_all_made_or_none(service: Service, tmp_path: Path) -> None:
    for name in ("a", "sub/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\ntwo\ntwo\n")
    edits = [
        {"type": "replace", "path": "a", "oldText": "one", "newText": "1"},
        {"type": "replace", "path": "sub/b", "oldText": "two", "newText": "2", "count": 2},
        {"type": "insert", "path": "a", "afterLine": 3, "newText": "end"},
    ]

    def send(**body: Any) -> Any:
        return service.http.post("/x/files/patch", json={"path": str(tmp_path), **body})

    before = content(tmp_path)
    wrong = [*edits, {"type": "replace", "path": "sub/b", "oldText": "none", "newText": ""}]
    answer = send(edits=wrong)
    assert refusal(answer) == (422, "EDIT_MISMATCH")
    assert answer.json()["message"].startswith("sub/b: edit 2: expected 1 occurrences, found 0")
    assert send(edits=edits, dryRun=True).json()["dryRun"] is True
    assert content(tmp_path) == before
    answer = send(edits=edits)
    assert answer.json() == {
        "files": [
            {"path": "a", "operation": "modify", "hunks": [{"line": 1}, {"line": 4}]},
            {"path": "sub/b", "operation": "modify", "hunks": [{"line": 2}, {"line": 3}]},
        ],
        "dryRun": False,
    }
    assert (tmp_path / "a").read_text() == "1\ntwo\ntwo\nend\n"
    assert (tmp_path / "sub" / "b").read_text() == "one\n2\n2\n"
    one = [{"type": "replace", "oldText": "1", "newText": "one"}]
    assert send(path=str(tmp_path / "a"), edits=one).status_code == 200
    assert (tmp_path / "a").read_text() == "one\ntwo\ntwo\nend\n"


# All or none


def test_a_full_disk_changes_nothing(service: Service, mount: Callable[..., Path]) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    (disk / "a").write_text("old\n")
    (disk / "gone").write_text("old\n")
    before = content(disk)
    patch = "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n"
    patch += "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-old\n+new\n"
    lines = ("+" + "x" * 1023 + "\n") * 1024
    for name in ("new/one", "new/two", "new/three"):
        patch += f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,1024 @@\n{lines}"
    answer = apply(service, disk, patch)
    assert refusal(answer) == (507, "INSUFFICIENT_STORAGE")
    assert "new/" in answer.json()["message"]
    assert content(disk) == before
    assert sorted(file.name for file in disk.iterdir()) == ["a", "gone"]
    assert os.statvfs(disk).f_bavail > 1.8 * MiB / os.statvfs(disk).f_frsize


def everything(path: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        file.name: (file.stat().st_mode, file.stat().st_mtime_ns, file.read_bytes())
        for file in path.iterdir()
    }


def test_a_file_that_changes_before_its_removal_stops_all(tmp_path: Path) -> None:
    """The last step fails when the others are done: they are put back."""
    for name in ("plain", "mode", "gone"):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o640)
    before = everything(tmp_path)
    with changing(tmp_path, threading.Lock()) as changes:
        for name in before:
            assert changes.read(name) == b"old"
        changes.write("plain", b"new", None)
        changes.write("mode", b"new", True)
        changes.write("made/deep/file", b"new", None)
        changes.remove("gone")
        (tmp_path / "gone").write_text("changed")
        with pytest.raises(PreconditionFailed, match="gone has changed meanwhile"):
            changes.commit()
    assert (tmp_path / "gone").read_text() == "changed"
    (tmp_path / "gone").unlink()
    del before["gone"]
    assert everything(tmp_path) == before


def test_a_file_that_changes_or_appears_meanwhile_stops_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("old")
    for name, other in (("b", "changed"), ("new", "made")):
        with changing(tmp_path, threading.Lock()) as changes:
            changes.read("b")
            changes.read("new")
            changes.write("a", b"new", None)
            changes.write("b", b"new", None)
            changes.write("new", b"new", None)
            (tmp_path / name).write_text(other)
            with pytest.raises(PreconditionFailed):
                changes.commit()
        assert (tmp_path / "a").read_text() == "old"
        assert (tmp_path / name).read_text() == other
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "new"]


def test_a_file_that_may_not_be_removed_stops_all(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "a").write_text("old")
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    (fixed / "file").write_text("old")
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", fixed]).returncode:
        fixed.chmod(0o555)
        if os.access(fixed, os.W_OK):
            pytest.skip("this user may write everything, and chattr +i doesn't work here")
    else:
        request.addfinalizer(lambda: subprocess.run(["chattr", "-i", fixed], check=True))
    with changing(tmp_path, threading.Lock()) as changes:
        changes.read("a")
        changes.write("a", b"new", None)
        changes.remove("fixed/file")
        with pytest.raises(FileAccessDenied, match="fixed/file"):
            changes.commit()
    assert (tmp_path / "a").read_text() == (fixed / "file").read_text() == "old"
    assert [file.name for file in fixed.iterdir()] == ["file"]


def test_concurrent_patches_mix_nothing(service: Service, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("start\n")

    def add(number: int) -> int:
        patch = "".join(
            f"--- a/{name}\n+++ b/{name}\n@@ -1 +1,2 @@\n start\n+{number}\n" for name in ("a", "b")
        )
        status: int = apply(service, tmp_path, patch).status_code
        return status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(add, range(100)))
    assert set(statuses) <= {200, 412}
    first, second = ((tmp_path / name).read_text() for name in ("a", "b"))
    assert first == second
    assert len(first.splitlines()) == 1 + statuses.count(200) > 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]
