"""What is built and installed: wheels, the three profiles, the single file."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from build import ProjectBuilder
from packaging.metadata import Metadata
from uv import find_uv_bin

import toolbox
from toolbox.processes import descendants
from toolbox.serving.bootstrap import load
from toolbox.testing import ending

# The first one builds a wheel of every package, and all install.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parent.parent
# Not `python -m toolbox`, which finds the metadata that a build leaves in the clone.
TOOLBOX = Path(sys.executable).with_name("toolbox")
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
# Backends are named after their group: `fleet-kubernetes` is one of `fleet`.
GROUPS = [name for name in PLUGINS if "-" not in name]
BACKENDS = [name for name in PLUGINS if "-" in name]


def profile_groups(name: str) -> list[str]:
    """The groups of a profile, as the image's Dockerfile names them."""
    dockerfile = ROOT / "conf" / "images" / name / "Dockerfile"
    (found,) = re.findall(r"(?m)^ARG TOOLBOX_GROUPS=(\S+)$", dockerfile.read_text())
    return GROUPS if found == "all" else found.split(",")


def run(*command: str | Path, **options: str) -> str:
    result = subprocess.run(
        command, env=environment(**options), capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def environment(**options: str) -> dict[str, str]:
    """Without what would bring modules of these tests in, or keep compiled ones out."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "TOOLBOX_CONFIG": os.devnull, "TOOLBOX_TOKEN": "t", **options}


def readme_example(part: str) -> list[str]:
    """The lines of the README's example that has ``part`` in it."""
    text = (ROOT / "README.rst").read_text()
    examples = re.findall(r"\.\. code-block:: console\n\n((?:   .*\n)+)", text)
    (found,) = [example for example in examples if part in example]
    return [line[3:].removeprefix("$ ") for line in found.splitlines()]


def shell(line: str, cwd: Path, **options: str) -> str:
    """Run a line with the programs of this environment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    options = {"PATH": path, "PIP_QUIET": "1", **options}
    result = subprocess.run(
        ["bash", "-c", line],
        env=environment(**options),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files git tracks, elsewhere, with what Python wrote when it imported them."""
    directory = tmp_path_factory.mktemp("source")
    for name in run("git", "-C", ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    for package in (directory, *directory.glob("plugins/*/")):
        (cached,) = package.glob("toolbox*/__init__.py")
        (cached.parent / "__pycache__").mkdir()
        (cached.parent / "__pycache__" / "removed_long_ago.cpython-311.pyc").touch()
    return directory


@pytest.fixture(scope="module")
def dist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every wheel, by the README's command."""
    wheels = tmp_path_factory.mktemp("dist")
    command = readme_example("pip wheel --wheel-dir")[0].replace("dist", str(wheels))
    shell(command.replace("pip", "python -m pip"), source)
    # For `toolbox bundle`.
    shell(f"python -m pip wheel --wheel-dir {wheels} 'pex>=2.105'", source)
    return wheels


NEEDS = {
    "computeruse": "Xlib",
    "git": "dulwich",
    "lsp": "pylsp_jsonrpc",
    "metrics": "prometheus_client",
    "opentelemetry": "opentelemetry",
    "process": "ptyprocess",
}
"""A module that is there for one group only."""

SIZES = {"minimal": 14_000_000, "headless": 28_000_000, "desktop": 60_000_000}
"""Bytes of the files that a profile's environment has at most, pruned as in its image."""

IMPORTS = """
import ast, importlib, pathlib, sysconfig

def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, name.name) for name in node.names)

def missing(module, name):
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except (ImportError, SystemExit):
        return True

packages = pathlib.Path(sysconfig.get_path("purelib"))
for file in packages.glob("toolbox*/**/*.py"):
    for module, name in set(imported(ast.parse(file.read_bytes()))):
        if missing(module, name):
            print(file.relative_to(packages), module, name)
"""
"""Show every import of our modules, late ones too, that fails."""

Install = Callable[..., Path]


@pytest.fixture
def install(dist: Path, tmp_path: Path) -> Install:
    """Make an environment, without pip, of what is in ``dist`` alone.

    By uv, in a third of pip's time; the README's environment is made by pip.
    """

    def make(*requirements: str) -> Path:
        target = tmp_path / "venv"
        venv.create(target, with_pip=False)
        options = ("--quiet", "--compile-bytecode", "--python", target / "bin" / "python")
        run(
            find_uv_bin(),
            "pip",
            "install",
            *options,
            "--no-index",
            "--find-links",
            dist,
            *requirements,
        )
        return target

    return make


def test_pruning_takes_nothing_that_is_imported_and_corrects_records(install: Install) -> None:
    target = install("sandbox-toolbox[all]")
    python, program = target / "bin" / "python", target / "bin" / "toolbox"
    (packages,) = target.glob("lib/python*/site-packages")
    assert (packages / "toolbox" / "testing").exists()
    failing = run(python, "-I", "-c", IMPORTS).splitlines()
    shown = [run(program, "prune") for _ in range(2)]
    assert shown[1] == re.sub(r"\d+\.\d MB less", "0.0 MB less", shown[0]) != shown[0]
    assert not (packages / "toolbox" / "testing").exists()
    assert not list((packages / "click" / "__pycache__").glob("testing.*"))
    for record in packages.glob("*.dist-info/RECORD"):
        for path, digest, _ in csv.reader(record.read_text().splitlines()):
            content = (packages / path).read_bytes()
            assert digest in ("", f"sha256={sha256(content)}"), path
    # The command line looks first whether it is there.
    failing.append("toolbox/cli.py toolbox.packaging.standalone.command make_standalone_bundle")
    assert set(run(python, "-I", "-c", IMPORTS).splitlines()) <= set(failing)


def test_only_an_environment_of_its_own_is_pruned() -> None:
    result = subprocess.run([TOOLBOX, "prune"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("toolbox: this is an editable install: ")


@contextmanager
def serving(*command: str | Path, cwd: Path, **env: str) -> Iterator[httpx.Client]:
    """A client of the service that the command starts; it has to end well."""
    process = subprocess.Popen(
        [*command, "serve", "--port", "0"],
        env=environment(**env),
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with ending(process):
        line = process.stdout.readline()
        assert line.startswith("Starting toolbox server on port "), line
        url = f"http://127.0.0.1:{line.rpartition(' ')[2].strip()}"
        headers = {"Authorization": "Bearer t"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield client
        process.terminate()
        assert process.wait(60) == 0


def modules_among(python: Path, names: list[str]) -> set[str]:
    """Which of the modules that interpreter would find."""
    code = "import importlib.util as u, sys; print(*filter(u.find_spec, sys.argv[1:]))"
    return set(run(python, "-I", "-c", code, *names).split())


def test_every_module_and_data_file_is_in_its_wheel(source: Path, dist: Path) -> None:
    for folder in (source, *source.glob("plugins/*/")):
        package = "toolbox" if folder == source else f"toolbox_{folder.name.replace('-', '_')}"
        stem = package.replace("toolbox", "sandbox_toolbox", 1)
        (wheel,) = dist.glob(f"{stem}-*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        expected = {
            str(path.relative_to(folder))
            for path in (folder / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        found = {name for name in names if not name.startswith(f"{stem}-")}
        assert found == expected


def test_no_package_needs_an_environment_to_be_built() -> None:
    for folder in (ROOT, *(ROOT / "plugins" / name for name in PLUGINS)):
        system = tomllib.loads((folder / "pyproject.toml").read_text())["build-system"]
        assert system == {
            "requires": [],
            "build-backend": "build_backend",
            "backend-path": ["."],
        }, folder
        assert (folder / "build_backend.py").samefile(ROOT / "build_backend.py")


def test_a_wheel_s_record_and_metadata_are_right(dist: Path) -> None:
    for wheel in dist.glob("sandbox_toolbox*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            (record,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
            rows = list(csv.reader(archive.read(record).decode().splitlines()))
            assert [row[0] for row in rows] == archive.namelist()
            for name, digest, size in rows[:-1]:
                data = archive.read(name)
                assert (digest, size) == (f"sha256={sha256(data)}", str(len(data)))
            metadata = archive.read(record.replace("RECORD", "METADATA"))
            licenses = record.replace("RECORD", "licenses")
            held = [name for name in archive.namelist() if name.startswith(licenses)]
        # It raises an error for what the specification does not allow.
        parsed = Metadata.from_email(metadata, validate=True)
        assert str(parsed.version) == toolbox.__version__
        assert [f"{licenses}/{file}" for file in parsed.license_files] == held != []


def sha256(data: bytes) -> str:
    """A digest as records have it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def test_a_source_distribution_makes_the_same_wheel(
    source: Path, dist: Path, tmp_path: Path
) -> None:
    for name in ("", "plugins/page", "plugins/process", "plugins/fleet-kubernetes"):
        packed = Path(ProjectBuilder(source / name).build("sdist", tmp_path))
        with tarfile.open(packed) as archive:
            archive.extractall(tmp_path, filter="data")
        # Links to the files of the whole repository must have become files.
        folder = tmp_path / packed.name.removesuffix(".tar.gz")
        wheel = Path(ProjectBuilder(folder).build("wheel", tmp_path))
        assert wheel.read_bytes() == (dist / wheel.name).read_bytes(), "no time, no path, no mode"


def test_an_editable_install_by_pip_is_seen_by_mypy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "venv"
    venv.create(target, with_pip=False)
    python = target / "bin" / "python"
    folders = [f"--editable={source / name}" for name in ("", "plugins/files")]
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", python)
    run(*pip, "install", "--no-index", "--no-deps", *folders)
    code = "from toolbox_files.errors import FileNotFound\nreveal_type(FileNotFound.status)"
    options = ("--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path / 'cache'}")
    command = (sys.executable, "-m", "mypy", *options, f"--python-executable={python}")
    assert 'Revealed type is "int"' in run(*command, "-c", code)


def test_the_readme_s_environment_is_made_and_shows_what_it_says(
    dist: Path, tmp_path: Path
) -> None:
    _, *lines = readme_example("pip wheel --wheel-dir")
    target = str(tmp_path / "toolbox")
    for line in lines[:2]:
        shell(line.replace("/opt/toolbox", target).replace("dist ", f"{dist} "), tmp_path)
    assert list(Path(target).rglob("toolbox/__pycache__")), "compiled, so that it starts fast"
    shown = shell(lines[2].replace("/opt/toolbox", target), tmp_path)
    assert shown.splitlines() == lines[3:]


def test_there_is_an_extra_for_each_group_and_one_for_all() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert extras.pop("standalone") == extras["fleet"], "the name it had at first"
    every = [f"sandbox-toolbox-{group}" for group in GROUPS]
    assert extras.pop("all") == every
    assert list(extras) == [*GROUPS, *BACKENDS, "bundle", "testing"]
    assert [extras[group] for group in GROUPS] == [[name] for name in every]
    assert [extras[name] for name in BACKENDS] == [[f"sandbox-toolbox-{name}"] for name in BACKENDS]


@pytest.mark.parametrize("profile", ["minimal", "headless", "desktop"])
def test_a_profile_has_its_groups_and_nothing_else(
    profile: str, install: Install, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    groups = profile_groups(profile)
    target = install(f"sandbox-toolbox[{','.join(groups)}]")
    python = target / "bin" / "python"
    expected = {f"toolbox_{group}" for group in groups}
    assert modules_among(python, [f"toolbox_{group}" for group in GROUPS]) == expected
    needed = {module for group, module in NEEDS.items() if group in groups}
    assert modules_among(python, list(NEEDS.values())) == needed
    assert modules_among(python, ["pip", "pytest", "pex"]) == set()
    shown = run(target / "bin" / "toolbox", "prune")
    config = str(ROOT / "conf" / f"{profile}.toml")
    local = {"TOOLBOX_CONFIG": config, "TOOLBOX__SERVER__HOST": "127.0.0.1"}
    with serving(target / "bin" / "toolbox", cwd=tmp_path, **local) as client:
        assert client.get("/readyz").status_code == 200
        memory = sum(map(proportional, descendants(os.getpid())))
        assert set(client.get("/openapi.json").json()["paths"]) == paths_of(groups)
        reports = client.get("/plugins").json()["plugins"]
        assert [(report["name"], report["status"]) for report in reports] == [
            (group, "enabled") for group in groups
        ]
    size = sum(file.lstat().st_size for file in target.rglob("*") if not file.is_dir())
    assert size <= SIZES[profile], shown
    record_property("size", f"virtual environment of {profile}, pruned: {shown.strip()}")
    record_property("size", f"{profile} in memory (PSS), idle: {memory / 1e6:.1f} MB")


def proportional(pid: int) -> int:
    """Bytes of a process, its share of what is shared (proc_pid_smaps(5)); 0 once it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text.partition("Pss:")[2].split()[0]) * 1024


def paths_of(groups: list[str]) -> set[str]:
    """The paths these groups add to the core's, by the plugins' own word."""
    from toolbox.application import core_routes as status
    from toolbox.application import openapi

    _, _, registry = load(os.devnull, {("plugins", "enable"): groups})
    enabled = [report.name for report in registry.reports if report.status == "enabled"]
    assert enabled == groups
    served = [served.group for served in registry.served]
    return set(openapi.document([status.group, *served], {})["paths"])


@pytest.mark.parametrize("profile", ["minimal", "headless", "desktop"])
def test_the_settings_of_a_profile_say_what_they_are_for(profile: str) -> None:
    text = (ROOT / "conf" / f"{profile}.toml").read_text()
    sections = set(tomllib.loads(text)) - {"server", "log", "plugins", "websocket"}
    assert sections <= set(profile_groups(profile))
    for block in re.split(r"\n\n|\n(?=\[)", text):
        if "=" in block and not block.startswith("#"):
            assert "# " in block, f"{profile}.toml: nothing is said about\n{block}"


def test_a_group_is_left_out_at_the_start_and_a_backend_swapped_by_a_line_of_settings(
    install: Install, tmp_path: Path
) -> None:
    target = install("sandbox-toolbox[files,git]")
    config = tmp_path / "my.toml"
    config.write_text('[plugins]\ndisable = ["files"]\n[git]\nbackend = "dulwich"\n')
    shown = run(target / "bin" / "toolbox", "plugins", TOOLBOX_CONFIG=str(config))
    assert re.search(r"^files .* disabled$", shown, re.MULTILINE)
    assert re.search(r"^    \* dulwich ", shown, re.MULTILINE)
    with serving(target / "bin" / "toolbox", cwd=tmp_path, TOOLBOX_CONFIG=str(config)) as client:
        assert client.get("/files").json()["statusCode"] == 404
        assert client.post("/git/init", json={"path": "repository"}).status_code == 201
    assert set(paths_of(["git"])) == set(json.loads(openapi_of(target, config))["paths"])


def openapi_of(target: Path, config: Path) -> str:
    return run(target / "bin" / "toolbox", "openapi", TOOLBOX_CONFIG=str(config))


def test_one_file_serves_with_a_bare_interpreter(install: Install, tmp_path: Path) -> None:
    target = install("sandbox-toolbox[files,git,process,bundle]")
    bundle = tmp_path / "toolbox.pyz"
    shown = run(
        *(target / "bin" / "toolbox", "bundle", "--groups", "files,process", "-o", bundle),
        PEX_ROOT=str(tmp_path / "pex-at-work"),
    )
    assert re.fullmatch(rf"{bundle}: \d+\.\d MB\n", shown)
    check_bundle(bundle, tmp_path)


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="pex needs an index for its own pip and setuptools there"
)
def test_one_file_is_made_of_wheels_as_the_readme_says(dist: Path, tmp_path: Path) -> None:
    install, bundle, shown, serve = readme_example("toolbox bundle")
    assert install == "pip install 'pex>=2.105'"
    assert serve == "python3 toolbox.pyz serve"
    root = {"PEX_ROOT": str(tmp_path / "pex-at-work")}
    for more in ("", f" --python {sys.executable}"):
        written = shell(bundle.replace("dist", str(dist)) + more, tmp_path, **root)
        assert re.fullmatch(re.sub(r"\d+\.\d", r"\\d+.\\d", shown), written.strip())
    check_bundle(tmp_path / "toolbox.pyz", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--groups", "flies"], "this release has no group 'flies'; did you mean 'files'?"),
        (["--groups", "files"], "sandbox-toolbox is an editable install; build wheels"),
        (["--groups", "files", "--python", "python3"], "--python needs --wheels"),
        (["--groups", "files", "--wheels", "/nowhere"], "pex: "),
    ],
)
def test_what_cannot_be_bundled_is_said_in_a_line(
    arguments: list[str], problem: str, tmp_path: Path
) -> None:
    result = subprocess.run(
        [TOOLBOX, "bundle", "-o", tmp_path / "toolbox.pyz", *arguments],
        env=environment(PEX_ROOT=str(tmp_path / "pex")),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"toolbox: {problem}")
    assert not (tmp_path / "toolbox.pyz").exists()


def check_bundle(bundle: Path, tmp_path: Path) -> None:
    """It starts with an interpreter that has no packages, and leaves no trace in programs."""
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    assert modules_among(bare / "bin" / "python", ["toolbox", "flask"]) == set()
    work = tmp_path / "work"
    work.mkdir()
    env: dict[str, Any] = {"HOME": str(tmp_path), "PEX_ROOT": str(tmp_path / "pex")}
    with serving(bare / "bin" / "python", bundle, cwd=work, **env) as client:
        reports = client.get("/plugins").json()["plugins"]
        assert [report["name"] for report in reports] == ["files", "process"]
        (work / "notes.txt").write_text("a needle\n")
        found = client.get("/files/find", params={"path": ".", "pattern": "needle"})
        assert [match["line"] for match in found.json()] == [1]
        answer = client.post("/process/execute", json={"command": "env"}).json()
        # What pex needs is not for the sandbox's programs.
        left = [line for line in answer["result"].splitlines() if "pex" in line.lower()]
        assert left == []
