"""Ignored files of projects, compared with git itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from toolbox_files.helpers.search_main import Task

from toolbox.patterns.gitignore import parse
from toolbox.testing import Service

RULES = """\
# A comment
*.log
!kept.log
build/
/top
deep/**/x
**/anywhere/y
inside/**
a?c[0-9]
[!q]z
\\#odd
trailing\\ \x20
sub/only
"""
NAMES = ["a.log", "kept.log", "top", "abc5", "abcx", "qz", "zz", "#odd", "trailing "]
DIRECTORIES = ["", "sub", "sub/build", "deep", "deep/er/est", "inside", "inside/below", "some"]
MORE = [
    "sub/only",
    "sub/top",
    "deep/x",
    "deep/er/est/x",
    "some/anywhere/y",
    "build-not",
    "some/build",
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with many a rule, and files for all of them that hold the word needle."""
    top = tmp_path / "repository"
    for directory in DIRECTORIES:
        for name in NAMES:
            file = top / directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("needle")
    for name in MORE:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("needle")
    (top / ".gitignore").write_text(RULES)
    (top / "sub" / ".gitignore").write_bytes(b"\xef\xbb\xbf!a.log\r\nqz\r\n")
    subprocess.run(["git", "init", "-q", top], check=True)
    (top / ".git" / "info" / "exclude").write_text("zz\n!kept.log\n")
    return top


def seen_by_git(directory: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=directory, capture_output=True, check=True)
    return sorted(done.stdout.decode().split("\0")[:-1])


@pytest.mark.parametrize("directory", [".", "sub", "deep/er"])
def test_f_e13_searches_leave_out_what_git_ignores(
    service: Service, repository: Path, directory: str
) -> None:
    root = repository / directory
    expected = seen_by_git(root)
    query = {"path": str(root), "pattern": "*"}
    documented = service.http.get("/files/search", params={**query, "gitignore": "true"}).json()
    own = service.http.get("/x/files/search", params=query).json()
    for found in (documented, own):
        files = [Path(path) for path in found["files"] if Path(path).is_file()]
        below = [str(path.relative_to(root)) for path in files if ".git" not in path.parts]
        assert sorted(below) == expected
    query["pattern"] = "needle"
    lines = service.http.get("/x/files/find", params=query).json()
    names = [str(Path(each["file"]).relative_to(root)) for each in lines]
    assert sorted(names) == [name for name in expected if not name.endswith(".gitignore")]


def test_f_e13_the_documented_search_sees_everything(service: Service, repository: Path) -> None:
    (repository / "node_modules").mkdir()
    (repository / "node_modules" / "file").write_text("needle")
    query = {"path": str(repository), "pattern": "file"}
    found = service.http.get("/files/search", params=query).json()["files"]
    assert found == [str(repository / "node_modules" / "file")]
    assert service.http.get("/x/files/search", params=query).json()["files"] == []
    query["pattern"] = "exclude"
    assert service.http.get("/files/search", params=query).json()["files"]
    assert service.http.get("/x/files/search", params=query).json()["files"] == []


def test_ac_56_searches_of_a_project_are_bounded(service: Service, tmp_path: Path) -> None:
    for number in range(1010):
        (tmp_path / f"f{number:04}").touch()
    query = {"path": str(tmp_path), "pattern": "f*"}
    answer = service.http.get("/x/files/search", params=query)
    assert (len(answer.json()["files"]), answer.headers["X-Truncated"]) == (1000, "limit")
    rest = service.http.get("/x/files/search", params={**query, "offset": "1000"})
    assert len(rest.json()["files"]) == 10
    assert service.http.get("/x/files/find", params=query).json() == []


SEGMENTS = st.sampled_from(["a", "b", "*", "**", "?", "a*", "[ab]", "[!a]", "ab"])
PATHS = [f"{one}/{two}/{three}" for one in "ab" for two in ("a", "ab") for three in "ab"]
PATTERNS = st.tuples(
    st.sampled_from(["", "!", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join),
    st.sampled_from(["", "/"]),
).map("".join)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("plain")
    subprocess.run(["git", "init", "-q", top], check=True)
    for name in PATHS:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()
    yield top


@settings(max_examples=60)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=3))
def test_patterns_mean_what_they_mean_to_git(plain: Path, patterns: list[str]) -> None:
    (plain / ".gitignore").write_text("\n".join(patterns))
    walk = Task("names", str(plain), "", "*", gitignore=True).walk()
    files = [shown.lstrip("/") for _, shown, _, kind in walk if kind == "f"]
    found = [name for name in files if not name.startswith(".git/")]
    assert sorted(found) == seen_by_git(plain)


def test_no_pattern_takes_long() -> None:
    (rule,) = parse("/".join(["**", "a*a*a*a*a*b"] * 30))
    assert not rule.matches(("a" * 200,) * 60, False)
