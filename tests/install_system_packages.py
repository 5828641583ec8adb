"""Install the programs of ``system-packages.txt`` that are missing, where this is possible."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).with_name("system-packages.txt")
POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """The packages of the programs that are not on PATH."""
    lines = [line.split() for line in FILE.read_text().splitlines()]
    wanted = [line for line in lines if line and not line[0].startswith("#")]
    return sorted({package for program, package in wanted if shutil.which(program) is None})


def main() -> None:
    """Install them with apt-get if this is root on Debian; otherwise say what will be skipped."""
    packages = missing()
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"tests that need these packages will be skipped: {' '.join(packages)}")
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environ, check=True)
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
    with _no_services():
        subprocess.run(command, env=environ, check=True)


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting their services: tests start etcd and the like themselves."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")  # "Action forbidden", of invoke-rc.d(8)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    main()
