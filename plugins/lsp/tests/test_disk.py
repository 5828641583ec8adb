"""Changes of files on disk: the server is notified before each request (F-A12)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_lsp.watch.globs import compile_glob

from toolbox.testing import DEADLINE

MakeToy = Callable[..., Any]
CREATED, CHANGED, DELETED = 1, 2, 3
MISSING = "Cannot find module './b' or its corresponding type declarations."


def problems(project: Any, uri: str) -> list[str]:
    """Return the messages of a document's errors, which must be complete."""
    answer = project.call("/x/lsp/diagnostics", uri=uri, wait=DEADLINE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["complete"] is True
    return [
        each["message"] for each in answer.json()["diagnostics"] if each.get("severity", 1) == 1
    ]


def notified(toy: Any) -> list[tuple[str, int]]:
    """Return the changes of which the server was notified, by name, in order."""
    return [
        (each["uri"].rpartition("/")[2], each["type"])
        for entry in toy.received()
        if entry.get("method") == "workspace/didChangeWatchedFiles"
        for each in entry["params"]["changes"]
    ]


def come_and_gone(toy: Any) -> set[tuple[str, int]]:
    """Return :func:`notified`, without changes: a file that was just created may have changed."""
    return {(name, kind) for name, kind in notified(toy) if kind != CHANGED}


def test_files_that_come_and_go(make_project: Callable[[str, str], Any]) -> None:
    """F-A12: a file is created, changed, renamed, deleted."""
    project = make_project("typescript", "coming-and-going")
    project.start()
    project.write("tsconfig.json", '{"compilerOptions": {"strict": true}}')
    a = project.write("a.ts", "import { x } from './b';\nexport const y: number = x;\n")
    right, wrong = "export const x = 1;\n", "export const x = 'a';\n"
    mismatch = "Type 'string' is not assignable to type 'number'."
    assert problems(project, a) == [MISSING]
    b = project.write("b.ts", right)
    assert problems(project, a) == []
    project.write("b.ts", wrong)
    assert problems(project, a) == [mismatch]
    file, other = project.directory / "b.ts", project.directory / "c.ts"
    file.rename(other)
    assert problems(project, a) == [MISSING]
    other.rename(file)
    assert problems(project, b) == []
    # From here on it is open, too.
    project.write("b.ts", right)
    assert problems(project, a) == []
    file.unlink()
    assert problems(project, a) == [MISSING]
    project.write("b.ts", right)
    assert problems(project, a) == []
    project.write("unrelated.txt", "text")
    assert problems(project, a) == []


def test_checkouts_settings_and_packages(make_project: Callable[[str, str], Any]) -> None:
    """F-A12: whole trees change at once, and files that aren't sources."""
    project = make_project("typescript", "checkouts")
    project.start()

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x")
        command = ["git", *identity, *arguments]
        subprocess.run(command, cwd=project.directory, check=True, capture_output=True)

    a = project.write("a.ts", "import { x } from './lib/b';\nimport t from 'tt';\nx(t);\n")
    project.write("tsconfig.json", '{"compilerOptions": {"strict": true}}')
    git("init", "-q", "-b", "main")
    git("add", "a.ts", "tsconfig.json")
    git("commit", "-q", "-m", "without")
    git("checkout", "-q", "-b", "with")
    project.write("lib/b.ts", "export function x(q) { return q }\n")
    git("add", "lib")
    git("commit", "-q", "-m", "with")
    no_module = "Cannot find module '{}' or its corresponding type declarations."
    assert problems(project, a) == [no_module.format("tt")]
    git("checkout", "-q", "main")
    assert problems(project, a) == [no_module.format("./lib/b"), no_module.format("tt")]
    git("checkout", "-q", "with")
    project.write("node_modules/tt/index.d.ts", "declare const t: number;\nexport default t;\n")
    project.write("node_modules/tt/package.json", '{"name": "tt", "types": "index.d.ts"}')
    assert problems(project, a) == []
    b = project.write("lib/b.ts", "export function x(q) { return q }\n")
    assert problems(project, b) == ["Parameter 'q' implicitly has an 'any' type."]
    project.write("tsconfig.json", '{"compilerOptions": {"strict": false}}')
    assert problems(project, b) == []


def test_pyright(pyright: Any) -> None:
    """F-A12, by a server that publishes, and watches files outside the project."""
    project = pyright
    a = project.write("a.py", "from b import x\ny: int = x\n")
    assert problems(project, a) == ['Import "b" could not be resolved']
    project.write("b.py", "x: int = 1\n")
    assert problems(project, a) == []
    project.write("b.py", "x: str = 'a'\n")
    assert len(problems(project, a)) == 1
    (project.directory / "b.py").unlink()
    assert problems(project, a) == ['Import "b" could not be resolved']


def test_directories_elsewhere_that_links_lead_to(pyright: Any, tmp_path: Path) -> None:
    """F-A12"""
    project = pyright
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.py").write_text("x: int = 1\n")
    for name, target in (("lib", elsewhere), ("up", "/"), ("here", ".")):
        (project.directory / name).symlink_to(target)
    (elsewhere / "back").symlink_to(project.directory)
    a = project.write("a.py", "from lib.b import x\ny: int = x\n")
    assert problems(project, a) == []
    (elsewhere / "b.py").write_text("x: str = 'a'\n")
    assert len(problems(project, a)) == 1
    (elsewhere / "b.py").unlink()
    assert problems(project, a) == ['Import "lib.b" could not be resolved']


def test_what_is_notified(make_toy: MakeToy) -> None:
    """F-A12: a server without registrations is notified of all changes, before a request."""
    toy = make_toy()
    toy.write("old.toy", "Toy")
    toy.start()
    uri = toy.write("a.toy", "Toy")
    shutil.copytree(toy.directory, toy.directory / ".git")
    toy.write("node_modules/@scope/package/deep/file.toy", "Toy")
    toy.symbols(uri)
    assert come_and_gone(toy) == {("a.toy", CREATED), ("package", CREATED)}
    toy.write("old.toy", "changed")
    toy.write("sub/b.toy", "Toy")
    (toy.directory / "a.toy").rename(toy.directory / "c.toy")
    found = toy.call("/x/lsp/diagnostics", uri=f"file://{toy.path}/c.toy", wait=0.1)
    assert found.json()["complete"] is False
    assert {("a.toy", DELETED), ("c.toy", CREATED), ("b.toy", CREATED)} <= set(notified(toy))
    assert ("old.toy", CHANGED) in notified(toy)
    methods = toy.methods()
    assert methods.index("workspace/didChangeWatchedFiles") < methods.index("textDocument/didOpen")
    assert "textDocument/didClose" in methods  # The deleted document.


def test_watchers_are_honored(make_toy: MakeToy) -> None:
    """F-A12: by pattern, kind of change, and place."""
    toy = make_toy("watches")
    elsewhere = toy.service.work_dir / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "known.cfg").touch()
    toy.start()
    toy.service.wait_for(
        lambda: any(each.get("id") == "watch" for each in toy.received()),
        "the registration's answer",
    )
    for name in ("a.toy", "sub/b.toy", "c.txt"):
        toy.write(name, "Toy")
    for name in ("d.cfg", "e.ini", "f.txt"):
        (elsewhere / name).touch()
    toy.symbols(f"file://{toy.path}/a.toy")
    created = {name for name, kind in notified(toy) if kind == CREATED}
    assert created == {"a.toy", "b.toy", "d.cfg", "e.ini"}
    (toy.directory / "sub/b.toy").unlink()
    (elsewhere / "known.cfg").unlink()
    toy.call("/x/lsp/diagnostics", uri=f"file://{toy.path}/a.toy", wait=0)
    assert {name for name, kind in notified(toy) if kind == DELETED} == {"known.cfg"}


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("**/*.ts", ["a.ts", "x/y/a.ts"], ["a.tsx", "a.ts/b"]),
        ("*.{js,ts}", ["a.js", "a.ts"], ["x/a.js", "a.{js,ts}"]),
        ("**", ["a", "a/b"], []),
        ("src/**/test?.py", ["src/test1.py", "src/a/b/test2.py"], ["src/test.py", "test1.py"]),
        ("a[0-9!].c", ["a1.c", "a!.c"], ["ab.c"]),
        ("a[!0-9].c", ["ab.c"], ["a1.c"]),
        ("**/{package,tsconfig*}.json", ["package.json", "x/tsconfig.a.json"], ["a/b.json"]),
        ("a+(b).c", ["a+(b).c"], ["aab.c"]),
        ("[b-a]{", ["[b-a]{"], ["b"]),
    ],
)
def test_globs(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [each for each in matching if not compile_glob(pattern).fullmatch(each)] == []
    assert [each for each in others if compile_glob(pattern).fullmatch(each)] == []
