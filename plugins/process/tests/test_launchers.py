"""Launchers: what each gives, and what programs can't reach."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.backend import ProcessBackend
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.launcher_contract import LauncherContract
from toolbox_process.launcher_contract import text
from toolbox_process.local import LocalProcess
from toolbox_process.models import Limits
from toolbox_process.settings import LocalSettings
from toolbox_process.settings import ProcessSettings

from toolbox.errors import BadRequest
from toolbox.settings import SettingsError
from toolbox.testing import Service

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Without the environment of the tests, which may lie where no other user comes."""

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "user": {"launcher_user": "nobody"},
    "bubblewrap": {},
    "bubblewrap as user": {"launcher_user": "65534:65534"},
}
ISOLATING = [way for way in WAYS if way != "plain"]


def settings_for(way: str) -> LocalSettings:
    """The settings of a launcher; skips the test where it can't be used."""
    if way != "plain" and os.geteuid() != 0:
        pytest.skip("needs root")
    if way.startswith("bubblewrap") and shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    return LocalSettings(launcher=way.split()[0], grace=0.5, **WAYS[way])


class TestLaunchers(LauncherContract):
    @pytest.fixture(params=WAYS)
    def backend(
        self,
        request: pytest.FixtureRequest,
        make_backend: Callable[..., ProcessBackend],
        monkeypatch: pytest.MonkeyPatch,
    ) -> ProcessBackend:
        monkeypatch.setenv("PATH", PATH)
        return make_backend(LocalProcess, settings_for(request.param), ProcessSettings())

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_the_user_of_a_single_job(self, backend: ProcessBackend) -> None:
        """Whoever programs run as otherwise; but nobody gets out of a launcher's own user."""

        def whoami(user: str) -> str:
            request = StartJobRequest(argv=["/usr/bin/id", "-u"], user=user, cwd="/")
            job, _ = backend.jobs.start(request, 60)
            return text(job)

        assert whoami("nobody") == "65534\n"
        if whoami("") == "0\n":
            assert whoami("12345:12345") == "12345\n"
        else:
            for other in ("root", "12345:12345"):
                with pytest.raises(BadRequest, match="programs run as nobody only"):
                    whoami(other)

    def test_the_limits_of_a_single_job(self, backend: ProcessBackend) -> None:
        """They hold for the program, however it is wrapped, and its streams are its own."""
        script = "ulimit -d; grep -c toolbox-job /proc/self/cgroup; cat"
        request = StartJobRequest(
            argv=["/bin/sh", "-c", script], cwd="/", input="read", limits=Limits(memory=1 << 30)
        )
        job, _ = backend.jobs.start(request, 60)
        limit, groups, read = text(job).splitlines()
        assert limit == str(1 << 20) or groups == "1"
        assert read == "read"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module", params=ISOLATING)
def isolated(request: pytest.FixtureRequest, directory: Path) -> Iterator[Service]:
    settings = settings_for(request.param)
    files = directory / request.param.replace(" ", "-")
    files.mkdir()
    for name in ("token", "key"):
        (files / name).write_text(f"{name}-secret-of-the-service\n")
        (files / name).chmod(0o600)
    text = f'launcher = "{settings.launcher}"\nlauncher_user = "{settings.launcher_user}"\n'
    auth = f'[auth]\ntoken_file = "{files}/token"\nsigning_key_file = "{files}/key"\n'
    service = Service(
        files / "service",
        settings=f"[process.local]\ngrace = 0.5\n{text}{auth}",
        token="",
        env={"PATH": PATH},
    )
    service.token = "token-secret-of-the-service"
    service.http.headers["Authorization"] = f"Bearer {service.token}"
    yield service
    service.stop()


def execute(service: Service, command: str) -> str:
    answer = service.http.post("/process/execute", json={"command": command})
    assert answer.status_code == 200, answer.text
    result: str = answer.json()["result"]
    return result


def python(service: Service, code: str) -> str:
    return execute(service, f"python3 -c {shlex.quote(code)} 2>&1")


def pids(service: Service) -> list[int]:
    return [service.process.pid, *service.workers()]


def test_the_service_can_not_be_looked_into(isolated: Service) -> None:
    """Neither its memory nor its environment, descriptors or working directory."""
    for pid in pids(isolated):
        for name in ("environ", "mem", "maps", "fd", "cwd", "root", "exe", "task"):
            code = (
                "import os, sys\n"
                f"path = '/proc/{pid}/{name}'\n"
                "try:\n"
                "    found = os.listdir(path + '/') if os.path.isdir(path) else "
                "open(path, 'rb').read(1)\n"
                "except OSError as error:\n"
                "    found = ''\n"
                "print('found' if found and 'task' not in path else 'nothing')\n"
            )
            assert python(isolated, code) == "nothing\n", name


