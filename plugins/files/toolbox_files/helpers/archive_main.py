"""The program that packs and unpacks archives.

Its arguments are ``pack DIRECTORY FORMAT`` or ``unpack DIRECTORY [outside-links]``. The archive is
standard output or input. On failure the program writes a JSON object to standard error and exits
with status 1.
"""

from __future__ import annotations

import os
import sys

MAX_MEMORY = 1024 * 1024 * 1024
"""Maximum bytes of data: the headers of an archive may have any size."""

MAX_MESSAGE, MAX_NAME = 1000, 4096
"""Maximum characters of an error message and bytes of its file name.

Together they fit a pipe's buffer, so that writing them doesn't wait for a reader.
"""


def main(arguments: list[str]) -> int:
    """Run the command in ``arguments``; return the exit status."""
    try:
        # What isn't needed isn't imported: ``tarfile`` takes as long as packing 1,000 files.
        if arguments[0] == "pack":
            from toolbox_files.helpers.packing import pack

            with open(1, "wb", buffering=0, closefd=False) as target:
                pack(arguments[1], target, arguments[2])
        else:
            from toolbox_files.helpers.unpacking import unpack

            _limit_memory()  # Only here: packing reads no untrusted data.
            with open(0, "rb", buffering=0, closefd=False) as source:
                print(unpack(arguments[1], source, len(arguments) > 2), flush=True)
    except BrokenPipeError:
        return 1
    except Exception as error:
        _report_error(error)
        return 1
    return 0


def _limit_memory() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _report_error(error: Exception) -> None:
    # Each decompressor raises its own errors; some are an OSError without errno.
    number = getattr(error, "errno", None) or 0
    filename = os.fsencode(getattr(error, "filename", None) or "")[:MAX_NAME]
    message = str(error)[:MAX_MESSAGE] or type(error).__name__
    _report(errno=number, filename=filename.hex(), message=message)


def _report(**failure: object) -> None:
    import json

    sys.stderr.write(json.dumps(failure))
