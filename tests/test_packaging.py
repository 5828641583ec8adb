from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, **options: str) -> str:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(command, env={**environ, **options}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files git tracks, elsewhere: a build leaves folders behind that the next one uses."""
    directory = tmp_path_factory.mktemp("source")
    for name in run("git", "-C", ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    return directory


def test_wheels_install_without_an_index_and_serve(source: Path, tmp_path: Path) -> None:
    dist, venv = tmp_path / "dist", tmp_path / "venv"
    plugins = sorted(path.parent for path in source.glob("plugins/*/setup.cfg"))
    pip = (sys.executable, "-m", "pip", "--quiet")
    run(*pip, "wheel", "--no-build-isolation", "--wheel-dir", dist, source, *plugins)
    run(sys.executable, "-m", "venv", venv)
    chosen = ["sandbox-toolbox-info", "sandbox-toolbox-server"]
    run(venv / "bin" / "pip", "install", "--quiet", "--no-index", "--find-links", dist, *chosen)
    shown = run(venv / "bin" / "toolbox", "plugins")
    assert "info " in shown
    assert "server " in shown
    assert "files " not in shown
    left_out = "import importlib.util as u; print(u.find_spec('toolbox_files'))"
    assert run(venv / "bin" / "python", "-c", left_out) == "None\n"
    check_that_it_serves(venv, tmp_path)


def check_that_it_serves(venv: Path, cwd: Path) -> None:
    process = subprocess.Popen(
        [venv / "bin" / "toolbox", "serve", "--port", "0"],
        env={**os.environ, "TOOLBOX_TOKEN": "t", "TOOLBOX_CONFIG": os.devnull},
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().rpartition(" ")[2].strip()
        headers = {"Authorization": "Bearer t"}
        work_dir = httpx.get(f"http://127.0.0.1:{port}/work-dir", headers=headers, timeout=60)
        assert work_dir.json() == {"dir": str(cwd)}
        files = httpx.get(f"http://127.0.0.1:{port}/files", headers=headers, timeout=60)
        assert files.status_code == 404
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


def test_every_module_and_data_file_is_in_its_wheel(source: Path, tmp_path: Path) -> None:
    import zipfile

    for folder in (source, *(path.parent for path in source.glob("plugins/*/setup.cfg"))):
        dist = tmp_path / folder.name
        command = (sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps")
        run(*command, "--no-build-isolation", "--wheel-dir", dist, folder)
        (wheel,) = dist.iterdir()
        names = zipfile.ZipFile(wheel).namelist()
        package = "toolbox" if folder == source else f"toolbox_{folder.name}"
        expected = [
            str(path.relative_to(folder))
            for path in (folder / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
        assert set(expected) <= set(names)
        strangers = [name for name in names if not name.startswith((package, "sandbox_toolbox"))]
        assert strangers == []
