"""The service as a single file, made by pex, for images that can't be rebuilt.

The file runs with any interpreter of the version it was made for and needs nothing installed. On
its first start it unpacks itself as a virtual environment in pex's cache (``PEX_ROOT``), so that
helper processes, which are started with ``sys.executable``, find their modules.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import MutableMapping
from collections.abc import Sequence

from toolbox import __version__
from toolbox.settings import SettingsError
from toolbox.settings import nearest

DISTRIBUTION = "sandbox-toolbox"

_EXTRA = re.compile(rf"""({DISTRIBUTION}-[\w-]+) *; *extra == ['"](\w+)['"]""")
"""A group's distribution as the core's metadata require it (PEP 508)."""


def make_bundle(
    groups: Sequence[str], output: str, wheels: str | None = None, pythons: Sequence[str] = ()
) -> None:
    """Write the file ``output`` with the core and ``groups``, or all groups if there are none.

    Without ``wheels`` it contains the installed packages, in the same versions; otherwise the
    packages in that directory only, for each interpreter in ``pythons`` (by default this one).
    Raises SettingsError.
    """
    # pex is not a dependency: a service in a sandbox never needs it.
    if importlib.util.find_spec("pex") is None:
        raise SettingsError(f"pex is required: pip install '{DISTRIBUTION}[bundle]'")
    if pythons and not wheels:
        raise SettingsError("--python needs --wheels: the installed packages fit only this Python")
    names = distributions(groups)
    # --venv: helpers run with sys.executable find modules only in a real environment. --sh-boot:
    # the file starts as a shell script, which finds an interpreter of the right version.
    command = [sys.executable, "-m", "pex", "--script", "toolbox", "--venv", "--sh-boot"]
    command += ["--output-file", output, *(f"{name}=={__version__}" for name in names)]
    if wheels:
        # A bundle is made of these files or not at all, never of what an index has today.
        command += ["--no-pypi", "--find-links", wheels]
        command += [f"--python={python}" for python in pythons or [sys.executable]]
    else:
        _refuse_editable(names)
        command += ["--venv-repository", sys.prefix]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SettingsError(f"pex: {done.stderr.strip()}")


def forget_bundle(environ: MutableMapping[str, str]) -> None:
    """Remove pex's variables from the environment, so that commands don't import our packages."""
    if environ.pop("PEX", None):
        environ.pop("VIRTUAL_ENV", None)


def distributions(groups: Sequence[str]) -> list[str]:
    """Return those of the core and of ``groups``, or of all groups if there are none.

    Raises SettingsError.
    """
    known = _known_groups()
    for group in groups:
        if group not in known:
            raise SettingsError(f"this release has no group {group!r}{nearest(group, list(known))}")
    # Two names of one group, its former one too, are one distribution.
    return [DISTRIBUTION, *dict.fromkeys(known[group] for group in groups or known)]


def _known_groups() -> dict[str, str]:
    """Return the distribution of each group by its name, and by a former one if it had one.

    They are the extras, since the groups' distributions may not be installed here.
    """
    found = map(_EXTRA.fullmatch, importlib.metadata.requires(DISTRIBUTION) or [])
    return {match[2]: match[1] for match in found if match and match[2] != "all"}


def _refuse_editable(names: Sequence[str]) -> None:
    for name in names:
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise SettingsError(f"{name} is not installed; use --wheels") from None
        # PEP 610: pip writes it for installs from directories. Editable ones have no files to copy.
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            raise SettingsError(
                f"{name} is an editable install; "
                "build wheels and use --wheels: pip wheel --wheel-dir dist . ./plugins/*"
            )
