"""Parts of CPython and of the wheels that a service never uses or that say where they were made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from toolbox.packaging.pruning import TYPES
from toolbox.packaging.pruning import prune_packages
from toolbox.packaging.pruning import remove
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
    "bin",
    "ujson*",  # python-lsp-jsonrpc does without it; it brings libstdc++
)
"""Parts of packages, beside those that any environment can lose. What pip notes has paths of this
machine, or is no longer true.
"""

CONFIGURATION = """\
# What a program is told that would compile extension modules: there is no compiler's work here.
build_time_vars = {{"EXT_SUFFIX": {suffix!r}, "SOABI": {soabi!r}}}
"""


def prune(library: Path, packages: Path) -> None:
    """Remove these parts, and replace what CPython's build has noted of its machine."""
    for directory, patterns in ((library, LIBRARY), (packages, PACKAGES)):
        for pattern in patterns:
            for path in list(directory.glob(pattern)):
                remove(path)
    prune_packages(packages)
    for path in list(library.rglob("*")):
        if path.suffix in TYPES and path.is_file():
            path.unlink()
    for path in list(library.rglob("__pycache__")):
        shutil.rmtree(path)
    (configuration,) = library.glob("_sysconfigdata_*.py")
    suffix = next((library / "lib-dynload").glob("math.*.so")).name.removeprefix("math")
    soabi = suffix.removeprefix(".").removesuffix(".so")
    configuration.write_text(CONFIGURATION.format(suffix=suffix, soabi=soabi))


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
