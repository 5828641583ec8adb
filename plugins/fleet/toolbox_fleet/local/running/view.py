"""The files that a sandbox with mounts of its own sees, as options of bwrap(1).

``/`` is the sandbox's own tree. What this machine has there is put over it, read-only: programs and
settings are the machine's, everything else is the sandbox's. In an own layer, which overlayfs
makes, it is the sandbox's as well, until it ends with it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from toolbox.settings.variables import home_directory
from toolbox_fleet.local.layout import SandboxPaths
from toolbox_fleet.local.places import make_inside
from toolbox_fleet.local.places import remove_empty

HOME = Path("/home/daytona")
"""HOME and work directory: where clients of Daytona expect it."""

RUN = Path("/run/toolbox")
"""The service's own files."""

KERNEL = (Path("/proc"), Path("/dev"))
"""Directories that bwrap makes anew."""

RESOLVERS = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager")
"""Directories in the hidden /run to which /etc/resolv.conf may be a link."""

LAYER = (
    'cd "$1" && mkdir -p work view && mount -t overlay overlay -o'
    " lowerdir=/,upperdir=../files,workdir=work,index=off,metacopy=off,redirect_dir=off view"
    ' && cd / && shift && exec "$@"'
)
"""A shell script that makes a layer in the directory of its first argument and becomes the rest.
Relative paths need no escapes. Without the three features each layer can be copied: they note which
files below it belongs to.
"""


class View:
    """The view of one sandbox. ``data`` is the fleet's directory."""

    def __init__(self, data: Path, paths: SandboxPaths, layered: bool) -> None:
        self._paths = paths
        self._layered = layered
        self._hidden = hidden(data)
        self._needed = list(needed(self._hidden))

    def prefix(self) -> list[str]:
        """Return the program that must be around bwrap."""
        if not self._layered:
            return []
        return ["unshare", "--mount", "sh", "-c", LAYER, "sh", str(self._paths.layer)]

    def prepare(self, targets: Iterable[Path]) -> None:
        """Make the places of all mounts in the sandbox's tree. Raises OSError."""
        if self._layered:
            self._paths.layer.mkdir(mode=0o700, exist_ok=True)
            # Left by a start without a layer, it would hide what the machine has there.
            for path in Path("/").iterdir():
                if path.is_symlink():
                    remove_empty(self._paths.files, path.name)
        else:
            for path in (*KERNEL, *_machine(self._hidden)):
                self._make(path)
        for path in self._hidden:
            if _is_top(path):
                self._make(path, 0o1777 if path.name == "tmp" else 0o755)
        make_inside(self._paths.files, HOME, 0o700, replace=True)
        for path in (*self._guards(), *self._needed):
            if self._is_own(path):
                self._make(path)
        for target in targets:
            # Without `replace`: it would take the place of the sandbox's own files.
            if self._layered or self._is_own(target):
                make_inside(self._paths.files, self.place(target))

    def _make(self, path: Path, mode: int = 0o755) -> None:
        make_inside(self._paths.files, path, mode, replace=True)

    def _is_own(self, path: Path) -> bool:
        """Report whether a place is in the sandbox's own tree."""
        top = Path("/", path.parts[1])
        if top in self._hidden:
            return top != Path("/run")
        return top not in _machine(self._hidden)

    def place(self, target: Path) -> Path:
        """Return the path to mount something at, so that it is seen at ``target``."""
        # bwrap would follow a link of this machine's to where it has no meaning.
        return target if self._is_own(target) else target.resolve()

    def options(self, targets: Iterable[Path]) -> Iterator[str]:
        """Yield the options for the whole view but what is mounted at ``targets``."""
        if self._layered:
            yield from ("--bind", str(self._paths.layer / "view"), "/")
            yield from _submounts(self._hidden)
        else:
            yield from ("--bind", str(self._paths.files), "/")
            for path in _machine(self._hidden):
                yield from ("--ro-bind-try", str(path), str(path))
        yield from self._hiding()
        if not self._layered:
            for directory in sorted(
                {_nearest(one) for one in map(self.place, targets) if self._lacks(one)}
            ):
                yield from _replaced(directory)

    def _lacks(self, target: Path) -> bool:
        """Report whether a place has to be made in a directory of the machine's."""
        seen = not set(self._hidden) & {target, *target.parents}
        return seen and not self._is_own(target) and not target.is_dir()

    def _hiding(self) -> Iterator[str]:
        for path in self._hidden:
            if not _is_top(path) or path == Path("/run"):
                yield from ("--tmpfs", str(path))
            else:
                # Also without a layer: a mount can't be renamed, and so hide what is below it.
                yield from ("--bind", str(self._paths.files / path.name), str(path))
        for path in self._guards():
            yield from ("--tmpfs", str(path))
        for path in self._needed:
            yield from ("--ro-bind-try", str(path), str(path))
        for path in self._guards():
            yield from ("--remount-ro", str(path))
        yield from ("--ro-bind", str(self._paths.run), str(RUN))
        yield from ("--bind", str(self._paths.logs), str(RUN / "logs"))

    def _guards(self) -> list[Path]:
        """Return the directories between hidden ones and the service's code.

        They are read-only: whoever renames one could put other code in its place, and read the
        key that the service sees.
        """
        found = set()
        for path in self._needed:
            # The innermost: a home in a hidden directory is hidden by itself.
            above = max(
                (of for of in (*self._hidden, HOME) if path.is_relative_to(of)),
                key=lambda of: len(of.parts),
            )
            below = path.relative_to(above).parts
            if len(below) > 1 and not HOME.is_relative_to(above / below[0]):
                found.add(above / below[0])
        return sorted(found)


