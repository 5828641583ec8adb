"""The service with a Python of its own, in root file systems that have none, nor a libc or a shell.

The program runs in them by bubblewrap, which needs no root; clients are outside.
"""

from __future__ import annotations

import os
import platform
import select
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from backports import zstd
from daytona import Daytona
from daytona import DaytonaConfig
from daytona import Sandbox

from toolbox.packaging.standalone.base import base_directory
from toolbox.packaging.standalone.cache import cache_directory
from toolbox.testing import DEADLINE
from toolbox.testing import ending

ROOT = Path(__file__).parents[2]
TOOLBOX = Path(sys.executable).with_name("toolbox")
MINIMAL = ("files", "fleet", "info", "process", "server")
"""The groups of the profile: see conf/images/minimal."""

ADDED = "guest-1.0-py3-none-any.whl"
BUSYBOX = Path(shutil.which("busybox") or "/bin/busybox")

pytestmark = [
    # The first one puts the program together, of all groups.
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bwrap (package bubblewrap)"),
]


by_hand = pytest.mark.by_hand
"""For what CI has no time for: ``tox -e standalone``."""


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def base() -> Path:
    """The base, which tests/standalone/base.py has compiled: tox runs that first."""
    target = base_directory(platform.machine())
    if not target.exists():
        pytest.skip("there is no base of the standalone build: run tests/standalone/base.py")
    return target


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of the core and of all plugins, and of one that isn't ours."""
    target = tmp_path_factory.mktemp("dist")
    folders = [ROOT, *(path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))]
    code = "import build_backend, sys; build_backend.build_wheel(sys.argv[1])"
    for folder in folders:
        # As an installer does, without the second it takes to find out how.
        subprocess.run([sys.executable, "-c", code, target], cwd=folder, check=True, timeout=60)
    with zipfile.ZipFile(target / ADDED, "w") as wheel:
        for name, content in plugin("guest"):
            wheel.writestr(name, content)
        wheel.writestr("guest-1.0.dist-info/RECORD", "")
        wheel.writestr(
            "guest-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return target


def plugin(name: str) -> Iterator[tuple[str, str]]:
    """The files of a plugin that does nothing, by their names in an installation."""
    yield f"{name}.py", ""
    info = f"{name}-1.0.dist-info"
    yield f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    yield f"{info}/entry_points.txt", f"[toolbox.plugins]\n{name} = {name}\n"


def owned_by_root(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """Let everything pass: a filter of tarfile."""
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root"), path
    return member


def bundle(wheels: Path, output: Path, *groups: str, form: str = "standalone") -> str:
    command = (TOOLBOX, "bundle", f"--{form}", "--wheels", wheels, "--with", wheels / ADDED)
    done = run(*command, "--groups", ",".join(groups), "-o", output)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(base: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with all groups, in a place that nobody knew when it was made."""
    assert base.is_dir()
    target = tmp_path_factory.mktemp("made") / "toolbox"
    bundle(wheels, target)
    return target


@pytest.fixture(scope="module")
def program(base: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The groups of the profile ``minimal`` as a single file."""
    assert base.is_dir()
    target = tmp_path_factory.mktemp("program") / "toolbox"
    bundle(wheels, target, *MINIMAL, form="one-file")
    return target


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A root file system with nothing in it but a user's home."""
    root = tmp_path / "root"
    for name in ("dev", "home/ada", "proc", "tmp", "toolbox"):
        (root / name).mkdir(parents=True)
    return root


@pytest.fixture
def busybox(empty: Path) -> Path:
    """One with a shell and the programs of a static busybox: no libc."""
    if not BUSYBOX.exists() or b"statically linked" not in _file(BUSYBOX):
        pytest.skip("needs a static busybox (Debian package busybox-static)")
    (empty / "bin").mkdir()
    shutil.copy(BUSYBOX, empty / "bin")
    for name in ("cat", "echo", "env", "ls", "sh", "sleep", "stty"):
        (empty / "bin" / name).symlink_to("busybox")
    return empty


def _file(path: Path) -> bytes:
    # A program that needs no loader names none.
    return b"statically linked" if b"/lib64/ld-linux" not in path.read_bytes() else b""


class Running:
    """A service in a root file system."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        headers = {"Authorization": "Bearer t"}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def sandbox(self) -> Sandbox:
        """Return it as the official SDK sees it."""
        return Daytona(DaytonaConfig(api_key="t", api_url=f"{self.url}/api", target="local")).get(
            "any"
        )


@contextmanager
def serving(tree: Path, root: Path, *binds: str, **env: str) -> Iterator[Running]:
    """Run the program in a root file system that it can't write to, as a user without rights."""
    variables = {"HOME": "/home/ada", "PATH": "/bin", "TOOLBOX_TOKEN": "t"}
    variables |= {"TOOLBOX__FLEET__BACKEND": "single", **env}
    options = ["--unshare-user", "--unshare-pid", "--uid", "1000", "--gid", "1000", "--clearenv"]
    options += ["--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
    options += ["--tmpfs", "/tmp", "--tmpfs", "/home/ada", "--chdir", "/home/ada", *binds]
    options += ["--ro-bind", str(tree), "/toolbox"]
    for name, value in variables.items():
        options += ["--setenv", name, value]
    program = ("/toolbox/bin/toolbox", "serve", "--port", "0")
    process = subprocess.Popen(
        ["bwrap", *options, "--die-with-parent", *program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with ending(process):
        assert select.select([process.stdout], [], [], DEADLINE)[0], "it says nothing"
        line = process.stdout.readline()
        assert line.startswith("Starting toolbox server on port "), line
        running = Running(int(line.rpartition(" ")[2]))
        with running.client:
            yield running


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


def size(path: Path) -> int:
    """The bytes of a file or of those in a tree."""
    files = [path] if path.is_file() else [*path.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def said(tree: Path, packed: Path) -> str:
    return f"{size(tree) / 1e6:.1f} MB; packed: {size(packed) / 1e6:.1f} MB"


@by_hand
def test_a_single_file_unpacks_itself_once(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = set()
    for _ in range(2):
        shown = run(program, "plugins", XDG_CACHE_HOME=str(tmp_path))
        assert shown.returncode == 0, shown.stderr
        (directory,) = (tmp_path / "toolbox").iterdir()
        starts.add((directory.stat().st_ino, (directory / "toolbox/bin").stat().st_ctime_ns))
    assert len(starts) == 1
    with capsys.disabled():
        print(f"\nstandalone, minimal: {said(directory, program)}")
    assert size(directory) <= 30e6
    assert size(program) <= 10e6
    # Many starts at once, too.
    together = [
        subprocess.Popen(
            [program, "--help"],
            env={"TOOLBOX_UNPACK": str(tmp_path / "other")},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [start.wait(DEADLINE) for start in together] == [0, 0, 0]
    assert [path.name for path in (tmp_path / "other").iterdir()] == [directory.name]


@by_hand
def test_a_single_file_says_why_it_can_not_unpack_itself(program: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir(mode=0o777)
    (tmp_path / "foreign").chmod(0o777)
    reasons = {
        "/proc/toolbox": "No such file or directory",
        "relative": "not an absolute path",
        str(tmp_path / "foreign"): "others may write to it",
    }
    for directory, reason in reasons.items():
        refused = run(program, "plugins", TOOLBOX_UNPACK=directory)
        assert refused.returncode == 127
        assert f"  {directory}: {reason}\n" in refused.stderr
    # A root file system that can't be written to, nor has it a home.
    root = tmp_path / "root"
    for name in ("dev", "proc", "var/tmp", "program"):
        (root / name).mkdir(parents=True)
    options: list[str | Path] = ["--ro-bind", root, "/", "--dev", "/dev", "--proc", "/proc"]
    options += ["--clearenv", "--ro-bind", program.parent, "/program"]
    refused = run("bwrap", *options, "/program/toolbox", "plugins")
    assert refused.returncode == 127
    assert "  /var/tmp/toolbox-0: Read-only file system\n" in refused.stderr
    cut = tmp_path / "cut"
    cut.write_bytes(program.read_bytes()[:-100])
    cut.chmod(0o755)
    refused = run(cut, "plugins")
    assert (refused.returncode, "not all of it is here" in refused.stderr) == (127, True)


@by_hand
def test_a_single_file_that_was_removed_in_part_is_unpacked_again(
    program: Path, tmp_path: Path
) -> None:
    place = {"TOOLBOX_UNPACK": str(tmp_path / "place")}
    assert run(program, "plugins", **place).returncode == 0
    (directory,) = (tmp_path / "place").iterdir()
    whole = {path.relative_to(directory): path.stat().st_size for path in files(directory)}
    (removed,) = directory.rglob("toolbox_files/__init__.py*")
    (emptied,) = directory.rglob("json/decoder.pyc")
    for damage in (removed.unlink, lambda: emptied.write_bytes(b"")):
        damage()
        shown = run(program, "plugins", **place)
        assert (shown.returncode, "failed" in shown.stdout) == (0, False), shown.stderr
        assert [path.name for path in (tmp_path / "place").iterdir()] == [directory.name]
        assert {path.relative_to(directory): path.stat().st_size for path in files(directory)} == (
            whole
        )


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]


@by_hand
@pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="needs systemd-tmpfiles (package systemd)"
)
def test_systemd_leaves_a_single_file_s_tree_alone(program: Path, tmp_path: Path) -> None:
    assert run(program, "--help", TOOLBOX_UNPACK=str(tmp_path / "place")).returncode == 0
    there = files(tmp_path / "place")
    (tmp_path / "place" / "old").touch()
    rules = tmp_path / "rules.conf"
    rules.write_text(f"e {tmp_path}/place - - - 0\n")
    done = run("systemd-tmpfiles", "--clean", rules)
    assert (done.returncode, files(tmp_path / "place")) == (0, there), done.stderr


@by_hand
def test_what_a_killed_start_has_left_is_removed(program: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    first = subprocess.Popen([program, "--help"], env={"TOOLBOX_UNPACK": str(place)})
    until(lambda: any(place.glob(".unpack-*/*")), "the first file")
    first.kill()
    first.wait(DEADLINE)
    assert [path.name[:8] for path in place.iterdir()] == [".unpack-"]
    assert run(program, "--help", TOOLBOX_UNPACK=str(place)).returncode == 0
    assert [path.name[:8] for path in place.iterdir()] == ["toolbox-"]


@by_hand
def test_a_full_disk_is_named_and_keeps_nothing(program: Path) -> None:
    mount = ("--dev-bind", "/", "/", "--size", "9000000", "--tmpfs", "/mnt", "--chdir", "/mnt")
    script = 'TOOLBOX_UNPACK=/mnt/place "$0" --help; echo "status $?"; ls -A place'
    done = run("bwrap", *mount, "sh", "-c", script, program)
    assert "  /mnt/place: No space left on device\n" in done.stderr
    assert done.stdout == "status 127\n"


@by_hand
@pytest.mark.skipif(os.geteuid() != 0, reason="makes directories of another user")
def test_no_other_user_s_directory_says_what_runs(program: Path, tmp_path: Path) -> None:
    theirs, mine, link = tmp_path / "theirs", tmp_path / "mine", tmp_path / "link"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    os.lchown(link, 12345, 12345)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    reasons = {
        theirs: "others may write to it",
        theirs / "below": "others may replace it",
        tmp_path / "open" / "below": "others may replace it",
        link: "a link of another user",
    }
    for directory, reason in reasons.items():
        refused = run(program, "--help", TOOLBOX_UNPACK=str(directory))
        assert refused.returncode == 127
        assert f"  {directory}: {reason}\n" in refused.stderr
    # As in /tmp: nobody else can rename what is there.
    (tmp_path / "open").chmod(0o1777)
    assert run(program, "--help", TOOLBOX_UNPACK=str(tmp_path / "open/below")).returncode == 0


@by_hand
def test_a_package_of_debian_has_the_program_and_its_unit(
    base: Path, wheels: Path, tmp_path: Path
) -> None:
    assert base.is_dir()
    package = tmp_path / "toolbox.deb"
    bundle(wheels, package, *MINIMAL, form="deb")
    root = tmp_path / "root"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    # Without --root the scripts would run in there, where there is no shell.
    where = (f"--instdir={root}", f"--admindir={root}/var/lib/dpkg", "--force-not-root")
    done = run("dpkg", *where, "--force-script-chrootless", "--install", package)
    assert done.returncode == 0, done.stderr
    assert "fleet" in run(root / "usr/bin/toolbox", "plugins").stdout
    unit = (root / "usr/lib/systemd/system/toolbox.service").read_text()
    assert "ExecStart=/usr/bin/toolbox serve " in unit
    assert "/opt" not in unit
    listed = run("dpkg-deb", "--contents", package).stdout
    owners = {line.split()[1] for line in listed.splitlines()}
    assert owners == {"root/root"}
    done = run("dpkg", *where, "--force-script-chrootless", "--purge", "sandbox-toolbox")
    assert done.returncode == 0, done.stderr
    assert not (root / "usr/lib/sandbox-toolbox").exists()


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