def test_the_service_can_not_be_signaled_or_traced(isolated: Service) -> None:
    """Signal 0 asks whether another could be sent (kill(2)); 16 is PTRACE_ATTACH (ptrace(2))."""
    for pid in pids(isolated):
        code = (
            "import ctypes, os\n"
            "try:\n"
            f"    os.kill({pid}, 0)\n"
            "    print('may be signaled')\n"
            "except OSError:\n"
            "    pass\n"
            f"print(ctypes.CDLL(None).ptrace(16, {pid}, 0, 0))\n"
        )
        assert python(isolated, code) == "-1\n"


def test_its_secrets_can_not_be_read(isolated: Service) -> None:
    """Not in a file, by whatever path, nor among the variables."""
    files = isolated.log_file.parent.parent
    assert (files / "token").exists()
    found = execute(
        isolated,
        f"cd {files}; cat token key /proc/*/root{files}/token 2>&1; env; "
        "umount token 2>/dev/null; rm -f token; cat token 2>&1",
    )
    assert "secret-of-the-service" not in found
    assert "secret" in (files / "token").read_text()


def test_output_and_scripts_of_others_can_not_be_read(isolated: Service) -> None:
    """The service's directories can't be listed, and nothing can be put into them."""
    http = isolated.http
    http.post("/process/session", json={"sessionId": "other"}).raise_for_status()
    body = {"command": "echo hidden-$((40 + 2)); sleep 1000", "runAsync": True}
    http.post("/process/session/other/exec", json=body).raise_for_status()
    worker = isolated.workers()[0]
    ours = [
        path
        for parent in ("/tmp", "/dev/shm")
        for name in (f"toolbox-process-{worker}-*", f"toolbox-sessions-{isolated.process.pid}-*")
        for path in Path(parent).glob(name)
    ]
    assert len(ours) >= 2
    listed = execute(isolated, f"ls -A {' '.join(map(str, ours))} 2>/dev/null | grep -v :")
    assert listed.strip() == ""
    execute(isolated, "".join(f"touch {path}/new; " for path in ours))
    assert not [path for path in ours if (path / "new").exists()]
    # A session's own files are where it needs them, but can't be replaced.
    http.post("/process/session", json={"sessionId": "mine"}).raise_for_status()
    command = "d=$(dirname $BASH_SOURCE); ln -s /etc/passwd $d/2.out; ls $d | wc -l"
    body = {"command": command}
    http.post("/process/session/mine/exec", json=body).raise_for_status()
    links = [path for directory in ours for path in directory.rglob("*") if path.is_symlink()]
    assert links == []
    for name in ("mine", "other"):
        http.delete(f"/process/session/{name}").raise_for_status()


