"""Parts of the installed packages that a running service never reads."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import sysconfig
from pathlib import Path

from toolbox.settings import SettingsError

PACKAGES = (
    "*/tests",
    "PIL/_avif.*",
    "PIL/_imagingcms.*",
    "PIL/_imagingft.*",  # fonts
    "PIL/_imagingtk.*",
    "backports/zstd/_cffi",  # for PyPy
    "backports/zstd/tarfile.py",  # the standard library's, with zstd: not what the service calls
    "backports/zstd/zipfile",
    "click/_termui_impl.py",
    "click/_winconsole.py",
    "click/shell_completion.py",
    "click/testing.py",
    "dulwich/cli.py",
    "dulwich/contrib",
    "gunicorn/asgi",
    "gunicorn/ctl",
    "gunicorn/dirty",
    "gunicorn/http2/*connection.py",
    "gunicorn/http2/h2conn.py",
    "gunicorn/http2/request.py",
    "gunicorn/uwsgi",
    "gunicorn/workers/base_async.py",
    "gunicorn/workers/gasgi.py",
    "gunicorn/workers/ggevent.py",
    "gunicorn/workers/gtornado.py",
    "toolbox/conformance",  # ours, with what follows: for tests, and for those who make images
    "toolbox/packaging/standalone",
    "toolbox/testing",
    "toolbox_*/*contract",
    "toolbox_*/*contract.py",
    "toolbox_*/testing.py",
    "werkzeug/_reloader.py",
    "werkzeug/debug",
    "werkzeug/middleware/http_proxy.py",
    "werkzeug/middleware/lint.py",
    "werkzeug/middleware/profiler.py",
    "werkzeug/testapp.py",
)
"""Patterns of paths: docs/deployment.rst says what they are."""

TYPES = (".c", ".h", ".pxd", ".pyi", ".pyx")
"""Sources of compiled modules, and types for those who check programs."""


def prune_environment() -> tuple[int, int]:
    """Remove these parts from the virtual environment of this interpreter.

    Returns the bytes of its files before and after. Raises SettingsError.
    """
    packages = Path(sysconfig.get_path("purelib"))
    if sys.prefix == sys.base_prefix:
        raise SettingsError("this is no virtual environment: others may use its packages")
    if not Path(__file__).is_relative_to(packages):
        raise SettingsError("this is an editable install: its files are the repository's")
    before = size(Path(sys.prefix))
    prune_packages(packages)
    for record in packages.glob("*.dist-info/RECORD"):
        _correct(record)
    return before, size(Path(sys.prefix))


def size(directory: Path) -> int:
    """Return the bytes of the files in a directory."""
    return sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir())


def prune_packages(packages: Path) -> None:
    """Remove these parts from a directory of packages."""
    for pattern in PACKAGES:
        for path in list(packages.glob(pattern)):
            remove(path)
    for path in list(packages.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            path.unlink()
    for path in packages.glob("*.dist-info/METADATA"):
        # Behind the fields is the project's page in the index.
        fields, _, _ = path.read_bytes().partition(b"\n\n")
        path.write_bytes(fields + b"\n\n")
    _prune_pillow(packages)


def remove(path: Path) -> None:
    """Remove a directory, or a file and what Python has compiled it to."""
    if path.is_dir():
        shutil.rmtree(path)
        return
    path.unlink()
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def _prune_pillow(packages: Path) -> None:
    """Remove the libraries of Pillow that no module is linked to, nor a library that one is."""
    libraries = set(packages.glob("pillow.libs/*.so*"))
    linked = [path for path in packages.rglob("*.so*") if path not in libraries]
    while linked:
        # It has their file names, in which there is a digest.
        content = linked.pop().read_bytes()
        found = {path for path in libraries if path.name.encode() in content}
        linked += found
        libraries -= found
    for path in libraries:
        path.unlink()


def _correct(record: Path) -> None:
    """Leave out of a distribution's list of files those that are gone: installers read it."""
    place = record.parent.parent
    rows = csv.reader(record.read_text("utf-8").splitlines())
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        # Of what was shortened the digest and the size may be left out.
        [row[0], "", ""] if row[0].endswith(".dist-info/METADATA") else row
        for row in rows
        if row and (place / row[0]).exists()
    )
    record.write_text(text.getvalue(), "utf-8")
