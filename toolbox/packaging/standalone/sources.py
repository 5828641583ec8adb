"""Packages of Debian, sources and binaries, by the machine's own apt."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from toolbox.settings import SettingsError

SUITE = "trixie"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of the machines that uname(1) names."""

TARGETS = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
"""A line of apt-get indextargets(8) for each source of packages."""

CONFIGURATION = """\
Dir::Etc::SourceList "{directory}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "{directory}/lists";
Dir::State::Status "/dev/null";
Dir::Cache "{directory}/cache";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
Acquire::Languages "none";
APT::Sandbox::User "root";
"""


class Archive:
    """Debian's archive of one release, by the mirror that apt is configured with.

    Nothing of apt's own state is touched. Its keys verify the lists, and those the files.
    """

    def __init__(self, directory: Path, machine: str) -> None:
        """Read the lists, of packages for ``machine``, into ``directory``. Raises SettingsError."""
        self._directory = directory
        for name in ("lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        self._environ = {**os.environ, "LC_ALL": "C"}
        lines = sorted(set(self._lines()))
        if not lines:
            raise SettingsError("apt has no source of Debian's packages; the base needs one")
        (directory / "sources.list").write_text("\n".join(lines) + "\n")
        configuration = directory / "apt.conf"
        configuration.write_text(
            CONFIGURATION.format(directory=directory, architecture=ARCHITECTURES[machine])
        )
        self._environ["APT_CONFIG"] = str(configuration)
        self._run("apt-get", "update", "-qq")

    def source(self, package: str) -> tuple[Path, str]:
        """Download and unpack a source package; return its directory and version.

        A mirror may list a version that it does not have yet: then the one before.
        Raises SettingsError.
        """
        target = self._directory / package
        target.mkdir()
        shown = self._run("apt-cache", "showsrc", "--only-source", package)
        lines = [line.partition(": ") for line in shown.splitlines()]
        versions = [value for key, _, value in lines if key == "Version"]
        problem = SettingsError(f"Debian's archive has no source package {package}")
        for version in dict.fromkeys(reversed(versions)):
            try:
                self._run("apt-get", "source", "-qq", f"{package}={version}", cwd=target)
            except SettingsError as error:
                problem = error
                continue
            (found,) = (path for path in target.iterdir() if path.is_dir())
            return found, version
        raise problem

    def binary(self, package: str) -> Path:
        """Download and unpack a package for the machine; return its directory.

        Raises SettingsError.
        """
        target = self._directory / f"{package}-binary"
        target.mkdir()
        self._run("apt-get", "download", "-qq", package, cwd=target)
        (file,) = target.glob("*.deb")
        self._run("dpkg-deb", "-x", str(file), str(target / "files"))
        return target / "files"

    def _lines(self) -> Iterator[str]:
        for line in self._run("apt-get", "indextargets", "--format", TARGETS).splitlines():
            origin, codename, uri = line.split(" ", 2)
            # Fixes of security get into the next point release.
            if origin == "Debian" and not codename.endswith("-security"):
                yield f"deb {uri} {SUITE} main"
                yield f"deb-src {uri} {SUITE} main"

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        try:
            done = subprocess.run(
                command, cwd=cwd, env=self._environ, capture_output=True, text=True
            )
        except FileNotFoundError:
            raise SettingsError(f"{command[0]} is not installed; the base needs it") from None
        if done.returncode:
            raise SettingsError(f"{' '.join(command)}: {done.stderr.strip()[-1000:]}")
        return done.stdout
