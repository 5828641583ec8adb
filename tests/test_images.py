"""The images of ``conf/images``: linted, and the Debian ones built and run without an engine.

A base image is made by mmdebstrap, an instruction adds a layer as an engine does (overlayfs), and a
container is a process with namespaces of its own, so that no port is shared with other tests.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import ending

ROOT = Path(__file__).parent.parent
FILES = sorted(ROOT.glob("conf/images/*/Dockerfile*"))
PROFILES = ["minimal", "headless", "desktop"]

# As in the slim images that Debian publishes.
APT = ("Acquire::Languages none", 'Dir::Cache::pkgcache ""', 'Dir::Cache::srcpkgcache ""')
DPKG = (
    "force-unsafe-io",
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
)
KEEP_NO_PACKAGES = 'APT::Keep-Downloaded-Packages "false";\n'

MOUNTED = """
set -e
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$SCRATCH" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
[ -z "$NETWORK" ] || ip link set lo up
exec chroot --userspec="$OWNER" "$ROOT" env -i "$@"
"""

REQUEST = """
import sys, urllib.request
method, path, body = sys.argv[1:]
headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
request = urllib.request.Request(
    "http://127.0.0.1:2280" + path, None if body == "null" else body.encode(), headers,
    method=method,
)
sys.stdout.write(urllib.request.urlopen(request, timeout=60).read().decode())
"""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mmdebstrap") is None,
    reason="needs root and mmdebstrap (Debian package mmdebstrap)",
)


class Image:
    """Layers, top first, and what the instructions set."""

    def __init__(self, layers: list[Path]) -> None:
        self.layers = layers
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.arguments: dict[str, str] = {}
        self.user = "0"
        self.directory = "/"
        self.entrypoint: list[str] = []
        self.health: list[str] = []
        self.labels: dict[str, str] = {}


class Container:
    """A process that runs in an image."""

    def __init__(self, image: Image, upper: Path, process: subprocess.Popen[str]) -> None:
        self.image = image
        self.upper = upper
        self.process = process

    @property
    def pid(self) -> int:
        """Its PID 1, as seen from here."""
        return descendants(self.process.pid)[0]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as the user of the image."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root"]
        who = [f"--setuid={self.image.user}", f"--setgid={self.image.user}"]
        return subprocess.run(
            [*enter, *who, *command],
            env=self.image.env,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def request(self, method: str, path: str, body: object = None) -> Any:
        """The JSON that the service in it answers."""
        python = "/opt/toolbox/bin/python"
        result = self.run(python, "-c", REQUEST, method, path, json.dumps(body))
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


class Engine:
    """Builds images. What was built by equal instructions is built once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._built: dict[tuple[str, ...], Path] = {}
        self._host = self._new()
        self._environ = {
            key: value
            for key, value in os.environ.items()
            if key.startswith("PIP_") or key.lower().endswith("_proxy")
        }
        self._environ.pop("PIP_FIND_LINKS", None)  # A directory of this machine.
        (self._host / "etc").mkdir()
        shutil.copy("/etc/resolv.conf", self._host / "etc")
        if certificates := os.environ.get("PIP_CERT"):
            (self._host / "run").mkdir()
            shutil.copy(certificates, self._host / "run" / "certificates.pem")
            self._environ["PIP_CERT"] = "/run/certificates.pem"

    def build(self, file: Path) -> Image:
        """The last stage of a Dockerfile."""
        stages: dict[str, Image] = {}
        image = Image([])
        key: tuple[str, ...] = ()
        for step in DockerfileParser(fileobj=io.BytesIO(file.read_bytes())).structure:
            name, value = step["instruction"], step["value"]
            key = (*key, step["content"]) if name != "FROM" else (value.split(" ")[0],)
            if name == "FROM":
                base, _, stage = value.partition(" AS ")
                image = Image([self._host, self._base(base)])
                stages[stage] = image
            elif name == "RUN":
                image.layers = [self._run(key, image, value), *image.layers]
            elif name == "COPY":
                image.layers = [self._copy(key, stages, *shlex.split(value)), *image.layers]
            elif name == "ARG":
                variable, _, default = value.partition("=")
                image.arguments[variable] = default
            elif name == "LABEL":
                image.labels |= dict(each.split("=", 1) for each in shlex.split(value))
            elif name == "USER":
                image.user = value
            elif name == "WORKDIR":
                image.directory = value
            elif name == "ENTRYPOINT":
                image.entrypoint = json.loads(value)
            elif name == "HEALTHCHECK":
                image.health = json.loads(value[value.index("[") :])
            else:
                assert name in ("COMMENT", "EXPOSE"), f"{name} is not known here"
        return image

    def start(
        self, image: Image, command: list[str], network: bool = False, **env: str
    ) -> Container:
        """Start a process in the image, as PID 1 and with a layer of its own on top."""
        upper, mounted = self._new(), self._new()
        setting = {
            "LOWER": ":".join(map(str, image.layers)),
            "UPPER": str(upper),
            "SCRATCH": str(self._new()),
            "ROOT": str(mounted),
            "OWNER": f"{image.user}:{image.user}",
            "NETWORK": "own" if network else "",
        }
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        variables = [f"{key}={value}" for key, value in {**image.env, **env}.items()]
        inside = ["sh", "-c", f'cd {image.directory}; exec "$@"', "sh", *command]
        return Container(
            image,
            upper,
            subprocess.Popen(
                [*unshare, *["--net"] * network, "sh", "-c", MOUNTED, "sh", *variables, *inside],
                env={**os.environ, **setting},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
        )

    def _new(self) -> Path:
        path = self._directory / str(len(list(self._directory.iterdir())))
        path.mkdir()
        return path

    def _base(self, name: str) -> Path:
        suite = name.removeprefix("debian:").removesuffix("-slim")
        if (name,) not in self._built:
            self._built[name,] = target = self._new()
            options = [f"--aptopt={option}" for option in APT] + [f"--dpkgopt={o}" for o in DPKG]
            check(["mmdebstrap", "--variant=minbase", *options, suite, str(target)])
            (target / "etc/apt/apt.conf.d/slim").write_text(KEEP_NO_PACKAGES)
        return self._built[name,]

    def _run(self, key: tuple[str, ...], image: Image, command: str) -> Path:
        key = (*key, *image.arguments.values())
        if key not in self._built:
            container = self.start(
                image, ["sh", "-c", command], False, **{**image.arguments, **self._environ}
            )
            with ending(container.process):
                output, _ = container.process.communicate(timeout=600)
            assert container.process.returncode == 0, f"RUN {command}\n{output}"
            self._built[key] = container.upper
        return self._built[key]

    def _copy(self, key: tuple[str, ...], stages: dict[str, Image], *words: str) -> Path:
        *options, source, target = words
        upper = self._new()
        place = upper / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if options:
            (stage,) = (option.removeprefix("--from=") for option in options)
            # An instruction that made it is the layer that has it.
            layer = next(each for each in stages[stage].layers if (each / source[1:]).exists())
            shutil.copytree(layer / source[1:], place, symlinks=True)
        elif source == ".":
            if ("context",) not in self._built:
                self._built["context",] = upper
                for name in context():
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / name, place / name)
            return self._built["context",]
        else:
            assert source in context()
            shutil.copy(ROOT / source, place)
        return upper


