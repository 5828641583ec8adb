"""Finding the files that contain a text by ripgrep.

It only saves reading other files: matching lines and binary files are determined by the same code
as without it.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator

MAX_MEMORY = 512 * 1024 * 1024
"""Maximum bytes of ripgrep's data, which grows with the longest line."""


def files_with_text(
    program: str, root: str, shown: str, pattern: bytes, skip: Iterable[str]
) -> Iterator[tuple[str, str]] | None:
    """Return the files below ``root`` that contain ``pattern``, in the order of a walk.

    Each is its path and the name to show, in which ``root`` is ``shown``. Returns None if ripgrep
    fails, as it does at its memory limit: it keeps whole lines in memory.
    """
    # An argument can't contain a NUL, and its length is limited (execve(2)).
    if b"\0" in pattern or len(pattern) > 64 * 1024:
        return None
    command = [program, "--no-config", "--no-ignore", "--hidden", "--no-messages"]
    # Bytes as they are: no detection of encodings, no stop at a NUL.
    command += ["--text", "--encoding=none", "--fixed-strings", "--case-sensitive"]
    command += ["--files-with-matches", "--null", "--color=never"]
    for name in skip:
        command.append("--glob=!**/" + re.sub(r"([\\*?\[\]{}!])", r"\\\1", name) + "/")
    root = root.rstrip("/") + "/"
    try:
        process = subprocess.Popen(
            [*command, "--regexp", os.fsdecode(pattern), "--", root],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    with process:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    # 0: found, 1: not found, 2: either, and some file could not be read.
    return _sorted(output, root, shown) if process.returncode in (0, 1, 2) else None


def _sorted(output: bytes, root: str, shown: str) -> Iterator[tuple[str, str]]:
    prefix = "" if shown == "." else shown.rstrip("/") + "/"
    # In the order of a walk: a separator sorts before any character of a longer name.
    for path in sorted(output.split(b"\0")[:-1], key=lambda path: path.replace(b"/", b"\0")):
        text = os.fsdecode(path)
        yield text, prefix + text[len(root) :]
