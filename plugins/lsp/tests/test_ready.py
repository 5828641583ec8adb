"""Ready entries beside the usual ones, by the real programs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

TEXT = """\
class Greeter:
    def greet(self) -> int:
        '''Say hello to somebody.'''
        return 1


Greeter().greet()
"""


@pytest.mark.parametrize("program", ["jedi-language-server", "pyright-langserver"])
def test_other_servers_of_python(
    make_service: Callable[..., Service], node_modules: Path, tmp_path: Path, program: str
) -> None:
    """The installed server is used, without any configuration."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / program).symlink_to(Path(sys.executable).with_name(program))
    node = shutil.which("node")
    assert node and node_modules
    (programs / "node").symlink_to(node)
    # Nothing else is on PATH, or pylsp would be found first.
    service = make_service(settings="[lsp]\nrequest_timeout = 50", env={"PATH": str(programs)})
    plugins = service.http.get("/plugins").json()["plugins"]
    details = next(each for each in plugins if each["name"] == "lsp")["details"]
    assert details["python"] == program
    (service.work_dir / "project").mkdir()
    (service.work_dir / "project/a.py").write_text(TEXT)
    server = {"languageId": "python", "pathToProject": "project"}
    uri = "file://project/a.py"
    place = {**server, "uri": uri, "position": {"line": 6, "character": 10}}

    def ask(operation: str, body: dict[str, Any]) -> Any:
        answer = service.http.post(operation, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    ask("/lsp/start", server)
    labels = [item["label"] for item in ask("/lsp/completions", place)["items"]]
    assert "greet" in labels
    answer = service.http.get("/lsp/document-symbols", params={**server, "uri": uri})
    assert {"Greeter", "greet"} <= {symbol["name"] for symbol in answer.json()}
    found = service.http.get("/lsp/workspacesymbols", params={**server, "query": "Greeter"}).json()
    assert "Greeter" in {symbol["name"] for symbol in found}
    greet = {**place, "position": {"line": 6, "character": 12}}
    assert "Say hello" in ask("/x/lsp/hover", greet)["value"]
    (definition,) = ask("/x/lsp/definition", greet)
    assert definition["range"]["start"]["line"] == 1
    ask("/lsp/stop", server)
