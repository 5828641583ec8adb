"""The files of control groups.

Sources: the kernel's ``cgroup-v2`` and ``cgroup-v1`` documents, cgroups(7).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def own_paths(file: Path) -> dict[str, str]:
    """Return the path of our group in each v1 hierarchy by controller, in v2 under ``""``.

    ``file`` is ``/proc/self/cgroup``, or one like it.
    """
    paths: dict[str, str] = {}
    for line in read(file).splitlines():
        # "4:memory:/path" in v1, "0::/path" in v2.
        controllers, _, path = line.partition(":")[2].partition(":")
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def delegate(parent: Path, controller: str) -> bool:
    """Report whether groups below a v2 group have a controller, after having asked for it."""
    control = parent / "cgroup.subtree_control"
    if controller not in read(control).split():
        # Refused where processes are in the group itself, as this service usually is.
        with suppress(OSError):
            control.write_text(f"+{controller}", "ascii")
    return controller in read(control).split()


def read(file: Path) -> str:
    """Return a file's text, empty if it can't be read."""
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        return ""


def number(text: str) -> int:
    """Return a file's only number; 0 without one, or for v1's -1, "no limit"."""
    return int(text) if text.strip().isdigit() else 0


def table(text: str) -> dict[str, int]:
    """Return the numbers of a file of lines ``name number``."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
