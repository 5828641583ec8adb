"""Asking ripgrep which files hold a text.

It only saves reading the other files: which lines, and whether a file is binary, is found out by
the same code as without it.
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
"""Bytes of data that ripgrep may have; what it needs grows with the longest line there is."""


def files_with_text(
    program: str, root: str, shown: str, pattern: bytes, skip: Iterable[str]
) -> Iterator[tuple[str, str]] | None:
    """The files below the directory ``root`` that hold ``pattern``, in the order of a walk: their
    paths and, with ``root`` called ``shown``, what they are called.

    None if it can't tell: it keeps whole lines in memory, so it is given a limit, and fails where
    one is longer.
    """
    # An argument of a program holds no NUL and is limited in length (execve(2)).
    if b"\0" in pattern or len(pattern) > 64 * 1024:
        return None
    command = [program, "--no-config", "--no-ignore", "--hidden", "--no-messages"]
    # As they are: no guessing of encodings, no stop at a NUL.
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
    # 0: found, 1: not found, 2: found or not, and something could not be read.
    return _sorted(output, root, shown) if process.returncode in (0, 1, 2) else None


def _sorted(output: bytes, root: str, shown: str) -> Iterator[tuple[str, str]]:
    prefix = "" if shown == "." else shown.rstrip("/") + "/"
    # A separator sorts before everything else, as if it ended the name.
    for path in sorted(output.split(b"\0")[:-1], key=lambda each: each.replace(b"/", b"\0")):
        text = os.fsdecode(path)
        yield text, prefix + text[len(root) :]
