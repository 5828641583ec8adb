"""The recipes for vendors' own tools: calls in the shapes that their models write, without a model.

The shapes are those of the packages ``anthropic`` and ``openai`` (Messages and Responses API).
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

RECIPES = (Path(__file__).parent.parent / "docs" / "recipes.rst").read_text()


def recipe(heading: str) -> dict[str, Any]:
    """The names that the code of a recipe defines."""
    (text,) = re.findall(rf"(?ms)^{heading}\n=+\n(.*?)(?=^=+$|\Z)", RECIPES)
    (code,) = re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text)
    names: dict[str, Any] = {}
    exec(compile(re.sub(r"(?m)^   ", "", code), heading, "exec"), names)
    return names


Use = Callable[..., tuple[Any, bool]]


def user(tools: Any) -> Use:
    """Runs blocks as a model writes them; returns content and whether it is an error."""

    def use(name: str, **given: Any) -> tuple[Any, bool]:
        block = {"type": "tool_use", "id": "toolu_01A", "name": name, "input": given}
        result = tools.run(block)
        json.dumps(result)
        assert result.pop("type") == "tool_result"
        assert result.pop("tool_use_id") == "toolu_01A"
        content = result.pop("content")
        is_error = result.pop("is_error", False)
        assert result == {}
        return content, is_error

    return use


def test_anthropic_s_bash_keeps_its_shell(service: Service, tmp_path: Path) -> None:
    use = user(recipe("Serve Anthropic's bash and text editor")["Tools"](service.http))
    assert use("bash", command=f"cd {tmp_path} && X=5 && echo out; echo err >&2") == (
        "out\nerr\n",
        False,
    )
    assert use("bash", command="pwd; echo $X; (exit 3)") == (f"{tmp_path}\n5\n\nexit code 3", False)
    assert use("bash", restart=True) == ("the shell was restarted", False)
    assert use("bash", command="echo [$X]") == ("[]\n", False)


def test_anthropic_s_editor_views_and_changes_files(service: Service, tmp_path: Path) -> None:
    use = user(recipe("Serve Anthropic's bash and text editor")["Tools"](service.http))
    file = tmp_path / "src" / "a.py"

    def edit(command: str, path: Path = file, **given: Any) -> tuple[str, bool]:
        content, is_error = use(
            "str_replace_based_edit_tool", command=command, path=str(path), **given
        )
        return str(content), is_error

    assert edit("create", file_text="one\ntwo\nthree\n") == (f"{file} was written", False)
    assert edit("view") == ("     1\tone\n     2\ttwo\n     3\tthree", False)
    assert edit("view", view_range=[2, 3]) == ("     2\ttwo\n     3\tthree", False)
    assert edit("view", view_range=[3, -1]) == ("     3\tthree", False)
    assert edit("view", path=tmp_path) == (f"{tmp_path}/src\n{file}", False)
    assert edit("str_replace", old_str="two", new_str="2")[0] == f"{file} was edited at line 2"
    assert edit("insert", insert_line=1, insert_text="new\n")[0] == f"{file} was edited at line 2"
    assert edit("str_replace", old_str="2\n") == (f"{file} was edited at line 3", False)
    assert file.read_text() == "one\nnew\nthree\n"
    message, is_error = edit("str_replace", old_str="e\n", new_str="")
    assert is_error and message == "edit 1: expected 1 occurrences, found 2 (lines 1, 3)"
    message, is_error = edit("view", path=tmp_path / "missing")
    assert is_error and "file not found" in message
    message, is_error = edit("insert", insert_line=99, insert_text="x")
    assert is_error and "no line 99" in message


SETTINGS = """
[computeruse]
display = ":{display}"
state_dir = "{directory}/state"
resolution = "800x600"
vnc = false
window_manager = "openbox"
start_timeout = 45
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Service]:
    """A service with a desktop that has started."""
    for program in ("Xvfb", "xterm", "openbox"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # A range that the tests of the desktop itself don't use.
    display = next(
        number
        for number in range(65_100 + os.getpid() % 1000 * 10, 80_000)
        if not Path(f"/tmp/.X11-unix/X{number}").exists()
    )
    settings = SETTINGS.format(display=display, directory=tmp_path)
    service = Service(tmp_path / "service", settings=settings)
    try:
        service.http.post("/computeruse/start", json={}).raise_for_status()
        yield service
    finally:
        service.stop()


def test_anthropic_s_computer_sees_and_drives(desk: Service, tmp_path: Path) -> None:
    use = user(recipe("Serve Anthropic's computer tool")["Computer"](desk.http))

    def act(action: str, **given: Any) -> Any:
        content, is_error = use("computer", action=action, **given)
        assert not is_error, content
        return content

    for given in ({"action": "screenshot"}, {"action": "zoom", "region": [0, 0, 40, 20]}):
        (image,) = act(**given)
        assert (image["type"], image["source"]["media_type"]) == ("image", "image/png")
        shot = base64.b64decode(image["source"]["data"])
        size = [int.from_bytes(shot[start : start + 4], "big") for start in (16, 20)]
        assert size == ([40, 20] if "region" in given else [800, 600])
    assert act("mouse_move", coordinate=[30, 40]) == "the pointer is at 30, 40"
    assert act("cursor_position") == "the pointer is at 30, 40"
    session = {"sessionId": "x"}
    desk.http.post("/process/session", json=session).raise_for_status()
    display = re.findall('display = "(.*)"', (tmp_path / "service" / "toolbox.toml").read_text())[0]
    typed = tmp_path / "typed"
    command = f"DISPLAY={display} xterm -geometry 80x24+0+0 -e sh -c 'cat >{typed}'"
    body = {"command": command, "runAsync": True}
    desk.http.post("/process/session/x/exec", json=body).raise_for_status()

    def windows() -> Any:
        return desk.http.get("/computeruse/display/windows").json()["windows"]

    desk.wait_for(lambda: any(window["className"] == "XTerm" for window in windows()), "xterm")
    act("left_click", coordinate=[100, 100])
    act("type", text="hello")
    act("key", text="BackSpace", repeat=2)
    act("key", text="Return")
    act("hold_key", text="shift", duration=0)
    act("key", text="ctrl+d")
    desk.wait_for(lambda: typed.exists() and typed.read_text() == "hel\n", "what was typed")
    for action in ("right_click", "middle_click", "double_click", "triple_click"):
        act(action, coordinate=[500, 500], text="shift")
    act("scroll", coordinate=[500, 500], scroll_direction="down", scroll_amount=2)
    act("left_click_drag", start_coordinate=[500, 500], coordinate=[520, 530])
    assert act("cursor_position") == "the pointer is at 520, 530"
    act("left_mouse_down")
    act("left_mouse_up")
    act("wait", duration=0)
    content, is_error = use("computer", action="key", text="NoSuchKey")
    assert is_error and "NoSuchKey" in content


def test_openai_s_shell_runs_commands(service: Service) -> None:
    shell = recipe("Serve OpenAI's shell and apply_patch")["shell"]

    def call(*commands: str, **action: Any) -> Any:
        item = {
            "type": "shell_call",
            "id": "sh_1",
            "call_id": "call_1",
            "status": "completed",
            "action": {"commands": list(commands), "timeout_ms": None, "max_output_length": None}
            | action,
        }
        result = shell(service.http, item)
        json.dumps(result)
        assert (result["type"], result["call_id"]) == ("shell_call_output", "call_1")
        return result["output"]

    first, second = call("echo out; echo err >&2; exit 3", "echo é")
    assert first == {
        "stdout": "out\n",
        "stderr": "err\n",
        "outcome": {"type": "exit", "exit_code": 3},
    }
    assert second == {"stdout": "é\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    (late,) = call("echo begun; sleep 600", timeout_ms=500)
    assert late == {"stdout": "begun\n", "stderr": "", "outcome": {"type": "timeout"}}
    (long,) = call("seq 100000", max_output_length=100)
    assert len(long["stdout"]) == 100


CREATE = "+def one():\n+    return 1\n+\n+\n+def two():\n+    return 1\n"
UPDATE = """@@ def two():
 def two():
-    return 1
+    return 2
"""


def test_openai_s_apply_patch_changes_files(service: Service, tmp_path: Path) -> None:
    apply_patch = recipe("Serve OpenAI's shell and apply_patch")["apply_patch"]

    def call(kind: str, path: str, **diff: str) -> Any:
        item = {
            "type": "apply_patch_call",
            "id": "apc_1",
            "call_id": "call_1",
            "status": "completed",
            "operation": {"type": kind, "path": path, **diff},
        }
        result = apply_patch(service.http, item, str(tmp_path))
        json.dumps(result)
        assert (result["type"], result["call_id"]) == ("apply_patch_call_output", "call_1")
        return result["status"], result.get("output", "")

    file = tmp_path / "src" / "a.py"
    assert call("create_file", "src/a.py", diff=CREATE) == ("completed", "")
    assert file.read_text() == "def one():\n    return 1\n\n\ndef two():\n    return 1\n"
    assert call("create_file", "src/a.py", diff=CREATE)[0] == "failed"
    assert call("update_file", "src/a.py", diff=UPDATE) == ("completed", "")
    assert file.read_text() == "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
    # Several hunks; the context line after the last one has no newline in the diff.
    several = (
        "@@\n-def one():\n+def uno():\n     return 1\n@@\n def two():\n-    return 2\n+    return 3"
    )
    assert call("update_file", "src/a.py", diff=several) == ("completed", "")
    assert file.read_text() == "def uno():\n    return 1\n\n\ndef two():\n    return 3\n"
    status, output = call("update_file", "src/a.py", diff=several)
    assert status == "failed"
    assert "def uno()" in output
    assert call("update_file", "../outside", diff=UPDATE)[0] == "failed"
    assert call("delete_file", "src/a.py") == ("completed", "")
    assert not file.exists()
    assert call("delete_file", "src/a.py")[0] == "failed"
