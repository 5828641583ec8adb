"""Measure the service against limits taken in the same run: ``python tests/bench``.

``python tests/bench core.start files`` measures one function of ``core.py`` and all of
``files.py``; ``--list`` names them all. ``--write`` puts the tables of the files measured into
``RESULTS.rst``. ``--against REV`` measures the service of that commit in turn with this one, and
prints the ratio of the two beside that to the limit.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Measure what the command line names."""
    # The package is found by its name; its files, named like libraries, are not found by theirs.
    sys.path[0] = str(Path(__file__).parents[1])
    from bench import command

    return command.main(__doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
