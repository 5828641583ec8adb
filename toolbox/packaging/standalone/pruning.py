"""Parts of CPython and of the wheels that a service never uses or that say where they were made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from toolbox.settings import SettingsError

LIBRARY = (
    "__phello__",
    "_pydatetime.py",  # these three do what modules in C do
    "_pydecimal.py",
    "_pyio.py",
    "_pyrepl",
    "antigravity.py",
    "bdb.py",  # a debugger, and other tools of developers
    "cProfile.py",
    "curses",  # its modules in C are left out, as those of dbm are
    "dbm",
    "doctest.py",
    "encodings/big5*",  # codecs of East Asia, with modules of a megabyte
    "encodings/cp932.py",
    "encodings/cp949.py",
    "encodings/cp950.py",
    "encodings/euc_*",
    "encodings/gb*",
    "encodings/hz.py",
    "encodings/iso2022*",
    "encodings/johab.py",
    "encodings/shift_jis*",
    "ensurepip",
    "ftplib.py",
    "idlelib",
    "imaplib.py",
    "lib-dynload/_codecs_*",
    "lib-dynload/_ctypes_test*",
    "lib-dynload/_lsprof*",
    "lib-dynload/_multibytecodec*",
    "lib-dynload/_test*",
    "lib-dynload/_xx*",
    "lib-dynload/xx*",
    "mailbox.py",
    "modulefinder.py",
    "pdb.py",
    "pickletools.py",
    "poplib.py",
    "profile.py",
    "pstats.py",
    "pyclbr.py",
    "pydoc.py",
    "pydoc_data",
    "smtplib.py",
    "symtable.py",
    "tabnanny.py",
    "test",
    "this.py",
    "tkinter",
    "trace.py",
    "turtle.py",
    "turtledemo",
    "unittest",
    "venv",
    "wave.py",
    "webbrowser.py",
    "xmlrpc",
    "zipapp.py",
)
"""Parts of the standard library, as patterns of paths in it: docs/deployment.rst says which."""

PACKAGES = (
    "*.dist-info/INSTALLER",
    "*.dist-info/RECORD",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/sboms",
    "*/tests",
    "PIL/_avif.*",
    "PIL/_imagingcms.*",
    "PIL/_imagingft.*",  # fonts
    "PIL/_imagingtk.*",
    "backports/zstd/_cffi",  # for PyPy
    "backports/zstd/tarfile.py",  # the standard library's, with zstd: not what the service calls
    "backports/zstd/zipfile",
    "bin",
    "click/_winconsole.py",
    "click/testing.py",
    "dulwich/cli.py",
    "dulwich/contrib",
    "gunicorn/asgi",
    "gunicorn/ctl",
    "gunicorn/dirty",
    "gunicorn/workers/gasgi.py",
    "gunicorn/workers/ggevent.py",
    "gunicorn/workers/gtornado.py",
    "toolbox/conformance",  # ours, with what follows: for tests, and for those who make this
    "toolbox/packaging/standalone",
    "toolbox/testing",
    "toolbox_*/*contract",
    "toolbox_*/*contract.py",
    "toolbox_*/testing.py",
    "ujson*",  # python-lsp-jsonrpc does without it; it brings libstdc++
    "werkzeug/debug",
    "werkzeug/testapp.py",
)
"""Parts of packages. What pip notes has paths of this machine, or is no longer true."""

TYPES = (".c", ".h", ".pxd", ".pyi", ".pyx")

CONFIGURATION = """\
# What a program is told that would compile extension modules: there is no compiler's work here.
build_time_vars = {{"EXT_SUFFIX": {suffix!r}, "SOABI": {soabi!r}}}
"""


def prune(library: Path, packages: Path) -> None:
    """Remove these parts, and replace what CPython's build has noted of its machine."""
    for directory, patterns in ((library, LIBRARY), (packages, PACKAGES)):
        for pattern in patterns:
            for path in directory.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    _prune_libraries(packages)
    for path in packages.glob("*.dist-info/METADATA"):
        # Behind the fields is the project's page in the index.
        fields, _, _ = path.read_bytes().partition(b"\n\n")
        path.write_bytes(fields + b"\n\n")
    for path in list(library.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            path.unlink()
    for path in list(library.rglob("__pycache__")):
        shutil.rmtree(path)
    (configuration,) = library.glob("_sysconfigdata_*.py")
    suffix = next((library / "lib-dynload").glob("math.*.so")).name.removeprefix("math")
    soabi = suffix.removeprefix(".").removesuffix(".so")
    configuration.write_text(CONFIGURATION.format(suffix=suffix, soabi=soabi))


def _prune_libraries(packages: Path) -> None:
    """Remove the libraries of wheels that no module is linked to, nor a library that one is."""
    libraries = set(packages.glob("*.libs/*.so*"))
    linked = [path for path in packages.rglob("*.so*") if path not in libraries]
    while linked:
        # It has their file names, in which there is a digest.
        content = linked.pop().read_bytes()
        found = {path for path in libraries if path.name.encode() in content}
        linked += found
        libraries -= found
    for path in libraries:
        path.unlink()


def strip(tree: Path, packages: Path, machine: str) -> None:
    """Remove debugging information, a third of all: zig adds it, whatever it is told.

    Not from packages: those who made the wheels have moved parts of their libraries (patchelf),
    and strip(1) leaves some of these so that their loading ends the process by SIGBUS.
    Raises SettingsError.
    """
    program = f"{machine}-linux-gnu-strip"
    found = (path for path in sorted(tree.rglob("*")) if not path.is_relative_to(packages))
    own = (path for path in found if path.is_file() and not path.is_symlink())
    files = [str(path) for path in own if _is_elf(path)]
    try:
        done = subprocess.run([program, *files], capture_output=True, text=True)
    except FileNotFoundError:
        raise SettingsError(f"{program} is not installed; --standalone needs it") from None
    if done.returncode:
        raise SettingsError(f"{program}: {done.stderr.strip()[-2000:]}")


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
