"""Run a Python program as if Python had read it from its standard input.

Passed to Python with ``-c``, so that no frame of it names a file. The first argument is the file
with the program, which stays there for processes that import it (multiprocessing's spawn). All is
in one function: the program gets this module's namespace, with nothing in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes a while to import.
    from typing import Any


def main(namespace: Any) -> None:
    """Run the program in ``namespace``."""
    import sys

    name = "<stdin>"
    path = sys.argv[1]
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes a while to import, too
        source = file.read()

    def fill(linecache: Any) -> None:
        text = source.decode("utf-8", "replace")
        linecache.cache[name] = (len(source), None, text.splitlines(True), name)

    class Finder:
        """Gives linecache the program's text, but imports it only when something else does."""

        def find_spec(self, wanted: Any, path: Any = None, target: Any = None) -> Any:
            """Leave the search to the other finders, and fill the module they find."""
            if wanted != "linecache":
                return None
            sys.meta_path.remove(self)
            found: Any = (finder.find_spec(wanted, path) for finder in list(sys.meta_path))
            spec = next((spec for spec in found if spec), None)
            if spec is not None and hasattr(spec.loader, "path"):
                execute = spec.loader.exec_module

                def exec_module(module: Any) -> None:
                    execute(module)
                    fill(module)

                spec.loader.exec_module = exec_module
            return spec

    sys.argv[:] = ["-", *sys.argv[2:]]
    if "linecache" in sys.modules:
        fill(sys.modules["linecache"])  # Python imports it itself for -c, from 3.13 on.
    else:
        sys.meta_path.insert(0, Finder())
    for own in ("annotations", "TYPE_CHECKING", "main"):
        del namespace[own]
    namespace.update(__doc__=None, __file__=path)
    try:
        exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except SystemExit:
        raise
    except BaseException as error:
        # Without this frame.
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        if sys.excepthook is sys.__excepthook__ and "linecache" in sys.modules:
            sys.modules["linecache"].cache.pop(name, None)  # Used from 3.13 on.
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


if __name__ == "__main__":
    main(globals())
