"""The rules of the house that a program can check: CONTRIBUTING states them."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = [ROOT / "toolbox", *sorted(ROOT.glob("plugins/*/toolbox_*"))]
MODULES = sorted(file for package in PACKAGES for file in package.rglob("*.py"))

MOST_MODULES = 20
"""Modules of a folder in one level at most, without its ``__init__``."""

MOST_LINES = 300
LONGEST_FUNCTION = 52
USUAL_FUNCTION = 20
"""Lines of 95 of 100 functions at most."""

LEAST_COMMENTS = 3
"""Comment lines for each 100 lines that are not blank, over all modules."""

CLAUSES = re.compile(r"(What|Where|Who|Whom|Whose|How|Which|Whether|When|Why|If)\b")


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def dotted(file: Path) -> str:
    """The name that a module is imported by."""
    package = next(package for package in PACKAGES if file.is_relative_to(package))
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULE_FILES = {dotted(file): file for file in MODULES}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in MODULES:
        yield file, ast.parse(file.read_bytes())


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The docstrings of a module, its classes and functions, and those below assignments."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for position, statement in enumerate(body):
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
                and (position == 0 or isinstance(body[position - 1], ast.Assign | ast.AnnAssign))
            ):
                yield statement.lineno, statement.value.value


def test_imports_keep_their_contracts() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [program, "--no-cache", "setup.cfg"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr


TYPING_CIRCLES = {("toolbox.hookspecs", "toolbox.lifecycle", "toolbox.plugins")}
"""Modules that import each other for annotations only: hooks take what is made by their results."""


def imports(tree: ast.Module) -> set[Path]:
    """The files of ours that a module imports from, also those for annotations only."""
    found: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:  # A module of a package, or a name of a module.
                names = f"{node.module}.{alias.name}", node.module
                found |= set([MODULE_FILES[name] for name in names if name in MODULE_FILES][:1])
    return found


def circles(graph: dict[Path, set[Path]]) -> set[tuple[str, ...]]:
    """The sets of modules from each of which all others are reached."""

    def reached(start: Path) -> set[Path]:
        seen: set[Path] = set()
        waiting = [start]
        while waiting:
            for module in graph[waiting.pop()] - seen:
                seen.add(module)
                waiting.append(module)
        return seen

    below = {module: reached(module) for module in graph}
    return {
        tuple(sorted(dotted(other) for other in below[module] if module in below[other]))
        for module in graph
        if module in below[module]
    }


def test_modules_import_each_other_for_annotations_only_where_named() -> None:
    assert circles({file: imports(tree) for file, tree in trees()}) == TYPING_CIRCLES


def test_folders_can_be_drawn_from_memory() -> None:
    folders: dict[str, int] = {}
    for file in MODULES:
        if file.name != "__init__.py":
            folders[name(file.parent)] = folders.get(name(file.parent), 0) + 1
    assert {folder for folder, count in folders.items() if count > MOST_MODULES} == set()


def test_modules_are_short() -> None:
    lines = {name(file): len(file.read_text().splitlines()) for file in MODULES}
    assert {file for file, count in lines.items() if count > MOST_LINES} == set()
    assert statistics.median(lines.values()) <= 100


def test_functions_fit_a_screen() -> None:
    lengths = {
        f"{name(file)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {
        function: count for function, count in lengths.items() if count > LONGEST_FUNCTION
    } == {}
    assert statistics.quantiles(lengths.values(), n=20)[-1] <= USUAL_FUNCTION


def test_comments_say_why() -> None:
    comments = code = 0
    for file in MODULES:
        with file.open("rb") as source:
            comments += sum(
                token.type == tokenize.COMMENT
                and not token.string.startswith(("# type:", "# noqa"))
                for token in tokenize.tokenize(source.readline)
            )
        code += sum(bool(line.strip()) for line in file.read_text().splitlines())
    assert 100 * comments / code >= LEAST_COMMENTS


def test_docstrings_are_sentences() -> None:
    clauses = [
        f"{name(file)}:{line}: {text.splitlines()[0]}"
        for file, tree in trees()
        for line, text in docstrings(tree)
        if CLAUSES.match(text)
    ]
    assert not clauses, "\n".join(clauses)
