"""The pages of ``docs/`` and ``SECURITY.rst``: the modules, tests and settings they name exist."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import docutils.core
import pytest
from docutils import nodes

ROOT = Path(__file__).parent.parent
CLIENTS, SECURITY = "docs/clients.rst", "SECURITY.rst"
ARCHITECTURE = "docs/architecture.rst"
FLEET = "docs/fleet.rst"
PAGES = (CLIENTS, SECURITY)
MODULE = r"toolbox(_\w+)?(\.\w+)*"
TEST = r"((?:plugins/[\w-]+/)?tests/[\w/]+\.py)::(test_\w+)"

OTHER_SDKS = {
    "toolbox_opentelemetry",
    "toolbox_opentelemetry.otlp",
    # It is a client itself, and sends what a present one does.
    "toolbox.conformance.dialects.sessions",
}
"""Modules that speak of an SDK that is no client's."""


@cache
def tree(page: str) -> nodes.document:
    settings = {"report_level": 2, "halt_level": 2, "syntax_highlight": "none"}
    document = docutils.core.publish_doctree((ROOT / page).read_text(), settings_overrides=settings)
    assert isinstance(document, nodes.document)
    return document


def literals(node: nodes.Node) -> list[str]:
    """What stands between double backquotes."""
    return [re.sub(r"\s+", " ", each.astext()) for each in node.findall(nodes.literal)]


def rows(page: str) -> list[tuple[list[str], nodes.row]]:
    """Each row of the tables that name tests, with the heads of its columns."""
    found = []
    for table in tree(page).findall(nodes.table):
        head, body = (next(table.findall(kind)) for kind in (nodes.thead, nodes.tbody))
        names = [entry.astext() for entry in head.findall(nodes.entry)]
        if "Test" in names:
            found += [(names, row) for row in body.findall(nodes.row)]
    return found


def folder_of(package: str) -> str:
    return package.removeprefix("toolbox_").replace("_", "-")


def source(module: str) -> Path:
    """The file or directory of a module of ours."""
    top, *rest = module.split(".")
    package = ROOT / top if top == "toolbox" else ROOT / "plugins" / folder_of(top) / top
    path = package.joinpath(*rest)
    return path if path.is_dir() else path.with_suffix(".py")


def modules(page: str) -> set[str]:
    found = {each for each in literals(tree(page)) if re.fullmatch(MODULE, each)}
    # Hooks have names like those of plugins' packages, and so have metrics: those of the dashboard,
    # which are known to be served.
    metrics = set(re.findall(r"\w+", (ROOT / "conf" / "grafana" / "fleet.json").read_text()))
    return found - {"toolbox"} - defined_in("toolbox/hookspecs.py") - metrics


@cache
def defined_in(file: str) -> set[str]:
    parsed = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(parsed) if isinstance(node, kinds)}


