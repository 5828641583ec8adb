"""The standalone build as a package of Debian."""

from __future__ import annotations

from pathlib import Path

import pytest

from .making import MINIMAL
from .making import bundle
from .making import by_hand
from .making import run

pytestmark = pytest.mark.timeout(900)


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
