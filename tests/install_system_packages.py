"""Install the programs of ``system-packages.txt`` that are missing, where this is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FILE = Path(__file__).with_name("system-packages.txt")


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
    subprocess.run(command, env=environ, check=True)


if __name__ == "__main__":
    main()
