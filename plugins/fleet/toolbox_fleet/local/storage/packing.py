"""Trees packed into a compressed archive, by tar(1)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from toolbox.processes import popen
from toolbox.trees.errors import TreeError

WAIT = 0.2
"""Seconds between two checks whether the archive is still wanted."""

# Without them a restored sandbox has other capabilities, owners and sizes on the disk.
_KEPT = (
    "--sparse",
    "--xattrs",
    # By default those of users alone are unpacked; overlayfs has others.
    "--xattrs-include=*",
    "--acls",
    "--numeric-owner",
    "--warning=no-file-ignored",
)
"""Options for what the standard format leaves out."""


def pack(source: Path, archive: Path, check: Callable[[], None]) -> None:
    """Pack a tree into the new file ``archive``. Raises TreeError and what ``check`` raises."""
    with archive.open("xb") as file:
        command = ["tar", "--create", "--format=posix", "--one-file-system", *_KEPT]
        if shutil.which("zstd"):
            command += ["--zstd"]
        else:
            command += ["--gzip"]
        _run([*command, "--directory", str(source), "."], check, stdout=file.fileno())
        # The original is deleted next, and the power may fail after that.
        os.fsync(file.fileno())


def unpack(archive: Path, target: Path, check: Callable[[], None]) -> None:
    """Unpack an archive of :func:`pack` into the new directory ``target``.

    Raises TreeError, OSError and what ``check`` raises.
    """
    target.mkdir(mode=0o700)
    # By the content: zstd may have come or gone since. The file has no name that tells.
    # Unbuffered: tar goes on where the descriptor is.
    with archive.open("rb", buffering=0) as file:
        format_option = "--gzip" if file.read(2) == b"\x1f\x8b" else "--zstd"
        file.seek(0)
        command = ["tar", "--extract", format_option, "--preserve-permissions", *_KEPT]
        _run([*command, "--directory", str(target)], check, stdin=file.fileno())


def _run(
    command: list[str],
    check: Callable[[], None],
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> None:
    try:
        process = popen(
            [command[0], "--file", "-", *command[1:]],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise TreeError("archives take the program tar, which is not installed") from None
    try:
        message = _wait(process, check)
    # Whatever ends this, tar must not go on writing into what is removed next.
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        lines = message.strip().splitlines()
        # The first is the reason; what follows are its consequences.
        raise TreeError(lines[0][:300] if lines else f"tar failed ({process.returncode})")


def _wait(process: subprocess.Popen[str], check: Callable[[], None]) -> str:
    while True:
        try:
            return process.communicate(timeout=WAIT)[1]
        except subprocess.TimeoutExpired:
            check()
