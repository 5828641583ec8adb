"""The helper program that packs and unpacks: ``pack DIRECTORY [gz]`` or ``unpack DIRECTORY``.

The archive goes through standard output or input; what goes wrong is one JSON object on standard
error. Exit status 0, else 1.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any
from typing import BinaryIO

BLOCK = 1024 * 1024


def pack(directory: str, target: BinaryIO, compress: bool) -> None:
    """Write everything below ``directory``, links as links, with names relative to it.

    Sockets have no place in an archive; what vanishes meanwhile is left out. Raises OSError.
    """
    mode: Any = "w|gz" if compress else "w|"
    # PAX, for names of any length, size and encoding.
    with tarfile.open(
        fileobj=target, mode=mode, format=tarfile.PAX_FORMAT, bufsize=BLOCK
    ) as archive:
        pending = [(Path(directory), "")]
        while pending:
            above, prefix = pending.pop()
            try:
                below = sorted(above.iterdir())
            except FileNotFoundError:
                if not prefix:
                    raise
                continue
            for path in below:
                _add(archive, path, prefix + path.name)
                if path.is_dir() and not path.is_symlink():
                    pending.append((path, f"{prefix}{path.name}/"))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    try:
        if path.is_socket():
            return
        member = archive.gettarinfo(path, name)
        if not member.isreg():
            archive.addfile(member)
            return
        with path.open("rb", buffering=0) as file:
            archive.addfile(member, file)
    except FileNotFoundError:
        return


def unpack(directory: str, source: BinaryIO) -> int:
    """Unpack into ``directory``, which is made; the count of members.

    The files belong to the service's user and keep their permissions but set-id bits. Raises
    OSError, tarfile.TarError; members that would land outside are such an error.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    count = 0
    with tarfile.open(fileobj=source, mode="r|*", bufsize=BLOCK) as archive:
        for member in archive:
            archive.extract(member, directory, filter=_adapt)
            count += 1
    while source.read(BLOCK):
        pass  # What pads an archive to its block size.
    return count


def _adapt(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo:
    safe = tarfile.tar_filter(member, directory)
    # Without an owner it is the service's user's; the filter has taken away too much of the mode.
    mode = member.mode & 0o777
    nobody: Any = {"uid": None, "gid": None, "uname": None, "gname": None}
    return safe.replace(mode=mode, deep=False, **nobody)


def main(arguments: list[str]) -> int:
    """Do what the arguments say."""
    try:
        if arguments[0] == "pack":
            pack(arguments[1], sys.stdout.buffer, "gz" in arguments[2:])
        else:
            print(unpack(arguments[1], sys.stdin.buffer))
        sys.stdout.flush()
    except BrokenPipeError:
        return 1
    except Exception as error:
        # Each decompressor has its own for a broken archive; some are an OSError without number.
        number = getattr(error, "errno", None) or 0
        filename = getattr(error, "filename", None) or ""
        _tell(errno=number, filename=os.fsencode(filename).hex(), message=str(error))
        return 1
    return 0


def _tell(**what: object) -> None:
    sys.stderr.write(json.dumps(what))