def test_no_rights_come_back(isolated: Service) -> None:
    """Programs with the set-user-ID bit give none, and root in a sandbox has no more than it
    needs there.
    """
    status = dict(
        line.split(":\t", 1)
        for line in execute(isolated, "cat /proc/self/status").splitlines()
        if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1"
    held = int(status["CapEff"], 16)
    mount, trace, device, raw = 21, 19, 27, 17
    assert not [number for number in (mount, trace, device, raw) if held >> number & 1]
    assert execute(isolated, "mknod /tmp/toolbox-node b 8 0; ls /tmp/toolbox-node 2>/dev/null") in (
        "",
        "mknod: /tmp/toolbox-node: Operation not permitted\n",
    )
    for file in ("/proc/sys/kernel/core_pattern", "/sys/kernel/mm/transparent_hugepage/enabled"):
        # With what is in it: should that be possible, nothing is changed.
        wrote = execute(isolated, f"now=$(cat {file}); echo $now > {file} && echo wrote; true")
        assert "wrote" not in wrote.splitlines(), file


def test_no_library_of_a_job_is_loaded_before_its_rights_are_gone(isolated: Service) -> None:
    """The loader of whatever starts a program, as the service's user, ignores variables of the
    call: by LD_DEBUG it writes what it loads, by LD_LIBRARY_PATH it would load it (ld.so(8)).
    """
    directory = isolated.log_file.parent.parent / "loader"
    directory.mkdir()
    directory.chmod(0o777)
    variables = {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": f"{directory}/of", "LD_LIBRARY_PATH": "/a"}
    body = {"command": "echo $LD_LIBRARY_PATH", "envs": variables}
    answer = isolated.http.post("/process/execute", json=body)
    assert answer.json()["result"] == "/a\n"
    isolated.http.post("/process/pty", json={"id": "ld", "envs": variables}).raise_for_status()
    isolated.http.delete("/process/pty/ld").raise_for_status()
    text = "".join(file.read_text() for file in directory.iterdir())
    assert "initialize program: /" in text
    assert not re.search("initialize program: .*(setpriv|bwrap)", text)


def test_a_program_of_a_job_is_asked_with_the_rights_of_jobs(isolated: Service) -> None:
    """For TypeScript the service asks the ``node`` in the ``PATH`` of a call what it can do."""
    directory = isolated.log_file.parent.parent / "node"
    directory.mkdir()
    directory.chmod(0o777)
    node = directory / "node"
    node.write_text(
        f"#!/bin/sh\n/bin/echo $(/usr/bin/id -u)"
        f" $(/bin/sed -n 's/NoNewPrivs:.//p' /proc/self/status) >>{directory}/asked\n"
    )
    node.chmod(0o755)
    body = {"code": "1", "language": "typescript", "envs": {"PATH": str(directory)}}
    isolated.http.post("/process/code-run", json=body).raise_for_status()
    owner = execute(isolated, "id -u").strip()
    assert set((directory / "asked").read_text().splitlines()) == {f"{owner} 1"}


def test_a_file_is_not_a_directory_to_start_in(isolated: Service) -> None:
    """The error is the same for every mode of the file."""
    body = {"command": "true", "cwd": "/etc/passwd"}
    answer = isolated.http.post("/process/execute", json=body).json()
    assert answer == {"exitCode": -1, "result": "/etc/passwd: Not a directory"}


def test_a_terminal_belongs_to_its_user(isolated: Service) -> None:
    owner = execute(isolated, "id -u").strip()
    isolated.http.post("/process/pty", json={"id": "p", "envs": {"PS1": ""}}).raise_for_status()
    ws = isolated.websocket("/process/pty/p/connect")
    ws.send_binary(b"stat -c 'owner''=%u' $(tty); exit\n")
    seen = b""
    while b"owner=" not in seen:
        data = ws.recv()
        seen += data if isinstance(data, bytes) else b""
    assert f"owner={owner}".encode() in seen
    ws.close()


@pytest.mark.parametrize("way", ["bubblewrap", "bubblewrap as user"])
def test_only_the_processes_of_the_job_are_seen(
    make_service: Callable[..., Service], way: str
) -> None:
    settings = settings_for(way)
    text = f'launcher = "{settings.launcher}"\nlauncher_user = "{settings.launcher_user}"\n'
    service = make_service(settings=f"[process.local]\n{text}", env={"PATH": PATH})
    service.http.post("/x/jobs", json={"command": "sleep 1000"}).raise_for_status()
    assert "sleep" not in execute(service, "cat /proc/[0-9]*/comm")


WRONG = {
    "launcher_user is empty": 'launcher = "user"',
    "no such user: 'no-such-user'": 'launcher = "user"\nlauncher_user = "no-such-user"',
    "'root' is root": 'launcher = "user"\nlauncher_user = "root"',
    "not of the form": 'launcher = "user"\nlauncher_user = "a:b"',
    "'nope' is not one of plain, user, bubblewrap": 'launcher = "nope"',
    "No module named 'nowhere'": 'launcher = "nowhere:Launcher"',
    "bwrap doesn't work here": 'launcher = "bubblewrap"\nbubblewrap_options = ["--no-such-option"]',
}


@pytest.mark.parametrize("reason", WRONG)
def test_what_can_not_work_is_refused(tmp_path: Path, reason: str) -> None:
    """At the start, and by ``toolbox config --check``."""
    if "bwrap" in reason and shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    file = tmp_path / "toolbox.toml"
    file.write_text(f"[process.local]\n{WRONG[reason]}\n")
    for command in (["config", "--check", "--config"], ["serve", "--port", "0", "--config"]):
        run = subprocess.run(
            [sys.executable, "-m", "toolbox", *command, str(file)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode != 0
        assert reason in run.stderr + run.stdout
        assert "process.local.launcher" in run.stderr + run.stdout


def test_who_has_no_rights_is_told_so(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    settings = LocalSettings(launcher="user", launcher_user="nobody")
    code = (
        "from toolbox_process.local import LocalProcess\n"
        "from toolbox_process.settings import LocalSettings\n"
        "LocalProcess.check(LocalSettings(launcher='user', launcher_user='nobody'))\n"
    )
    LocalProcess.check(settings)
    dropping = ["setpriv", "--bounding-set=-kill,-setuid", "--inh-caps=-kill,-setuid"]
    run = subprocess.run(
        [*dropping, sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert "needs root or the capabilities it lacks: CAP_KILL, CAP_SETUID" in run.stderr
    assert SettingsError.__name__ in run.stderr
