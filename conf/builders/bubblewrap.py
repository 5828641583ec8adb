#!/usr/bin/env python3
"""Build an image for sandboxes of this machine, without a container engine.

    bubblewrap.py [--overlay] [--base IMAGE=DIRECTORY]... DOCKERFILE FILES ENVIRONMENT

It is a command for ``[fleet.local] builder``. Each RUN is run by bwrap(1) as programs in a sandbox
are: FILES is ``/``, and what this machine has there is put over it, read-only. So an image has no
programs of its own but what its RUN lines install elsewhere, such as in the home. With
``--overlay``, for ``[fleet.local] machine = "overlay"``, they can change all, as apt-get does; that
takes root.

FROM names a base: a directory whose files the image begins with, by ``--base``; an empty one is
this machine as it is. IMAGE may have wildcards. ENV, ARG and WORKDIR are understood, COPY and ADD
refused; what would matter to a container engine only, such as EXPOSE, is noted and has no effect.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOME = "/home/daytona"
HIDDEN = {Path(name) for name in ("/home", "/root", "/tmp", "/run", "/var/tmp", "/proc", "/dev")}

# The capabilities of programs in a sandbox: with more of them root could leave it.
KEPT = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE"),
    *("NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)

WITHOUT_EFFECT = {"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL"}

# Relative paths need no escapes.
LAYER = """mkdir -p ../layer/work ../layer/view && mount -t overlay overlay \\
-o "lowerdir=/,upperdir=$1,workdir=../layer/work,index=off,metacopy=off,redirect_dir=off" \\
../layer/view && shift && exec "$@"
"""


class BuildError(Exception):
    """A Dockerfile that can't be built; the message is for its author."""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the arguments of each instruction."""
    # Comments may stand between the lines of one instruction.
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\[ \t]*\n", "", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name:
            yield name.upper(), rest.strip()


class Build:
    """One build of ``files``."""

    def __init__(self, files: Path, bases: list[tuple[str, str]], overlay: bool) -> None:
        self._files = files
        self._bases = bases
        self._overlay = overlay
        self._arguments: dict[str, str] = {}
        self._directory = HOME
        self.env: dict[str, str] = {}

    def run(self, text: str) -> None:
        """Carry out all instructions. Raises BuildError, OSError."""
        steps = {
            "FROM": self._base,
            "ENV": self._set,
            "ARG": self._set_argument,
            "WORKDIR": self._enter,
            "USER": self._check_user,
            "RUN": self._run,
        }
        for number, (name, rest) in enumerate(instructions(text), 1):
            print(f"Step {number}: {name} {rest}", flush=True)
            if name in steps:
                steps[name](rest)
            elif name in WITHOUT_EFFECT:
                print(f"{name} has no effect on sandboxes of this machine", flush=True)
            else:
                raise BuildError(f"{name} is not supported")

    def _base(self, rest: str) -> None:
        home = self._files / HOME[1:]
        if home.exists():
            raise BuildError("builds of several stages are not supported")
        image = next((word for word in rest.split() if not word.startswith("--")), "")
        found = [where for pattern, where in self._bases if fnmatch.fnmatch(image, pattern)]
        if not found:
            raise BuildError(f"no base for {image!r}: the builder has to be told one by --base")
        if found[0]:
            copy = ["cp", "--archive", "--reflink=auto", f"{found[0]}/.", str(self._files)]
            subprocess.run(copy, check=True)
        home.mkdir(parents=True, exist_ok=True)

    def _set(self, rest: str) -> None:
        words = shlex.split(self._expanded(rest))
        if words and "=" not in words[0]:
            words = [f"{words[0]}={' '.join(words[1:])}"]
        if not all("=" in word for word in words):
            raise BuildError("ENV takes NAME=VALUE")
        self.env |= {name: value for name, _, value in (word.partition("=") for word in words)}

    def _set_argument(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self._arguments[name] = self._expanded(" ".join(shlex.split(value)))

    def _enter(self, rest: str) -> None:
        self._directory = str(Path(self._directory, self._expanded(rest)))
        self._execute(["mkdir", "-p", self._directory], "/")

    def _check_user(self, rest: str) -> None:
        if rest.partition(":")[0] not in ("root", "0", "daytona"):
            raise BuildError(f"there is no user {rest!r} in sandboxes of this machine")

    def _run(self, rest: str) -> None:
        if rest.startswith(("--", "<<")):
            raise BuildError("RUN takes a command, without options and here-documents")
        words = ["/bin/sh", "-c", rest]
        if rest.startswith("["):
            try:
                words = json.loads(rest)
            # As of Docker: it is a command that happens to begin so.
            except ValueError:
                pass
        self._execute(words, self._directory)

    def _expanded(self, text: str) -> str:
        return string.Template(text).safe_substitute({**self._arguments, **self.env})

    def _execute(self, command: list[str], directory: str) -> None:
        own = {"PATH": os.environ["PATH"], "HOME": HOME, "LANG": "C.UTF-8"}
        whole = [*self._view(), "--chdir", directory, "--", *command]
        done = subprocess.run(whole, env={**own, **self._arguments, **self.env}, check=False)
        if done.returncode:
            raise BuildError(f"the command failed with {done.returncode}")

    def _view(self) -> Iterator[str]:
        """Yield bwrap with the options for what sandboxes see."""
        hidden = HIDDEN | {Path.home()}
        options = ("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--bind")
        if self._overlay:
            yield from ("unshare", "--mount", "sh", "-c", LAYER, "sh", os.path.relpath(self._files))
            yield from ("bwrap", *options, str(Path("../layer/view").absolute()), "/")
            for name in ("home", "root"):
                (self._files / name).mkdir(exist_ok=True)
                yield from ("--bind", str(self._files / name), f"/{name}")
        else:
            yield from ("bwrap", *options, str(self._files), "/")
            for path in sorted(Path("/").iterdir()):
                # An empty one is there for mounts, and the image's own.
                if path.is_dir() and path not in hidden and any(path.iterdir()):
                    yield from ("--ro-bind", str(path), str(path))
        yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run")
        # The other sandboxes: FILES is in a directory of the fleet's own.
        fleet = self._files.parent.parent
        if not {fleet, *fleet.parents} & hidden:
            yield from ("--tmpfs", str(fleet))
        yield from ("--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve")
        if os.geteuid() == 0:
            yield from ("--cap-drop", "ALL")
            for name in KEPT:
                yield from ("--cap-add", f"CAP_{name}")


def main() -> int:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description="Build an image for sandboxes of this machine.")
    parser.add_argument("--base", action="append", default=[], metavar="IMAGE=DIRECTORY")
    parser.add_argument("--overlay", action="store_true")
    for name in ("dockerfile", "files", "environment"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    bases = [(image, where) for image, _, where in (one.partition("=") for one in given.base)]
    build = Build(given.files, bases, given.overlay)
    try:
        build.run(given.dockerfile.read_text("utf-8"))
    except (BuildError, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", flush=True)
        return 1
    given.environment.write_text(json.dumps(build.env), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