def check(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def context() -> set[str]:
    """What an engine is sent: the files of the repository that ``.dockerignore`` lets through."""
    listed = ["git", "-C", str(ROOT), "ls-files"]
    ignored = check([*listed, "-ci", "-X", str(ROOT / ".dockerignore")]).splitlines()
    return set(check([*listed, "-co", "--exclude-standard"]).splitlines()) - set(ignored)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_dockerfile_is_without_fault(file: Path) -> None:
    # Versions of a distribution's packages are what its release decides.
    ignored = ["--ignore=DL3008", "--ignore=DL3018"]
    linter = Path(sysconfig.get_path("scripts")) / "hadolint"
    check([str(linter), *ignored, "--failure-threshold=info", str(file)])


def test_an_alpine_image_differs_from_its_debian_one_by_the_distribution_only() -> None:
    alpine = [file for file in FILES if file.suffix == ".alpine"]
    assert [file.parent.name for file in alpine] == ["headless", "minimal"]
    for file in alpine:
        steps = [others(each) for each in (file, file.with_suffix(""))]
        assert steps[0] == steps[1]


def others(file: Path) -> list[str]:
    """The instructions that don't install what a distribution has."""
    parser = DockerfileParser(fileobj=io.BytesIO(file.read_bytes()))
    own = ("apk", "apt-get", "useradd", "debian:", "alpine:")
    return [
        step["content"]
        for step in parser.structure
        if step["instruction"] != "COMMENT" and not step["value"].startswith(own)
    ]


def test_every_dependency_has_wheels_for_alpine(tmp_path: Path) -> None:
    requirements = set()
    for file in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")):
        requirements |= set(tomllib.loads(file.read_text())["project"]["dependencies"])
    wanted = sorted(each for each in requirements if not each.startswith("sandbox-toolbox"))
    check(
        [
            *(sys.executable, "-m", "pip", "--quiet", "download", "--dest", str(tmp_path)),
            *("--only-binary=:all:", "--platform=musllinux_1_2_x86_64", "--python-version=3.12"),
            *("--platform=musllinux_1_1_x86_64", "--implementation=cp", *wanted),
        ]
    )
    compiled = [wheel.name for wheel in tmp_path.iterdir() if "none-any" not in wheel.name]
    assert any(name.startswith("msgspec-") for name in compiled)
    assert all("musllinux" in name for name in compiled)


def check_devices(directory: Path) -> None:
    """The user of an image uses this machine's devices: say so where they have other modes."""
    for name in ("full", "null", "random", "tty", "urandom", "zero"):
        mode = stat.S_IMODE((directory / name).stat().st_mode)
        assert mode == 0o666, f"{directory / name} of this machine has mode {mode:o}, not 666"


def test_devices_with_other_modes_are_told(tmp_path: Path) -> None:  # F-D9
    (tmp_path / "full").touch(0o644)
    with pytest.raises(AssertionError, match=r"full of this machine has mode 644, not 666"):
        check_devices(tmp_path)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    check_devices(Path("/dev"))
    # Two gigabytes in small files, for the time of these tests: in memory, where there is room.
    roomy = shutil.disk_usage("/dev/shm").free > 8 << 30
    with tempfile.TemporaryDirectory(dir="/dev/shm" if roomy else None) as directory:
        yield Engine(Path(directory))


@pytest.fixture(params=PROFILES)
def container(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Container]:
    """A container of a profile, which runs a program as its entrypoint."""
    image = engine.build(ROOT / "conf" / "images" / request.param / "Dockerfile")
    program = "trap 'echo told > told; exit' TERM; touch ready; while :; do sleep 0.1; done"
    started = engine.start(
        image,
        [*image.entrypoint, "sh", "-c", program],
        network=True,
        TOOLBOX_TOKEN="t",
        HOME=image.directory,
    )
    with ending(started.process):
        yield started


@needs_root
@pytest.mark.timeout(900)  # The first one makes the base image, and all download much.
def test_an_image_is_built_and_serves_as_pid_1(
    container: Container, request: pytest.FixtureRequest, record_property: Any
) -> None:
    image, home = container.image, container.upper / container.image.directory.lstrip("/")
    assert set(image.labels) == {
        f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses")
    }
    assert container.process.stdout is not None
    assert container.process.stdout.readline() == "Starting toolbox server on port 2280\n"
    until(lambda: container.run(*image.health).returncode == 0, "health")
    check_groups(container, image.arguments)
    check_processes(container)
    until((home / "ready").exists, "the program")
    os.kill(container.pid, signal.SIGTERM)
    assert container.process.wait(DEADLINE) == 0
    assert (home / "told").read_text() == "told\n"
    size = sum(file.lstat().st_size for layer in image.layers[:-2] for file in layer.rglob("*"))
    name = image.labels["org.opencontainers.image.title"]
    record_property("size", f"{name}, on its base image: {size / 1e6:.0f} MB")


def check_groups(container: Container, arguments: dict[str, str]) -> None:
    """The profile's groups are there, with the programs that their backends run."""
    reports = container.request("GET", "/plugins")["plugins"]
    for report in reports:
        assert report["status"] == "enabled"
        (backend,) = (each for each in report["backends"] if each["name"] == report["backend"])
        assert backend.get("missing", []) == []
    if "computeruse" in [report["name"] for report in reports]:
        container.request("POST", "/computeruse/start")
        shown = container.request("GET", "/computeruse/display/info")["displays"]
        assert (shown[0]["width"], shown[0]["height"]) == (1280, 800)


def check_processes(container: Container) -> None:
    """Commands run as the user of the image, and orphans are reaped (AC-40)."""
    orphan = "id -u; (setsid sh -c 'sleep 0.2' &)"
    answer = container.request("POST", "/process/execute", {"command": orphan})
    assert answer["result"] == "1000\n"
    zombies = "grep -l '^State:.Z' /proc/[0-9]*/status || true"
    until(lambda: container.run("sh", "-c", zombies).stdout == "", "the end of zombies")
    assert container.run("sh", "-c", "touch /opt/toolbox/x").returncode != 0


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)
