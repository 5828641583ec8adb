from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docutils.core
import docutils.utils
import httpx
import pytest

from toolbox import hookspecs
from toolbox.settings import CORE_SECTIONS
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()


PAGES = (
    "README.rst",
    "CHANGES.rst",
    "CONTRIBUTING.rst",
    "SECURITY.rst",
    "docs/clients.rst",
    "docs/plugins.rst",
    "docs/architecture.rst",
    "docs/deployment.rst",
    "docs/fleet.rst",
    "docs/recipes.rst",
    "docs/conformance.rst",
    "docs/dialects.rst",
    "docs/agents.rst",
    "docs/extensions.rst",
)
PLUGINS = (ROOT / "docs" / "plugins.rst").read_text()
DEPLOYMENT = (ROOT / "docs" / "deployment.rst").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    """The code blocks of the README, or another page, in a language, without their indentation."""
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", text)
    return [re.sub(r"(?m)^   ", "", block).strip() + "\n" for block in found]


def command(*arguments: str, **environ: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def run_in_shell(line: str, cwd: Path) -> str:
    """Run a line with the command ``toolbox`` of this environment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PATH": path, "TOOLBOX_CONFIG": os.devnull},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_page_is_looked_at() -> None:
    written = [
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst")]
    ]
    assert set(written) <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_restructured_text(name: str) -> None:
    settings = {"report_level": 2, "halt_level": 2, "syntax_highlight": "none"}
    docutils.core.publish_doctree((ROOT / name).read_text(), settings_overrides=settings)


@pytest.mark.parametrize("name", PAGES)
def test_every_file_a_page_names_is_there(name: str) -> None:
    for target in re.findall(r"<([\w./-]+)>`_", (ROOT / name).read_text()):
        assert ((ROOT / name).parent / target).exists(), target


def test_no_change_is_listed_twice() -> None:
    """Branches that meet are merged by union, which may keep a line of both."""
    lines = [line for line in (ROOT / "CHANGES.rst").read_text().splitlines() if line[:2] == "* "]
    assert len(lines) == len(set(lines)) > 50


def test_the_curl_examples_run(make_service: Callable[..., Service]) -> None:
    service = make_service()
    (example,) = [block for block in blocks("console") if "/system/metrics" in block]
    lines = re.sub(r"\\\n\s+", "", example).replace("127.0.0.1:2280", f"127.0.0.1:{service.port}")
    for line in lines.splitlines():
        result = subprocess.run(
            ["sh", "-c", line.removeprefix("$ ").replace("curl", "curl -sSf", 1)],
            env={**os.environ, "TOOLBOX_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        assert '"memTotal"' in result.stdout or '"exitCode":0' in result.stdout


def test_the_settings_example_can_be_used(tmp_path: Path) -> None:
    (example,) = [block for block in blocks("toml") if "[server]" in block]
    file = tmp_path / "my.toml"
    file.write_text(example)
    assert command("config", "--check", str(file)) == f"{file}: ok\n"


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """The virtual environment of somebody who has followed the README: what is installed here is
    there, and pip may add to it.
    """
    made = tmp_path / "environment"
    venv.create(made, symlinks=True)
    (packages,) = made.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in ours)
    (packages / "ours.pth").write_text(lines)
    return packages


def pip_install(packages: Path, *arguments: str | Path) -> None:
    """Install with the environment's own pip, from nowhere else but this machine."""
    python = packages.parents[2] / "bin" / "python"
    options = ("--no-index", "--no-build-isolation", "--quiet")
    result = subprocess.run(
        [python, "-m", "pip", "install", *options, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


def test_the_plugin_example_works(
    reader: Path, tmp_path: Path, make_service: Callable[..., Service]
) -> None:
    # F-D4: pip refused what it was shown
    example, *_ = blocks("python", PLUGINS)
    (project,) = blocks("toml", PLUGINS)
    (shown,) = [block for block in blocks("console") if "pip install ./greeter" in block]
    install, reload, curl, answer = shown.splitlines()
    assert (install, reload) == ("$ pip install ./greeter", "$ toolbox reload")
    assert f"{install}\n" in blocks("console", PLUGINS)
    folder = tmp_path / "greeter"
    folder.mkdir()
    for name, text in (("greeter.py", example), ("pyproject.toml", project)):
        assert f"``{name}``" in PLUGINS
        (folder / name).write_text(text)
    service = make_service(env={"PYTHONPATH": str(reader)})
    assert service.http.post("/x/greet", json={"name": "Ada"}).status_code == 404
    pip_install(reader, folder)
    with (service.directory / "toolbox.toml").open("a") as settings:
        settings.write('\n[greeter.polite]\nword = "Hello"\n')
    command = [sys.executable, "-m", "toolbox", *reload.split()[2:]]
    subprocess.run([*command, "--pid", str(service.process.pid)], check=True, timeout=120)
    line = curl.removeprefix("$ ").replace("127.0.0.1:2280", f"127.0.0.1:{service.port}")
    environ = {**os.environ, "TOOLBOX_TOKEN": TOKEN}
    said = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, timeout=60).stdout
    assert said.decode() == answer.replace("Good day", "Hello")
    assert service.http.post("/x/greet", json={"name": ""}).json()["statusCode"] == 400
    assert service.http.post("/x/greet", json={"name": "Nobody"}).json()["code"] == "NOT_FOUND"
    document = service.http.get("/openapi.json").json()
    assert document["paths"]["/x/greet"]["post"]["summary"] == "Greet a person by name."


def test_a_backend_of_ones_own_is_served_and_passes_the_contract(
    site: Any, make_service: Callable[..., Service]
) -> None:
    # F-D7
    _, backend, contract, served, _ = blocks("python", PLUGINS)
    (site.directory / "noted_files.py").write_text(backend)
    site.register("noted_files", "noted", "noted-files")
    tests = site.directory / "tests"
    tests.mkdir()
    (tests / "pytest.ini").write_text("[pytest]\n")
    (tests / "test_contract.py").write_text(contract)
    (tests / "test_served.py").write_text(served)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests],
        env={**os.environ, **site.env, "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tests,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(re.findall(r"(\d+) passed", result.stdout)[0]) > 10
    service = make_service(env=site.env, settings='[files]\nbackend = "noted"\n')
    answer = service.http.post("/files/folder", params={"path": "made", "mode": "755"})
    assert answer.status_code == 201, answer.text
    assert (service.work_dir / "made").is_dir()


def test_the_command_of_the_plugins_page_works(site: Any) -> None:
    *_, example = blocks("python", PLUGINS)
    (site.directory / "greeting.py").write_text(example)
    site.register("greeting", "greeting", "greeting")
    assert command("greet", "Ada", **site.env) == "Good day Ada\n"


def test_the_readme_leads_from_the_start_to_the_sdk(reader: Path, tmp_path: Path) -> None:
    # F-D3: the environment had no token, nothing said where to look, and pip may refuse to install
    # where there is no virtual environment (PEP 668)
    (start,) = [block for block in blocks("console") if "&& toolbox serve" in block]
    (install,) = [block for block in blocks("console") if "pip install daytona" in block]
    (example,) = [block for block in blocks("python") if "from daytona" in block]
    make, _, *printed = start.splitlines()
    assert make == "$ python3 -m venv .venv && . .venv/bin/activate"
    assert (ROOT / "requirements.txt").exists()
    environ = {**os.environ, "TOOLBOX_CONFIG": os.devnull, "TOOLBOX__SERVER__PORT": "0"}
    environ["XDG_STATE_HOME"] = str(tmp_path)
    environ.pop("TOOLBOX_TOKEN", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "toolbox", "serve"],
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        shown = [process.stdout.readline().rstrip("\n") for _ in printed]
        for expected, line in zip(printed, shown, strict=True):
            pattern = re.sub(r"7UbRkmNcn0\\\.\\\.\\\.|2280", r"[\\w-]+", re.escape(expected))
            assert re.fullmatch(pattern, line), line
        exports = [line.partition(": ")[2] for line in shown if "export " in line]
        (page,) = [line.partition(": ")[2] for line in shown if "browser" in line]
        assert "<title>Sandbox Toolbox" in httpx.get(page, timeout=DEADLINE).text
        assert page.endswith(f"/#token={exports[-1].partition('=')[2]}")
        assert install == "$ pip install daytona\n"
        pip_install(reader, "daytona")
        path = f"{reader.parents[2]}/bin:{os.environ['PATH']}"
        result = subprocess.run(
            ["bash", "-c", f'{"; ".join(exports)}; exec python -c "$0"', example],
            env={**environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert (result.stdout, result.stderr) == ("Hello World!\n\nb'some bytes'\n", "")
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


def test_the_commands_about_settings_run(tmp_path: Path) -> None:
    (example,) = [block for block in blocks("console") if "toolbox config" in block]
    (tmp_path / "my.toml").write_text("")
    lines = example.splitlines()
    assert len(lines) == 4
    for line in lines:
        run_in_shell(line.removeprefix("$ "), tmp_path)


def test_the_images_that_are_built_are_there() -> None:
    examples = [block for block in blocks("console") if "docker build" in block]
    assert len(examples) == 2
    for line in "".join(examples).splitlines():
        (file,) = re.findall(r"-f (\S+)", line)
        for argument in re.findall(r"--build-arg (\w+)=", line):
            assert f"ARG {argument}=" in (ROOT / file).read_text()


def test_the_lines_of_a_dockerfile_make_a_sandbox(make_service: Callable[..., Service]) -> None:
    # Without the second line a container's port was open to nobody, and its create() nested one.
    (lines,) = re.findall(r"::\n\n((?:   .+\n)*   COPY --from=toolbox (?:.+\n)+)", README)
    assert lines in DEPLOYMENT
    copy, env, entrypoint = (line.strip() for line in lines.splitlines())
    assert f"{copy.split()[-1]}/bin/toolbox" == json.loads(entrypoint.split(maxsplit=1)[1])[0]
    variables = dict(one.split("=") for one in env.split()[1:])
    assert 'server.host = "0.0.0.0"' in command("config", TOOLBOX_TOKEN="t", **variables)
    _, serve, *options = json.loads(entrypoint.split(maxsplit=1)[1])
    assert serve == "serve"
    service = make_service(
        *options, "sleep", "1000", env={**variables, "TOOLBOX__SERVER__HOST": "127.0.0.1"}
    )
    created = service.http.post("/api/sandbox", json={}).json()
    assert created["toolboxProxyUrl"].startswith(service.url)
    entry = service.http.get("/x/services/entrypoint/wait", params={"timeout": 60}).json()
    assert entry["state"] == "ready"


def test_what_ci_runs_is_how_to_develop() -> None:
    (example,) = [block for block in blocks("console") if "tox &&" in block]
    assert (
        example.removeprefix("$ ").replace("install tox", "install -q tox")
        in (ROOT / ".ci" / "run").read_text()
    )


ELSEWHERE = ("pip wheel --wheel-dir", "toolbox bundle")
"""Examples that tests/test_packaging.py runs, as it has the wheels."""


def test_every_example_is_run() -> None:
    source = Path(__file__).read_text()
    wanted = re.findall(r'if "(.+?)" in block', source)
    examples = blocks("console") + blocks("python")
    assert len(re.findall(r"(?m)^\.\. code-block:: ", README)) == len(examples) + 1
    for block in examples:
        assert any(part in block for part in (*wanted, *ELSEWHERE)), block
    packaging = (ROOT / "tests" / "test_packaging.py").read_text()
    assert all(f'readme_example("{part}' in packaging for part in ELSEWHERE)


def test_every_option_is_documented() -> None:
    before = ""
    for line in (ROOT / "conf" / "toolbox.toml").read_text().splitlines():
        if re.match(r"# \w+ = ", line):
            assert before.startswith("## "), f"nothing is said about {line}"
        before = line


def test_every_plugin_of_the_repository_is_in_the_readme_and_requirements() -> None:
    files = ("requirements.txt", "requirements-dev.txt")
    requirements = "".join((ROOT / file).read_text() for file in files)
    for folder in sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")):
        assert f"``{folder}``" in README
        assert f"-e ./plugins/{folder}\n" in requirements


def test_every_hook_is_documented_and_has_a_user() -> None:
    names = [name for name in vars(hookspecs) if name.startswith("toolbox_")]
    sources = [path.read_text() for path in (ROOT / "plugins").rglob("*.py")]
    sources += [path.read_text() for path in (ROOT / "tests" / "plugins").glob("*.py")]
    assert len(names) >= 5
    for name in names:
        assert inspect.getdoc(getattr(hookspecs, name))
        assert any(f"@hookimpl\ndef {name}(" in source for source in sources), name


def test_every_command_and_option_says_what_it_does() -> None:
    shown = command("--help")
    commands = re.findall(r"(?m)^    (\w+) ", shown)
    assert set(commands) >= {"serve", "plugins", "config", "openapi", "bundle"}
    for name in commands:
        assert f"toolbox {name}" in README, f"the README doesn't tell of `toolbox {name}`"
        assert re.search(rf"^ +{name} +\w", shown, re.MULTILINE)
        for line in command(name, "--help").splitlines():
            if re.match(r"  --\S+( \S+)?$", line):
                raise AssertionError(f"toolbox {name}: {line.strip()} has no help")


def test_the_settings_file_of_the_repository_is_what_the_command_writes() -> None:
    written = command("config", "--template", TOOLBOX_CONFIG=os.devnull)
    assert (ROOT / "conf" / "toolbox.toml").read_text() == written


def test_every_default_in_the_settings_file_is_the_default(tmp_path: Path) -> None:
    text = (ROOT / "conf" / "toolbox.toml").read_text()
    plain = re.sub(r"(?m)^# (?=\w+ = )", "", text)
    assert len(tomllib.loads(plain)) > len(CORE_SECTIONS)
    file = tmp_path / "all.toml"
    file.write_text(plain)
    shown = command("config", TOOLBOX_CONFIG=str(file))
    default = command("config", TOOLBOX_CONFIG=os.devnull)
    assert re.sub(r"  # .*", "", shown) == re.sub(r"  # .*", "", default)
