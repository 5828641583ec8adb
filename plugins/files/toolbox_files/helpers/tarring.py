"""The helper program that packs and unpacks: ``pack DIRECTORY FORMAT`` or
``unpack DIRECTORY [outside-links]``.

The archive goes through standard output or input; what goes wrong is one JSON object on standard
error. Exit status 0, else 1.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from toolbox_files.helpers.packing import pack
from toolbox_files.helpers.unpacking import unpack

MAX_MEMORY = 1024 * 1024 * 1024
"""Bytes of data the helper may have: headers of an archive may be as large as they like."""

MAX_MESSAGE, MAX_NAME = 1000, 4096
"""Characters of a failure and bytes of its file's name that are told: less than a pipe holds, so
that nobody must read them.
"""


def main(arguments: list[str]) -> int:
    """Do what the arguments say."""
    try:
        if arguments[0] == "pack":
            with open(1, "wb", buffering=0, closefd=False) as target:
                pack(arguments[1], target, arguments[2])
        else:
            _limit(resource.RLIMIT_DATA, MAX_MEMORY)
            with open(0, "rb", buffering=0, closefd=False) as source:
                print(unpack(arguments[1], source, len(arguments) > 2), flush=True)
    except BrokenPipeError:
        return 1
    except Exception as error:
        # Each decompressor has its own for a broken archive; some are an OSError without number.
        number = getattr(error, "errno", None) or 0
        filename = os.fsencode(getattr(error, "filename", None) or "")[:MAX_NAME]
        message = str(error)[:MAX_MESSAGE] or type(error).__name__
        _tell(errno=number, filename=filename.hex(), message=message)
        return 1
    return 0


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, hard))


def _tell(**what: object) -> None:
    sys.stderr.write(json.dumps(what))
