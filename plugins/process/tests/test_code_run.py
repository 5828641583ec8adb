"""``POST /process/code-run`` against a real service, with real interpreters."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from daytona_toolbox_api_client.models.code_run_response import CodeRunResponse
from toolbox_process.commands.typescript import find_runner
from toolbox_process.local import LocalProcess
from toolbox_process.settings import LocalSettings
from toolbox_process.settings import ProcessSettings

from toolbox.testing import Service

QUIET = "import logging; logging.disable()\n"
"""Where matplotlib is slow to look for the machine's fonts, it says so on standard error."""

PNG = b"\x89PNG\r\n\x1a\n"
PYTHON = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}
"""The interpreter that runs the tests has matplotlib."""


def post(service: Service, code: str, language: str = "python", **more: Any) -> httpx.Response:
    body = {"code": code, "language": language, "envs": PYTHON, **more}
    return service.http.post("/process/code-run", json=body)


def run(service: Service, code: str, language: str = "python", **more: Any) -> tuple[int, str]:
    answer = post(service, code, language, **more)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"exitCode", "result"}
    return answer.json()["exitCode"], answer.json()["result"]


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json()["source"] == "DAYTONA_DAEMON"
    return answer.status_code, answer.json()["code"]


def test_python(service: Service) -> None:
    assert run(service, "print(7*8)") == (0, "56\n")
    assert run(service, "import sys; sys.exit(4)") == (4, "")
    assert run(service, "import os; print(os.getcwd())") == (0, f"{service.work_dir}\n")
    envs = {**PYTHON, "X": "a b"}
    assert run(service, "import os; print(os.environ['X'])", envs=envs) == (0, "a b\n")
    code, text = run(service, "def f():\n    1/0\nf()")
    assert code == 1
    assert 'File "<stdin>", line 2, in f' in text
    assert text.endswith("ZeroDivisionError: division by zero\n")
    assert run(service, "import os; os.kill(os.getpid(), 9)")[0] == 137


def test_javascript(service: Service) -> None:
    assert run(service, "console.log(7*8)", "javascript") == (0, "56\n")
    assert run(service, "process.exit(4)", "javascript") == (4, "")
    code, text = run(service, "let x = 1\nthrow new Error('no')", "javascript")
    assert code == 1
    assert "[stdin]:2" in text
    assert run(service, "'use strict'; console.log(require('os').EOL)", "javascript")[0] == 0


ARGUMENTS = ["a b", "$HOME", "'q\"", "", "-x", "\u65e5", "*", "--help", "a\nb"]


def test_arguments_stay_as_they_are(service: Service) -> None:
    code = "import sys; print(sys.argv)"
    assert run(service, code, argv=ARGUMENTS) == (0, f"{['-', *ARGUMENTS]}\n")
    code = "console.log(JSON.stringify(process.argv.slice(1)))"
    status, text = run(service, code, "javascript", argv=ARGUMENTS)
    assert (status, json.loads(text)) == (0, ARGUMENTS)


