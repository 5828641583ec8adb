"""A plugin that writes down what it is told has ended."""

from __future__ import annotations

from pathlib import Path

import msgspec

from toolbox import hookimpl
from toolbox.lifecycle import Toolbox
from toolbox.observing import Observer
from toolbox.observing import RequestRecord


@hookimpl
def toolbox_observer(toolbox: Toolbox) -> Observer:
    """Write a line for each."""
    file = Path(toolbox.work_dir, "ended")

    def write(ended: RequestRecord) -> None:
        if "fail" in ended.path:
            raise ValueError("this observer fails")
        with file.open("ab") as lines:
            lines.write(msgspec.json.encode(ended) + b"\n")

    return write
