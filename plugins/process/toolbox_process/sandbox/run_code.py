"""Run a Python program as if Python had read it from its standard input.

Given to Python with ``-c``, so that no frame of it names a file. The first argument is the file
with the program, which stays there for processes that import it (multiprocessing's spawn). All is
in one function, as the program gets this module's namespace, and nothing in it.
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

    class Finder:
        """Gives linecache the program's text, but imports it no sooner than somebody else does."""

        def find_spec(self, wanted: Any, path: Any = None, target: Any = None) -> Any:
            """Leave it to the others, and fill the module they find."""
            if wanted != "linecache":
                return None
            sys.meta_path.remove(self)
            found: Any = (each.find_spec(wanted, path) for each in list(sys.meta_path))
            spec = next((spec for spec in found if spec), None)
            if spec is not None and hasattr(spec.loader, "path"):
                execute = spec.loader.exec_module

                def exec_module(module: Any) -> None:
                    execute(module)
                    lines = source.decode("utf-8", "replace").splitlines(True)
                    module.cache[name] = (len(source), None, lines, name)

                spec.loader.exec_module = exec_module
            return spec

    sys.argv[:] = ["-", *sys.argv[2:]]
    sys.meta_path.insert(0, Finder())
    for each in ("annotations", "TYPE_CHECKING", "main"):
        del namespace[each]
    namespace.update(__doc__=None, __file__=path)
    try:
        exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except SystemExit:
        raise
    except BaseException as error:
        # Without this frame.
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


if __name__ == "__main__":
    main(globals())