def without_typescript(tmp_path: Path) -> str:
    """A PATH on which node and npm are all there is for it."""
    for name in ("node", "npm", "npx", "env", "sh"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return str(tmp_path)


@pytest.fixture(scope="module")
def ts_node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which ts-node is installed."""
    directory = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "ts-node", "typescript@5"]
    if shutil.which("npm") is None or subprocess.run(command, cwd=directory).returncode:
        pytest.skip("npm can't install ts-node here")
    return f"{directory}/node_modules/.bin:{PYTHON['PATH']}"


@pytest.mark.timeout(180)
def test_typescript(service: Service, ts_node: str) -> None:
    envs = {"PATH": ts_node}
    program = (
        "const n: number = 7 * 8;\nconsole.log(n, process.argv.slice(1));\n"
        "console.log(__filename);\nprocess.exit(n)"
    )
    code, text = run(service, program, "typescript", envs=envs, argv=["a b", "-c"])
    said, file = text.splitlines()
    assert (code, said) == (56, "56 [ 'a b', '-c' ]")
    assert Path(file).parent == service.work_dir
    assert not Path(file).exists()
    code, text = run(service, "enum E { A }\n\nthrow new Error('no')", "typescript", envs=envs)
    assert code == 1
    assert "code.ts:3" in text


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_megabyte_of_source(service: Service, language: str) -> None:
    """AC-05."""
    say = {"python": "print(len(x))", "javascript": "console.log(x.length)"}[language]
    assert run(service, f"x = '{'y' * (1 << 20)}'\n{say}\n", language) == (0, "1048576\n")


def test_nothing_to_read(service: Service) -> None:
    """AC-06."""
    code, text = run(service, "input()")
    assert (code, text.strip().splitlines()[-1]) == (1, "EOFError: EOF when reading a line")


def test_errors(service: Service) -> None:
    assert error(post(service, "x", "ruby")) == (400, "BAD_REQUEST")
    assert error(post(service, "x", envs={"a=b": ""})) == (400, "BAD_REQUEST")
    assert error(post(service, "x", argv=["\0"])) == (400, "BAD_REQUEST")
    for body in ({"code": "x"}, {"language": "python"}, {"code": "", "language": "python"}):
        answer = service.http.post("/process/code-run", json=body)
        assert error(answer) == (400, "INVALID_REQUEST_BODY")
    answer = post(service, "import time; time.sleep(1000)", timeout=1)
    assert error(answer) == (408, "PROCESS_EXECUTION_TIMEOUT")
    assert "timeout" in answer.json()["message"]  # F-C1
    assert run(service, "print(1)", envs={"PATH": "/nowhere"}) == (-1, "python3: not installed")


def charts(service: Service, body: str) -> list[dict[str, Any]]:
    """The charts a program shows, as the answer has them and the SDK's strict model takes them."""
    pytest.importorskip("matplotlib")
    code = f"{QUIET}import matplotlib.pyplot as plt\nimport datetime as d\n{body}\nprint('after')\n"
    answer = post(service, code)
    assert answer.json()["exitCode"] == 0, answer.text
    assert answer.json()["result"] == "after\n"
    assert CodeRunResponse.from_dict(answer.json()) is not None
    found: list[dict[str, Any]] = answer.json().get("artifacts", {}).get("charts", [])
    for chart in found:
        assert base64.b64decode(chart.pop("png")).startswith(PNG)
    return found


DRAWINGS = {
    "line": "plt.plot([1, 2, 3], [4, float('nan'), 6.5], label='a'); plt.axhline(5)\n"
    "plt.title('T'); plt.xlabel('X'); plt.ylabel('Y')",
    "log": "plt.plot([1, 10, 100], [1, 2, 3]); plt.xscale('log')",
    "dates": "plt.plot([d.datetime(2024, 1, 1), d.datetime(2024, 1, 2), d.datetime(2024, 1, 3)],"
    " [1, 3, 2])",
    "scatter": "plt.scatter([1, 2], [3, 4], label='s'); plt.scatter([5], [6])",
    "bar": "plt.bar(['a', 'b'], [2, 2], label='g'); plt.xlabel('X'); plt.ylabel('Y')",
    "barh": "plt.barh(['a', 'b'], [2, 2], label='g'); plt.xlabel('X'); plt.ylabel('Y')",
    "grouped": "plt.bar([-.2, .8], [1, 2.5], .4, label='p')\n"
    "plt.bar([.2, 1.2], [3, 4], .4, label='q'); plt.xticks([0, 1], ['u', 'v'])",
    "single": "plt.bar(['only'], [7])",
    "pie": "plt.pie([1, 3], labels=['a', 'b'], autopct='%d%%', radius=2)",
    "box": "plt.boxplot([[1, 2, 3, 4, 20], [5, 6, 7]])",
    "filled box": "plt.boxplot([[1, 2, 3, 4, 20], [5, 6, 7]], patch_artist=True)",
    "upright box": "plt.boxplot([[1, 2, 3, 4, 20], [5, 6, 7]], vert=True)",
    "two": "f, (a, b) = plt.subplots(1, 2); f.suptitle('Both')\n"
    "a.plot([1, 2, 4]); b.bar(['x'], [3]); a.set_title('left')",
    "image": "plt.imshow([[1, 2], [3, 4]]); plt.colorbar()",
    "not finite": "plt.scatter([1, 2, 3], [4, float('nan'), float('inf')])",
    "bars without height": "plt.bar(['a', 'b'], [float('nan'), 1])",
    "box of nothing": "plt.boxplot([[], [1, 2, 3]])",
}


@pytest.fixture(scope="module")
def drawn(service: Service) -> dict[str, dict[str, Any]]:
    """What became of each drawing; one program shows them all, as matplotlib takes its time."""
    program = "\n".join(f"{each}\nplt.show()" for each in DRAWINGS.values())
    found = charts(service, program)
    return dict(zip(DRAWINGS, found, strict=True))


Drawn = dict[str, dict[str, Any]]


def test_line_chart(drawn: Drawn) -> None:
    found = drawn["line"]
    assert (found["type"], found["title"]) == ("line", "T")
    assert (found["x_label"], found["y_label"]) == ("X", "Y")
    assert found["elements"] == [{"label": "a", "points": [[1, 4], [3, 6.5]]}]
    assert (found["x_scale"], found["y_scale"]) == ("linear", "linear")
    assert len(found["x_ticks"]) == len(found["x_tick_labels"])


def test_log_and_date_axes(drawn: Drawn) -> None:
    assert drawn["log"]["x_scale"] == "log"
    found = drawn["dates"]
    assert found["x_scale"] == "datetime"
    assert all(isinstance(tick, int | float) for tick in found["x_ticks"])
    assert any("01" in label for label in found["x_tick_labels"])
    assert found["elements"][0]["points"][0] == [19723, 1]


def test_scatter_chart(drawn: Drawn) -> None:
    assert drawn["scatter"]["type"] == "scatter"
    assert drawn["scatter"]["elements"] == [
        {"label": "s", "points": [[1, 3], [2, 4]]},
        {"label": "", "points": [[5, 6]]},
    ]


@pytest.mark.parametrize("kind", ["bar", "barh"])
def test_bar_chart(drawn: Drawn, kind: str) -> None:
    found = drawn[kind]
    assert found["type"] == "bar"
    assert found["elements"] == [
        {"label": "a", "group": "g", "value": "2"},
        {"label": "b", "group": "g", "value": "2"},
    ]
    assert (found["x_label"] == "X") is (kind == "bar")
    axis = "x" if kind == "bar" else "y"
    assert found[f"{axis}_scale"] == "categorical"


def test_grouped_and_single_bars(drawn: Drawn) -> None:
    assert [(e["label"], e["group"], e["value"]) for e in drawn["grouped"]["elements"]] == [
        ("u", "p", "1"),
        ("v", "p", "2.5"),
        ("u", "q", "3"),
        ("v", "q", "4"),
    ]
    assert drawn["single"]["elements"][0]["value"] == "7"


def test_pie_chart(drawn: Drawn) -> None:
    assert drawn["pie"]["type"] == "pie"
    assert drawn["pie"]["elements"] == [
        {"label": "a", "angle": 90, "radius": 2},
        {"label": "b", "angle": 270, "radius": 2},
    ]


@pytest.mark.parametrize("kind", ["box", "filled box", "upright box"])
def test_box_chart(drawn: Drawn, kind: str) -> None:
    assert drawn[kind]["type"] == "box_and_whisker"
    assert drawn[kind]["elements"][0] == {
        "label": "1",
        "min": 1,
        "first_quartile": 2,
        "median": 3,
        "third_quartile": 4,
        "max": 4,
        "outliers": [20],
    }


def test_composite_and_unknown_charts(drawn: Drawn) -> None:
    found = drawn["two"]
    assert (found["type"], found["title"]) == ("composite_chart", "Both")
    assert [(each["type"], each.get("title")) for each in found["elements"]] == [
        ("line", "left"),
        ("bar", None),
    ]
    assert (drawn["image"]["type"], drawn["image"]["elements"]) == ("unknown", [])


def test_what_is_not_finite_spoils_no_chart(drawn: Drawn) -> None:
    """The SDKs take neither null nor NaN where a number belongs."""
    assert drawn["not finite"]["elements"] == [{"label": "", "points": [[1, 4]]}]
    bars = drawn["bars without height"]["elements"]
    assert bars[-1] == {"label": "b", "group": "", "value": "1"}
    assert all(isinstance(each["value"], str) for each in bars)
    assert drawn["box of nothing"]["elements"][-1]["median"] == 2
    assert "null" not in json.dumps([drawn[name] for name in DRAWINGS])
    json.dumps(drawn, allow_nan=False)


@pytest.mark.parametrize(
    "text",
    [
        "import matplotlib",
        "import os, matplotlib.pyplot as plt",
        "from matplotlib import pyplot",
        "__import__('matplotlib')",
        "importlib.import_module('matplotlib.pyplot')",
        "loader.load_module('matplotlib')",
        "sys.modules['matplotlib']",
    ],
)
def test_what_makes_a_program_one_with_charts(service: Service, text: str) -> None:
    program = f"import sys; print(' '.join(sys.orig_argv))\nif 0:\n    {text}\n"
    assert "run_with_charts" in run(service, program)[1]
    assert "run_with_charts" not in run(service, program.replace(text, f"pass  # {text}"))[1]


def test_which_figures_are_charts(service: Service) -> None:
    assert charts(service, "plt.plot([1, 2]); plt.savefig('f.png')") == []
    found = charts(
        service,
        "plt.plot([1]); plt.show(); plt.bar([1], [1]); plt.show(); plt.show()\n"
        "plt.figure(); plt.plot([1]); plt.figure(); plt.pie([1]); plt.show()\n"
        "plt.scatter([1], [1])",
    )
    assert [each["type"] for each in found] == ["line", "bar", "line", "pie"]


def test_a_program_with_charts_is_run_as_any_other(service: Service) -> None:
    pytest.importorskip("matplotlib")
    program = "import matplotlib\nimport sys, charts_no\n"
    code, text = run(service, program)
    assert code == 1
    assert text == (
        "Traceback (most recent call last):\n"
        '  File "<stdin>", line 2, in <module>\n'
        "    import sys, charts_no\n"
        "ModuleNotFoundError: No module named 'charts_no'\n"
    )
    program = "import matplotlib, sys\nprint(sys.argv, __name__)\nsys.exit(6)"
    assert run(service, program, argv=["a b"]) == (6, "['-', 'a b'] __main__\n")
    assert run(service, "import matplotlib\n1 +")[0] == 1
    assert run(service, "# import matplotlib\nprint(1)") == (0, "1\n")


def test_text_beside_charts_is_left_alone(service: Service) -> None:
    pytest.importorskip("matplotlib")
    program = QUIET + (
        "import sys, matplotlib.pyplot as plt\nsys.stderr.write('no newline')\n"
        "plt.plot([1, 2]); plt.show()\nprint('dtn_artifact_k39fd2:{}')"
    )
    answer = post(service, program).json()
    assert answer["result"] == "no newlinedtn_artifact_k39fd2:{}\n"
    assert len(answer["artifacts"]["charts"]) == 1


@pytest.mark.timeout(180)
def test_typescript_where_nothing_for_it_is_installed(service: Service, tmp_path: Path) -> None:
    """F-E1: an exact release is fetched, whatever is the newest."""
    envs = {"PATH": without_typescript(tmp_path)}
    (service.work_dir / "beside.ts").write_text("export const name: string = 'beside'\n")
    program = (
        "import { name } from './beside';\nimport * as os from 'os';\nenum E { A = 3 }\n"
        "const x: number = 1;\nconsole.log(x, E.A, name, typeof os.EOL, process.argv.slice(1))"
    )
    done = run(service, program, "typescript", envs=envs, argv=["a b", "-c"])
    assert done == (0, "1 3 beside string [ 'a b', '-c' ]\n")
    code, text = run(service, "let x: number = ;", "typescript", envs=envs)
    assert (code, text) == (2, "code.ts(1,17): error TS1109: Expression expected.\n")


def test_a_typescript_that_is_no_library_is_not_used(
    tmp_path: Path, make_backend: Callable[..., LocalProcess]
) -> None:
    """F-E1: from 7 on there is only a program, with which ts-node crashes."""
    package = tmp_path / "node_modules" / "typescript"
    (package / "bin").mkdir(parents=True)
    for name in ("tsc", "ts-node"):
        file = package / "bin" / name
        file.touch(0o755)
        (tmp_path / name).symlink_to(file)
    node = shutil.which("node")
    assert node
    (tmp_path / "node").symlink_to(node)
    (tmp_path / "npx").touch(0o755)
    engine = make_backend(LocalProcess, LocalSettings(), ProcessSettings())._engine
    for version, used in (("5.9.3", True), ("6.0.0", True), ("7.0.1", False), ("next", False)):
        (package / "package.json").write_text(json.dumps({"version": version}))
        assert (find_runner(str(tmp_path), engine).arguments[-1] == str(package)) is used
    # Neither a digit of another script nor a pipe that nobody writes to stops a request.
    (package / "package.json").write_text(json.dumps({"version": "²"}))
    assert find_runner(str(tmp_path), engine).arguments[-1] != str(package)
    (package / "package.json").unlink()
    os.mkfifo(package / "package.json")
    assert find_runner(str(tmp_path), engine).arguments[-1] != str(package)


SPAWN = """
import concurrent.futures, dataclasses, inspect, multiprocessing, pickle

@dataclasses.dataclass
class Point:
    x: int

def double(point):
    return Point(point.x * 2)

if __name__ == "__main__":
    context = multiprocessing.get_context("%s")
    with context.Pool(2) as pool:
        print(pool.map(double, [Point(1), Point(2)]))
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        print(pool.submit(double, Point(3)).result())
    print(inspect.getsource(double), end="")
    print(pickle.loads(pickle.dumps(Point(4))), __name__, __spec__, sorted(globals()))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("prelude", ["", "import matplotlib\n"])
def test_python_starts_processes(service: Service, method: str, prelude: str) -> None:
    """F-C15: they import the program, which is therefore a file."""
    code, text = run(service, prelude + SPAWN % method, timeout=60)
    *lines, last = text.splitlines()
    assert (code, lines) == (
        0,
        [
            "[Point(x=2), Point(x=4)]",
            "Point(x=6)",
            "def double(point):",
            "    return Point(point.x * 2)",
        ],
    )
    assert last.startswith("Point(x=4) __main__ None [")
    assert ("main" in last, "'sys'" in last) == (True, False)


def test_python_is_as_if_read_from_standard_input(service: Service) -> None:
    """F-C15, F-C19: no frame, name or path of ours is to be seen."""
    code, text = run(service, "def f():\n    raise KeyError('x')\nf()")
    assert (code, text) == (
        1,
        "Traceback (most recent call last):\n"
        '  File "<stdin>", line 3, in <module>\n'
        '  File "<stdin>", line 2, in f\n'
        "KeyError: 'x'\n",
    )
    code, text = run(service, "x = 1\n1 +")
    assert code == 1
    assert text.startswith('  File "<stdin>", line 2\n')
    code, text = run(
        service,
        "import logging\ntry:\n    1/0\nexcept Exception:\n"
        "    logging.exception('told', stack_info=True)",
    )
    assert 'File "<stdin>", line 3, in <module>\n    1/0\n' in text
    assert "toolbox" not in text
    assert run(service, "raise KeyboardInterrupt")[0] == 130
    hook = "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__)\n1/0"
    assert run(service, hook) == (1, "hook ZeroDivisionError\n")
    names = "print(__doc__, [n for n in dir() if n[:2] != '__'], __annotations__)\nx: int = 1"
    assert run(service, names) == (0, "None [] {}\n")
    assert run(service, "import atexit\natexit.register(print, 'last')\nexit('no')") == (
        1,
        "no\nlast\n",
    )
    cookie = "# -*- coding: utf-8 -*-\nprint('h\u00e9')"
    assert run(service, cookie) == (0, "h\u00e9\n")


@pytest.mark.parametrize("language", ["javascript", "typescript"])
def test_process_exit_cuts_nothing(service: Service, ts_node: str, language: str) -> None:
    """F-C15: more than a pipe holds, to both streams."""
    program = (
        "process.stdout.write('x'.repeat(300000)); console.error('y'.repeat(300000));\n"
        "console.log('end'); process.exit(3)"
    )
    code, text = run(service, program, language, envs={"PATH": ts_node})
    assert (code, len(text)) == (3, 600005)
    assert text.endswith("y\nend\n")


@pytest.mark.parametrize("language", ["python", "javascript", "typescript"])
def test_source_that_no_disk_has_room_for(
    make_service: Any, ts_node: str, tmp_path: Path, language: str
) -> None:
    """F-C14, F-C15: it is handed over in memory."""
    (tmp_path / "full").mkdir()
    mount = f'mount -t tmpfs -o nr_inodes=1 none {tmp_path}/full && exec "$@"'
    service = make_service(
        settings=f"[process.local]\nstate_dir = '{tmp_path}/full'\n",
        wrapper=("unshare", "--mount", "sh", "-c", mount, "sh"),
    )
    say = "print(7)" if language == "python" else "console.log(7)"
    assert run(service, say, language, envs={"PATH": ts_node}) == (0, "7\n")
