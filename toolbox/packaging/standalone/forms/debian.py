"""A tree as a package of Debian, by dpkg-deb(1): the program and its unit of systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from toolbox import __version__
from toolbox.packaging.standalone.forms.normalization import moment
from toolbox.packaging.standalone.forms.normalization import normalize
from toolbox.packaging.standalone.sources import ARCHITECTURES
from toolbox.settings import SettingsError

PACKAGE = "sandbox-toolbox"
UNIT = Path(__file__).with_name("toolbox.service")
LICENSE = "lib/python*/site-packages/sandbox_toolbox-*.dist-info/licenses/LICENSE"

CONTROL = """\
Package: {package}
Version: {version}
Architecture: {architecture}
Maintainer: Sandbox Toolbox <root@localhost>
Installed-Size: {size}
Section: net
Priority: optional
Description: programmatic access to a sandbox over HTTP
 The service with a Python, a libc and a loader of its own: it depends on nothing.
"""
"""deb-control(5)."""

SCRIPT = """\
#!/bin/sh
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
    {command}
fi
"""
SCRIPTS = {
    # Its unit is not started: it needs a token first. One that runs is upgraded in place.
    "postinst": """\
systemctl daemon-reload
    [ -z "$2" ] || systemctl try-reload-or-restart toolbox.service || true""",
    # What its files are taken from would run on, without its helpers.
    "prerm": '[ "$1" != remove ] || systemctl disable --now toolbox.service',
    "postrm": "systemctl daemon-reload",
}
"""deb-postinst(5), deb-prerm(5), deb-postrm(5)."""


def write_package(tree: Path, target: Path, machine: str) -> None:
    """Write ``tree`` as a package for ``machine``. Raises SettingsError."""
    with tempfile.TemporaryDirectory(dir=tree.parent) as work:
        root = Path(work) / "root"
        home = root / "usr" / "lib" / PACKAGE
        home.parent.mkdir(parents=True)
        shutil.copytree(tree, home, symlinks=True)
        (root / "usr" / "bin").mkdir()
        (root / "usr" / "bin" / "toolbox").symlink_to(f"../lib/{PACKAGE}/bin/toolbox")
        unit = UNIT.read_text().replace("/opt/toolbox/bin/toolbox", "/usr/bin/toolbox")
        # Its head says how to install it by hand.
        _write(root / "usr/lib/systemd/system/toolbox.service", unit[unit.index("[Unit]") :])
        (license_,) = tree.glob(LICENSE)
        _write(root / "usr/share/doc" / PACKAGE / "copyright", license_.read_text())
        size = sum(path.lstat().st_size for path in root.rglob("*"))
        control = CONTROL.format(
            package=PACKAGE,
            version=__version__,
            architecture=ARCHITECTURES[machine],
            size=size // 1024,
        )
        _write(root / "DEBIAN/control", control)
        for name, lines in SCRIPTS.items():
            _write(root / "DEBIAN" / name, SCRIPT.format(command=lines), 0o755)
        normalize(root)
        command = ("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, target.absolute())
        _run(*command, SOURCE_DATE_EPOCH=str(moment()))


def _write(path: Path, content: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def _run(*command: str | Path, **env: str) -> None:
    try:
        done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    except FileNotFoundError:
        raise SettingsError(f"{command[0]} is not installed; --deb needs it") from None
    if done.returncode:
        raise SettingsError(f"{command[0]}: {done.stderr.strip()[-2000:]}")
