"""One file with the service in it, for images that can't be rebuilt: made by pex.

The file starts with any interpreter of the version it was made for and needs nothing installed.
On its first start it lays itself out as a virtual environment in pex's cache (``PEX_ROOT``), so
that helper processes, which are started with ``sys.executable``, find their modules.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from collections.abc import MutableMapping
from collections.abc import Sequence

from toolbox import __version__
from toolbox.settings import SettingsError
from toolbox.settings import nearest

DISTRIBUTION = "sandbox-toolbox"


def make_bundle(
    groups: Sequence[str], output: str, wheels: str | None = None, pythons: Sequence[str] = ()
) -> None:
    """Write the file ``output`` with the core and ``groups``, no groups meaning all of them.

    Without ``wheels`` it holds what is installed beside this module, in the same versions; with
    it, what is found in that directory and nowhere else, for each interpreter in ``pythons`` (or
    this one). Raises SettingsError.
    """
    if importlib.util.find_spec("pex") is None:
        raise SettingsError(f"pex is needed: pip install '{DISTRIBUTION}[bundle]'")
    if pythons and not wheels:
        raise SettingsError("--python needs --wheels: what is installed here fits only this Python")
    names = [DISTRIBUTION, *(_distribution(group) for group in groups or _all_groups())]
    command = [sys.executable, "-m", "pex", "--script", "toolbox", "--venv", "--sh-boot"]
    command += ["--output-file", output, *(f"{name}=={__version__}" for name in names)]
    if wheels:
        command += ["--no-pypi", "--find-links", wheels]
        command += [f"--python={python}" for python in pythons or [sys.executable]]
    else:
        _refuse_editable(names)
        command += ["--venv-repository", sys.prefix]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SettingsError(f"pex: {done.stderr.strip()}")


def forget_bundle(environ: MutableMapping[str, str]) -> None:
    """Take out what pex leaves in the environment, so that no command takes our files for its."""
    if environ.pop("PEX", None):
        environ.pop("VIRTUAL_ENV", None)


def _all_groups() -> list[str]:
    extras = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    return [extra for extra in extras if extra not in ("all", "bundle", "testing")]


def _distribution(group: str) -> str:
    known = _all_groups()
    if group not in known:
        raise SettingsError(f"no group {group!r} belongs to this release{nearest(group, known)}")
    return f"{DISTRIBUTION}-{group}"


def _refuse_editable(names: Sequence[str]) -> None:
    for name in names:
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise SettingsError(f"{name} is not installed; take it from --wheels") from None
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            raise SettingsError(
                f"{name} is installed as editable; "
                "make wheels, and bundle those: pip wheel --wheel-dir dist . ./plugins/*"
            )
