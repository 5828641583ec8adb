"""The service with a Python of its own, in root file systems that have none, nor a libc or a shell.

The program runs in them by bubblewrap, which needs no root; clients are outside.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from toolbox.packaging.standalone.cache import cache_directory

from .making import TOOLBOX
from .making import bundle
from .making import by_hand
from .making import needs_bwrap
from .making import plugin
from .making import run
from .making import said
from .making import size
from .serving import serving

ROOT = Path(__file__).parents[2]

pytestmark = [
    # The first one puts the program together, of all groups.
    pytest.mark.timeout(900),
    needs_bwrap,
]


def owned_by_root(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """Let everything pass: a filter of tarfile."""
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root"), path
    return member


def test_without_a_shell_or_a_libc_there_are_files_and_git(tree: Path, empty: Path) -> None:
    with serving(tree, empty) as running:
        sandbox = running.sandbox()
        sandbox.fs.create_folder("repo", "755")
        sandbox.fs.upload_file(b"a needle\n", "repo/notes.txt")
        assert sandbox.fs.download_file("repo/notes.txt") == b"a needle\n"
        assert [match.line for match in sandbox.fs.find_files("repo", "needle")] == [1]
        git = running.client.post("/git/init", json={"path": "repo"})
        assert git.status_code == 201, git.text
        sandbox.git.add("repo", ["notes.txt"])
        sandbox.git.commit("repo", "first", "Ada", "ada@example.com")
        assert sandbox.git.status("repo").file_status == []
        # What a program of the image would do says so.
        answer = sandbox.process.exec("ls")
        assert (answer.exit_code, answer.result) == (-1, "no shell is installed")
        refusal = running.client.post("/process/interpreter/context", json={})
        assert (refusal.status_code, refusal.json()["code"]) == (501, "PROGRAM_MISSING")
        assert refusal.json()["message"] == "python3: not installed"
        page = running.client.get("/")
        assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (
            200,
            "text/html",
        )


def test_with_a_shell_alone_there_are_commands_sessions_and_terminals(
    tree: Path, busybox: Path
) -> None:
    from daytona.common.process import SessionExecuteRequest

    with serving(tree, busybox) as running:
        process = running.sandbox().process
        assert process.exec("echo $((6 * 7))").result.strip() == "42"
        process.create_session("s")
        process.execute_session_command("s", SessionExecuteRequest(command="cd /tmp; X=1"))
        said = process.execute_session_command("s", SessionExecuteRequest(command="echo $PWD $X"))
        assert (said.output or "").strip() == "/tmp 1"
        shown = bytearray()
        terminal = process.create_pty_session("p")
        terminal.wait_for_connection()
        terminal.send_input("stty size; exit 7\n")
        assert terminal.wait(on_data=shown.extend).exit_code == 7
        assert b"24 80" in shown
        code = process.code_run("print(1)")
        assert (code.exit_code, code.result) == (-1, "python3: not installed")


def test_programs_of_the_image_inherit_nothing(tree: Path, tmp_path: Path) -> None:
    """This machine as the image: with variables that would break the program, were they for it."""
    own = {"LD_PRELOAD": "/nowhere.so", "LD_LIBRARY_PATH": "/nowhere", "PYTHONHOME": "/nowhere"}
    binds = [option for name in ("dev", "proc") for option in (f"--{name}", f"/{name}")]
    root = tmp_path / "root"
    root.mkdir()
    names = [
        path for path in Path("/").iterdir() if path.name in ("bin", "etc", "lib", "lib64", "usr")
    ]
    for path in names:
        binds += ["--ro-bind", str(path.resolve()), str(path)]
    for name in ("dev", "home/ada", "proc", "tmp", "toolbox", *(path.name for path in names)):
        (root / name).mkdir(parents=True)
    with serving(tree, root, *binds, PATH="/usr/bin:/bin", **own) as running:
        answer = running.client.post("/process/execute", json={"command": "env"})
        lines = set(answer.json()["result"].splitlines())
        lines = {line for line in lines if not line.startswith("ERROR: ld.so")}
        assert {f"{name}={value}" for name, value in own.items()} <= lines
        given = {"HOME", "PATH", "TOOLBOX__FLEET__BACKEND", *own}
        # Of the shell, and the name of the job.
        given |= {"OLDPWD", "PWD", "SHLVL", "TOOLBOX_JOB", "_"}
        assert {line.partition("=")[0] for line in lines} <= given
        code = "import sys, json; print(json.dumps([sys.executable, sys.prefix, sys.path]))"
        ran = running.client.post(
            "/process/code-run",
            json={"language": "python", "code": code, "envs": {"PYTHONHOME": "", "LD_PRELOAD": ""}},
        ).json()
        assert ran["exitCode"] == 0, ran
        assert "/usr/bin/python3" in ran["result"]
        assert "/toolbox" not in ran["result"]


def test_every_library_can_be_loaded(tree: Path) -> None:
    # strip(1) had broken some, and their loading ended the worker by a signal
    code = "import ctypes, sys; print(sum(bool(ctypes.CDLL(path)) for path in sys.argv[1:]))"
    names = {path for path in tree.rglob("*.so*") if "libc.so" not in path.name}
    done = run(tree / "bin" / "python3", "-c", code, *sorted(names))
    assert (done.returncode, done.stdout.strip()) == (0, str(len(names))), done.stderr
    assert any(path.name.startswith("_imaging.") for path in names)


def test_plugins_are_those_added_and_those_in_a_directory(tree: Path, tmp_path: Path) -> None:
    for name, content in plugin("greeter"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    # A backend is no group.
    groups = plugins(TOOLBOX) - {"fleet-kubernetes"}
    assert plugins(tree / "bin" / "toolbox") == groups | {"guest"}
    more = plugins(tree / "bin" / "toolbox", TOOLBOX_PLUGINS=str(tmp_path))
    assert more == groups | {"guest", "greeter"}


def plugins(program: Path, **env: str) -> set[str]:
    """The names of those that are enabled; none has failed."""
    shown = run(program, "plugins", **env)
    assert "failed" not in shown.stdout, shown.stdout
    return {line.split()[0] for line in shown.stdout.splitlines() if "enabled" in line}


@by_hand
def test_two_are_identical_and_say_nothing_of_this_machine(
    tree: Path, wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "toolbox.tar.zst"
    assert bundle(wheels, archive).startswith(f"{archive}: ")
    with zstd.open(archive, "rb") as file, tarfile.open(fileobj=file, mode="r|") as content:
        content.extractall(tmp_path, filter=owned_by_root)
    another = tmp_path / "toolbox"
    files = sorted(path.relative_to(tree) for path in tree.rglob("*"))
    assert files == sorted(path.relative_to(another) for path in another.rglob("*"))
    paths = (ROOT, Path.home(), cache_directory(), wheels, tmp_path, tree)
    ours = [os.fsencode(path) + b"/" for path in paths]
    for name in files:
        one, two = tree / name, another / name
        status = one.stat()
        assert (status.st_mode, status.st_mtime) == (two.stat().st_mode, two.stat().st_mtime)
        if one.is_file():
            data = one.read_bytes()
            assert data == two.read_bytes(), name
            assert not [path for path in ours if path in data], name
    with capsys.disabled():
        print(f"\nstandalone, all groups: {said(tree, archive)}")
    assert size(tree) <= 60e6
    assert size(archive) <= 22e6


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "--standalone needs --wheels"),
        (["--wheels", "/nowhere"], "/nowhere has 0 wheels of sandbox-toolbox"),
        (["--wheels", "/nowhere", "--python", "python3"], "--python is of no use"),
        (["--wheels", "{wheels}", "--with", "/nowhere.whl"], "/nowhere.whl: no such wheel"),
        (["--wheels", "{wheels}", "--arch", "vax"], "no base for 'vax'; known are x86_64, aarch64"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line(
    options: list[str], problem: str, wheels: Path, tmp_path: Path
) -> None:
    given = [option.format(wheels=wheels) for option in options]
    command = (TOOLBOX, "bundle", "--standalone", "--groups", "files", "-o", tmp_path / "toolbox")
    done = run(*command, *given)
    assert done.returncode == 2
    assert done.stderr.startswith(f"toolbox: {problem}")
    assert list(tmp_path.iterdir()) == []
