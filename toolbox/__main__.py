"""``python -m toolbox`` is the ``toolbox`` command."""

from __future__ import annotations

from toolbox.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