@pytest.mark.parametrize(
    "page", (*PAGES, ARCHITECTURE, FLEET, "docs/plugins.rst", "CONTRIBUTING.rst")
)
def test_every_module_is_there(page: str) -> None:
    named = modules(page)
    assert named
    assert {each for each in named if not source(each).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_test_is_there(page: str) -> None:
    named = re.findall(TEST, (ROOT / page).read_text())
    assert len(named) > 40
    assert [each for each in named if each[1] not in defined_in(each[0])] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_row_names_a_test_and_a_module(page: str) -> None:
    found = rows(page)
    assert len(found) > 25
    for names, row in found:
        cells = dict(zip(names, row.findall(nodes.entry), strict=True))
        tests = literals(cells["Test"])
        assert tests, row.astext()
        assert all(re.fullmatch(TEST, each) for each in tests), row.astext()
        if "Module" in cells:
            named = literals(cells["Module"])
            assert named, row.astext()
            assert all(re.fullmatch(MODULE, each) for each in named), row.astext()


def test_every_module_that_heeds_an_sdk_has_a_row() -> None:
    speaking = set()
    for path in [*ROOT.glob("toolbox/**/*.py"), *ROOT.glob("plugins/*/toolbox_*/**/*.py")]:
        if re.search(r"\bSDKs?\b|okhttp|\bGo client\b", path.read_text()):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[2:] if parts[0] == "plugins" else parts
            speaking.add(".".join(parts).removesuffix(".__init__"))
    assert len(speaking) > 20
    named = {each for _, row in rows(CLIENTS) for each in literals(row)}
    assert speaking - OTHER_SDKS - named == set()


def settings_file() -> dict[str, Any]:
    """The settings file of the repository, with every option at its default."""
    text = (ROOT / "conf" / "toolbox.toml").read_text()
    return tomllib.loads(re.sub(r"(?m)^# (?=\w+ = )", "", text))


@pytest.mark.parametrize(("page", "least"), [(CLIENTS, 0), (SECURITY, 20), (FLEET, 20)])
def test_every_setting_is_there(page: str, least: int) -> None:
    settings = settings_file()
    named = [each for each in literals(tree(page)) if each.startswith("[")]
    assert len(named) >= least
    for literal in named:
        match = re.fullmatch(r"\[([\w.]+)\] (\w+)( = .+)?", literal)
        assert match is not None, literal
        section = settings
        for name in match[1].split("."):
            section = section[name]
        assert match[2] in section, literal


def test_every_setting_of_a_fleet_is_explained() -> None:
    words = set(re.findall(r"\w+", " ".join(literals(tree(FLEET)))))
    fleet = settings_file()["fleet"]
    for section in (fleet, fleet["local"], fleet["single"]):
        assert {name for name in section if not isinstance(section[name], dict)} <= words


def test_the_versions_are_those_that_are_tested() -> None:
    text = (ROOT / CLIENTS).read_text()
    sdk = (ROOT / "tests" / "sdk" / "requirements.txt").read_text()
    assert f"``daytona`` {re.findall(r'(?m)^daytona==(.+)$', sdk)[0]}\n" in text
    requirements = (ROOT / "tests" / "requirements.txt").read_text()
    generated = re.findall(r"(?m)^(daytona-toolbox-api-client)==(.+)$", requirements)[0]
    assert "``{}`` {}\n".format(*generated) in text
    conftest = (ROOT / "tests" / "sdk" / "conftest.py").read_text()
    typescript = re.findall(r'(?m)^TYPESCRIPT_SDK = "(.+)"$', conftest)[0]
    assert f"``@daytona/sdk`` {typescript}," in text


def test_the_public_operations_are_those_that_security_names() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "toolbox", "openapi"],
        env={**os.environ, "TOOLBOX_CONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    public, signed = set(), set()
    for path, methods in json.loads(shown)["paths"].items():
        for operation in methods.values():
            security = operation.get("security") if isinstance(operation, dict) else None
            if security is not None and {"signature": []} in security:
                signed.add(path)
            elif security is not None:
                public.add(path)
    text = (ROOT / SECURITY).read_text()
    (paragraph,) = re.findall(r"(?ms)^Public in every mode are (.+?)\n\n", text)
    named = set(re.findall(r"``(?:POST )?(/[^`]*)``", paragraph))
    assert named == public
    (cell,) = re.findall(r"(?s)one path of one method of (.+?),", text)
    assert set(re.findall(r"``(/[^`]*)``", cell)) == signed


def test_no_address_is_named_for_reports() -> None:
    assert re.findall(r"\w@\w|https?://", (ROOT / SECURITY).read_text()) == []


def test_the_pages_are_found_from_the_readme() -> None:
    for page in (*PAGES, FLEET):
        assert f"<{page}>`_" in (ROOT / "README.rst").read_text()


def drawn(package: Path) -> list[str]:
    """Draw the folders of a package, each with its purpose and its modules."""
    lines = []
    for folder in (package, *sorted(path.parent for path in package.rglob("*/__init__.py"))):
        depth = "  " * len(folder.relative_to(package).parts)
        purpose = ast.get_docstring(ast.parse((folder / "__init__.py").read_bytes())) or ""
        lines.append(f"{depth}{folder.name}/  {purpose.splitlines()[0]}")
        modules = sorted(
            path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")
        )
        lines += textwrap.wrap(
            " ".join(modules), 96, initial_indent=depth + "    ", subsequent_indent=depth + "    "
        )
    return lines


def test_the_tree_is_drawn_as_it_is() -> None:
    packages = [ROOT / "toolbox", *sorted(ROOT.glob("plugins/*/toolbox_*"))]
    tree = "\n".join("\n".join(drawn(package)) for package in packages)
    page = (ROOT / ARCHITECTURE).read_text()
    assert textwrap.indent(tree, "    ") in page, tree


def test_every_thread_is_described() -> None:
    named = set()
    for file in (ROOT / "toolbox").rglob("*.py"):
        for line in file.read_text().splitlines():
            if re.search(r"Thread|Pool|def __init__|name=", line):
                named |= set(re.findall(r'"(toolbox-[a-z]+)"', line))
    assert named == set(re.findall(r"``(toolbox-[a-z]+)``", (ROOT / ARCHITECTURE).read_text()))


def test_the_architecture_is_found_by_developers() -> None:
    assert f"<{ARCHITECTURE}>`_" in (ROOT / "CONTRIBUTING.rst").read_text()
