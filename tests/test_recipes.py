"""The recipes of ``docs/recipes.rst``: their examples run as they stand there."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toolbox_files

from toolbox.testing import Service

RECIPES = (Path(__file__).parent.parent / "docs" / "recipes.rst").read_text()


CODE = r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)"


def section(heading: str) -> str:
    (found,) = re.findall(rf"(?ms)^{heading}\n=+\n(.*?)(?=^=+$|\Z)", RECIPES)
    assert isinstance(found, str)
    return found


def unindented(code: str) -> str:
    return re.sub(r"(?m)^   ", "", code).strip() + "\n"


def example(heading: str) -> str:
    """Return the Python code below a heading."""
    (code,) = re.findall(CODE, section(heading))
    return unindented(code)


def add(file: Path, code: str, to_class: str) -> None:
    """Add imports and code to a module: to the end of a class, or of the module if empty."""
    imports, _, body = code.rpartition("\n\n\n")
    lines = file.read_text().splitlines(keepends=True)
    end = len(lines)
    if to_class:
        (found,) = (
            node
            for node in ast.parse("".join(lines)).body
            if isinstance(node, ast.ClassDef) and node.name == to_class
        )
        end = found.end_lineno or 0
    first = lines.index("from __future__ import annotations\n") + 1
    lines[end:end] = ["\n", *body.splitlines(keepends=True)]
    lines[first:first] = [imports + "\n"]
    file.write_text("".join(lines))


def test_an_operation_is_added_in_four_files(
    site: Any, make_service: Callable[..., Service]
) -> None:
    package = site.directory / "toolbox_files"
    shutil.copytree(Path(toolbox_files.__file__).parent, package)
    steps = re.findall(
        r"(?m)^In ``(\w+\.py)``(?:, class ``(\w+)``)?.*:\n\n" + CODE, section("Add an operation")
    )
    assert len({file for file, _, _ in steps}) == len(steps) == 4
    for file, to_class, code in steps:
        add(package / file, unindented(code), to_class)
    service = make_service(env=site.env)
    (service.work_dir / "tree" / "below").mkdir(parents=True)
    with (service.work_dir / "tree" / "below" / "file").open("wb") as file_below:
        file_below.write(os.urandom(10_000))
        file_below.flush()
        os.fsync(file_below)  # Some file systems allocate no blocks before.
    answer = service.http.get("/x/files/usage", params={"path": "tree"})
    assert answer.status_code == 200
    assert answer.json()["bytes"] >= 10_000
    absent = service.http.get("/x/files/usage", params={"path": "absent"})
    assert absent.json()["code"] == "FILE_NOT_FOUND"
    operation = service.http.get("/openapi.json").json()["paths"]["/x/files/usage"]["get"]
    assert operation["operationId"] == "get_disk_usage"
    # The service without the recipe has no such operation: the copy was really used.
    assert make_service().http.get("/x/files/usage").status_code == 404


def test_a_dialect_uses_the_backends_of_other_groups(
    site: Any, make_service: Callable[..., Service]
) -> None:
    (site.directory / "notes.py").write_text(example("Add a dialect"))
    site.register("notes", "notes", "notes")
    service = make_service(env=site.env)
    (service.work_dir / "notes").mkdir()
    (service.work_dir / "notes" / "one.txt").write_text("écrit")
    answer = service.http.get("/notes/one")
    assert (answer.status_code, answer.text) == (200, "écrit")
    assert service.http.get("/notes/two").json()["code"] == "FILE_NOT_FOUND"
    document = service.http.get("/openapi.json").json()
    assert document["paths"]["/notes/{name}"]["get"]["summary"] == "Read a note."
    without = make_service(env=site.env, settings='[plugins]\ndisable = ["files"]\n')
    answer = without.http.get("/notes/one")
    assert answer.status_code == 503
    assert "files" in answer.json()["message"]


def test_a_plugin_adds_a_tool(site: Any, make_service: Callable[..., Service]) -> None:
    (site.directory / "a_words.py").write_text(example("Add a tool for agents"))
    # Sorts before mcp, whose hook does not exist yet when this plugin is registered.
    site.register("a_words", "a_words", "words")
    (site.directory / "broken.py").write_text(
        "from toolbox import hookimpl\n\n\n"
        "@hookimpl(optionalhook=True)\ndef toolbox_mcp_tools(unknown):\n    return []\n"
    )
    site.register("broken", "broken", "broken")
    service = make_service(env=site.env)
    (service.work_dir / "text").write_text("one two three")

    def call(method: str, **params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return service.http.post("/mcp", json=body).json()["result"]

    found = {tool["name"]: tool for tool in call("tools/list")["tools"]}
    assert found["count_words"]["annotations"]["readOnlyHint"] is True
    assert found["count_words"]["inputSchema"]["required"] == ["path"]
    assert "read_text_file" in found
    counted = call("tools/call", name="count_words", arguments={"path": "text"})
    assert counted["content"] == [{"type": "text", "text": "3 words"}]
    missing = call("tools/call", name="count_words", arguments={"path": "missing"})
    assert missing["isError"] is True
    assert "tools of plugin broken" in service.log()
    without = make_service(env=site.env, settings='[plugins]\ndisable = ["mcp", "broken"]\n')
    reports = {each["name"]: each for each in without.http.get("/plugins").json()["plugins"]}
    assert reports["a_words"]["status"] == "enabled"


def test_an_authenticator_is_one_file(site: Any, make_service: Callable[..., Service]) -> None:
    (site.directory / "certificates.py").write_text(example("Add an authenticator"))
    site.register("certificates", "certificates", "certificates")
    settings = '[auth]\nmode = "plugin"\n[certificates]\nusers = ["CN=ada"]\n'
    service = make_service(env=site.env, settings=settings, token=None)
    refused = service.http.get("/plugins")
    assert refused.status_code == 401
    assert refused.json()["message"] == "connect through the proxy, with a client certificate"
    assert refused.headers["WWW-Authenticate"] == "Certificate"
    ada = {"X-Client-Cert-Subject": "CN=ada"}
    assert service.http.get("/plugins", headers=ada).status_code == 200
    eve = {"X-Client-Cert-Subject": "CN=eve"}
    assert service.http.get("/plugins", headers=eve).json()["message"] == "unknown user"
    foreign = {**ada, "Origin": "https://elsewhere.example"}
    assert service.http.post("/x/tickets", headers=foreign).status_code == 403
    document = service.http.get("/openapi.json", headers=ada).json()
    assert document["components"]["securitySchemes"]["certificate"] == {"type": "mutualTLS"}


def test_a_figure_becomes_a_metric(site: Any, make_service: Callable[..., Service]) -> None:
    (site.directory / "shop.py").write_text(example("Add a metric"))
    site.register("shop", "shop", "shop")
    service = make_service(env=site.env, settings="[metrics]\nenabled = true\n")
    assert service.http.post("/shop/orders").status_code == 200
    assert 'toolbox_shop_orders{state="open"} 1.0' in service.http.get("/metrics").text


def test_a_launcher_is_a_module_and_its_setting(
    tmp_path: Path, make_service: Callable[..., Service]
) -> None:
    (tmp_path / "nice_launcher.py").write_text(example("Add a launcher"))
    settings = re.search(r"   \[process.local\]\n   .*\n", section("Add a launcher"))
    assert settings is not None
    service = make_service(env={"PYTHONPATH": str(tmp_path)}, settings=unindented(settings[0]))
    run = service.http.post("/process/execute", json={"command": "nice"}).json()
    assert run == {"exitCode": 0, "result": "19\n"}
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    run = service.http.post("/process/session/s/exec", json={"command": "nice"}).json()
    assert run["output"] == "19\n"


def test_a_bug_of_terminals_begins_with_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_terminal.py").write_text(example("Fix a bug of terminals"))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "toolbox.testing", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


@pytest.fixture(scope="module")
def stdio_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the recipe for servers that speak over standard streams."""
    directory = tmp_path_factory.mktemp("stdio")
    text = section("Use a stdio server from outside")
    # Each code block follows the name of its file.
    *parts, _ = re.split(CODE, text)
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    for before, code in files.items():
        name = re.findall(r"``(\w+\.py)``", before)[-1]
        (directory / name).write_text(unindented(code))
    assert len(files) == 6
    return directory


@pytest.mark.parametrize(
    ("client", "arguments", "printed"),
    [
        ("words_client.py", ["text"], ["3"]),
        ("completion_client.py", ["file:///text.py", "import tomlli"], ["tomllib"]),
        ("counting_client.py", ["one two three"], ["3 words", "end_turn"]),
    ],
)
def test_a_stdio_server_is_used_from_outside(
    stdio_files: Path, service: Service, client: str, arguments: list[str], printed: list[str]
) -> None:
    for server in ("words_server.py", "counting_agent.py"):
        shutil.copy(stdio_files / server, service.work_dir)
    (service.work_dir / "text").write_text("one two three")
    run = subprocess.run(
        [sys.executable, client, service.url, service.token, *arguments],
        cwd=stdio_files,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == printed
    # Nothing is left running in the sandbox once the client has ended.
    service.wait_for(
        lambda: all(job["done"] for job in service.http.get("/x/jobs").json()["jobs"]), "the end"
    )