def hidden(data: Path) -> list[Path]:
    """Return the directories of this machine of which a sandbox sees nothing.

    The fleet's own with the other sandboxes, the operator's home with his keys, sockets by which
    daemons take orders (/run), and others' temporary files.
    """
    candidates = {Path("/tmp"), Path("/var/tmp"), Path("/run"), Path("/home"), Path("/root"), data}
    candidates.add(home_directory())
    found = {path.resolve() for path in candidates if path.is_dir()} - {Path("/")}
    # What is in another is hidden with it.
    outer = {path for path in found if not found & set(path.parents)}
    # Where this machine has none, the sandbox has.
    return sorted(outer | {Path("/tmp"), Path("/run"), Path("/home"), Path("/root")})


def needed(hidden_ones: list[Path]) -> Iterator[Path]:
    """Yield what a service needs of hidden directories: Python and its packages, resolvers."""
    wanted = {Path(name) for name in RESOLVERS} | _code()
    # Not all of a home because `python -m` was called there, and so looks for modules in it.
    wanted -= set(hidden_ones) - {Path(sys.prefix), Path(sys.base_prefix)}
    inside = {path for path in wanted if path.exists() and set(hidden_ones) & {path, *path.parents}}
    # One inside of another is there already.
    yield from sorted(path for path in inside if not inside & set(path.parents))


@functools.cache
def _code() -> frozenset[Path]:
    """Return where the service's code is. Once: it takes as long as a tenth of a start."""
    return frozenset(_find_code())


def _find_code() -> Iterator[Path]:
    for name in (sys.prefix, sys.base_prefix, *sys.path):
        if name:
            yield Path(name).resolve()
            yield Path(name).absolute()
    yield Path(sys.executable).resolve().parent
    # Editable installs lie elsewhere.
    modules = {"toolbox", *(point.module for point in entry_points(group="toolbox.plugins"))}
    for module in modules:
        spec = importlib.util.find_spec(module.partition(".")[0])
        if spec is not None and spec.origin:
            yield Path(spec.origin).resolve().parent


def _is_top(path: Path) -> bool:
    return len(path.parts) == 2


def _machine(hidden_ones: list[Path]) -> list[Path]:
    """Return the directories at the top of this machine that sandboxes see.

    Empty ones are their own: most are there for mounts. Links are followed, as a link in the
    sandbox's tree could be led elsewhere by its programs, such as that of the loader, /lib64.
    """
    return [
        path
        for path in sorted(Path("/").iterdir())
        if path.is_dir() and path not in (*hidden_ones, *KERNEL) and not _is_empty(path)
    ]


def _is_empty(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except PermissionError:
        # Something is there, then, that somebody hides.
        return False


def _submounts(hidden_ones: list[Path]) -> Iterator[str]:
    """Yield options for other file systems of this machine, which no layer includes."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    points = {Path(_unescaped(line.split(b" ", 5)[4])) for line in lines}
    points -= {Path("/")}
    for path in sorted(points):
        # A mount brings those below it.
        above = set(path.parents)
        if not above & points and not {path, *above} & {*hidden_ones, *KERNEL}:
            yield from ("--ro-bind-try", str(path), str(path))


def _unescaped(field: bytes) -> str:
    """Return a path as of proc_pid_mountinfo(5), where spaces and the like are octal numbers."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field))


def _nearest(target: Path) -> Path:
    """Return the nearest directory above ``target`` that is there."""
    return next(parent for parent in target.parents if parent.is_dir())


def _replaced(directory: Path) -> Iterator[str]:
    """Yield options for an empty directory in memory with the entries of that of the machine."""
    yield from ("--tmpfs", str(directory))
    for entry in sorted(directory.iterdir()):
        if entry.is_symlink():
            yield from ("--symlink", str(entry.readlink()), str(entry))
        else:
            yield from ("--ro-bind-try", str(entry), str(entry))
