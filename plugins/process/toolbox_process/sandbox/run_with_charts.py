"""Run a Python program and write the charts it shows to a file descriptor.

Arguments: the file with the source, the descriptor for the charts, then the program's own. Each
chart is a line of JSON. No error here may reach the program.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import linecache
import os
import sys
import traceback
import types
from typing import Any

import _toolbox_charts  # type: ignore[import-not-found]

SOURCE = "<stdin>"


class PyplotHook(importlib.abc.MetaPathFinder):
    """Takes over ``pyplot.show`` when pyplot is imported, and the drawing of box plots."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self._busy = False

    def find_spec(self, name: Any, path: Any = None, target: Any = None) -> Any:
        if name != "matplotlib.pyplot" or self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is None or spec.loader is None:
            return None
        spec.loader = Loader(spec.loader, self._write)
        return spec


class Loader(importlib.abc.Loader):
    """Loads pyplot as usual, then patches it."""

    def __init__(self, loader: Any, write: Any) -> None:
        self._loader = loader
        self._write = write

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        _toolbox_charts.patch(module, self._write)


def main() -> None:
    """Run the program."""
    path, chart_fd = sys.argv[1], int(sys.argv[2])
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes a while to import
        source = file.read()
    # Children of the program must not write charts.
    os.set_inheritable(chart_fd, False)
    sys.argv = ["-", *sys.argv[3:]]
    sys.path[0] = ""  # The program finds its modules where it is, as with "python -".
    os.environ.setdefault("MPLBACKEND", "Agg")

    def write(data: Any) -> None:
        while data:
            data = data[os.write(chart_fd, data) :]

    sys.meta_path.insert(0, PyplotHook(write))
    module = types.ModuleType("__main__")
    module.__file__ = path  # For processes that import it: multiprocessing's spawn.
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    text = source.decode("utf-8", "replace")
    linecache.cache[SOURCE] = (len(source), None, text.splitlines(True), SOURCE)
    try:
        exec(compile(source, SOURCE, "exec"), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        # Without this file's frame.
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        own = sys.excepthook is sys.__excepthook__  # It knows the lines of files only.
        show = traceback.print_exception if own else sys.excepthook
        show(type(error), error.with_traceback(trace), trace)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


if __name__ == "__main__":
    main()
