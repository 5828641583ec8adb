"""Language servers, by each SDK, in the order of the SDKs' own examples."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import DaytonaLspServerNotInitializedError
from daytona import LspLanguageId
from daytona import Sandbox
from daytona.common.lsp_server import LspCompletionPosition

from toolbox.testing import Service

JavaScript = Callable[..., Any]

# typescript-language-server drives tsserver, which TypeScript 7 no longer has.
NPM = {"typescript": "5.9.3", "typescript-language-server": "5.3.0"}
PYTHON = "class Greeter:\n    def greet(self):\n        return 1\n\n\nGreeter().\n"
SCRIPT = "class Greeter {\n    greet() {\n        return 1\n    }\n}\nnew Greeter().\n"
CASES = [
    ("python", "sample.py", PYTHON, len("Greeter().")),
    ("typescript", "sample.ts", SCRIPT, len("new Greeter().")),
    ("javascript", "sample.js", SCRIPT, len("new Greeter().")),
]
each_language = pytest.mark.parametrize(("language", "file", "text", "character"), CASES)


@pytest.fixture(scope="module")
def service(node_modules: Path) -> Iterator[Service]:
    """A service that finds pylsp and typescript-language-server."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    programs = [str(node_modules / ".bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    # Real servers are slow to start on a busy machine.
    settings = "[lsp]\nrequest_timeout = 50"
    running = Service(directory, settings=settings, env={"PATH": ":".join(programs)})
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """``node_modules`` with typescript-language-server, kept in pytest's cache."""
    if shutil.which("npm") is None and not os.environ.get("CI"):
        pytest.skip("npm is not installed (Debian and Ubuntu: packages nodejs and npm)")
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir("typescript-" + "-".join(NPM.values()))
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several test runs may share the cache.
        if not (directory / "installed").exists():
            package = {"dependencies": NPM, "private": True}
            (directory / "package.json").write_text(json.dumps(package))
            subprocess.run(command, cwd=directory, check=True, timeout=300)
            (directory / "installed").touch()
    return directory / "node_modules"


@each_language
def test_lsp(sandbox: Sandbox, language: str, file: str, text: str, character: int) -> None:
    project = f"e2e-lsp-{language}"
    path = f"{project}/{file}"
    sandbox.fs.create_folder(project, "755")
    sandbox.fs.upload_file(text.encode(), path)
    lsp = sandbox.create_lsp_server(LspLanguageId(language), project)
    lsp.start()
    lsp.did_open(path)
    position = LspCompletionPosition(line=5, character=character)
    completions = lsp.completions(path, position)
    assert any(item.label.startswith("greet") for item in completions.items)
    assert lsp.completions(path, LspCompletionPosition(line=0, character=0)).items is not None
    symbols = lsp.document_symbols(path)
    assert {"Greeter", "greet"} <= {symbol.name for symbol in symbols}
    assert symbols[0].location.uri.startswith(f"file://{sandbox.get_work_dir()}/{project}/")
    assert [symbol.name for symbol in lsp.sandbox_symbols("Greeter")] == ["Greeter"]
    lsp.did_close(path)
    lsp.stop()


def test_lsp_before_the_start(sandbox: Sandbox) -> None:
    sandbox.fs.create_folder("never-started", "755")
    lsp = sandbox.create_lsp_server("python", "never-started")
    with pytest.raises(DaytonaLspServerNotInitializedError, match="no python server was started"):
        lsp.document_symbols("never-started/sample.py")


@pytest.mark.anyio
async def test_lsp_async(async_sandbox: AsyncSandbox) -> None:
    await async_sandbox.fs.create_folder("by-async", "755")
    await async_sandbox.fs.upload_file(PYTHON.encode(), "by-async/sample.py")
    lsp = async_sandbox.create_lsp_server(LspLanguageId.PYTHON, "by-async")
    await lsp.start()
    await lsp.did_open("by-async/sample.py")
    position = LspCompletionPosition(line=5, character=len("Greeter()."))
    completions = await lsp.completions("by-async/sample.py", position)
    assert any(item.label.startswith("greet") for item in completions.items)
    found = await lsp.document_symbols("by-async/sample.py")
    assert "Greeter" in {symbol.name for symbol in found}
    assert await lsp.sandbox_symbols("Greeter")
    await lsp.did_close("by-async/sample.py")
    await lsp.stop()


@each_language
def test_lsp_typescript(
    javascript: JavaScript, language: str, file: str, text: str, character: int
) -> None:
    body = """
        const { language, file, text, character } = input
        const project = `ts-sdk-${language}`
        const path = `${project}/${file}`
        await sandbox.fs.createFolder(project, '755')
        await sandbox.fs.uploadFile(Buffer.from(text), path)
        const server = await sandbox.createLspServer(language, project)
        const called = new Set()
        const lsp = new Proxy(server, {
            get: (target, name) => { called.add(name); return target[name].bind(target) },
        })
        const own = Object.getOwnPropertyNames(Object.getPrototypeOf(server))
        await lsp.start()
        await lsp.didOpen(path)
        const completions = await lsp.completions(path, { line: 5, character })
        const symbols = await lsp.documentSymbols(path)
        const found = await lsp.sandboxSymbols('Greeter')
        const again = await lsp.workspaceSymbols('Greeter')
        await lsp.didClose(path)
        await lsp.stop()
        return {
            labels: completions.items.map(item => item.label),
            symbols: symbols.map(symbol => symbol.name),
            found: found.map(symbol => symbol.name),
            again: again.map(symbol => symbol.name),
            missed: own.filter(name => name !== 'constructor' && !called.has(name)),
        }
    """
    given = {"language": language, "file": file, "text": text, "character": character}
    answer = javascript(body, input=given)
    assert any(label.startswith("greet") for label in answer["labels"])
    assert {"Greeter", "greet"} <= set(answer["symbols"])
    assert answer["found"] == answer["again"] == ["Greeter"]
    assert answer["missed"] == []
