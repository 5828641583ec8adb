"""The program of an interpreter context, and the Python that runs it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolbox_process.errors import ProgramMissing

WORKER = Path(__file__).parent.parent / "sandbox" / "interpreter_worker.py"


def find_python() -> str:
    """Return the path of Python. Raises ProgramMissing."""
    for name in ("python3", "python"):
        if found := shutil.which(name, path=os.environ.get("PATH", os.defpath)):
            return found
    raise ProgramMissing("python3: not installed")
