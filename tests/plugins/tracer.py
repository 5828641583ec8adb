"""A plugin that leaves a trace when it is imported."""

from __future__ import annotations

import os
from pathlib import Path

Path(os.environ["TRACE_FILE"]).write_text("imported")
