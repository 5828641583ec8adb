"""Programs linked statically, to Debian's musl: zig would compile a libc of its own, in minutes."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from toolbox.packaging.standalone.cache import find_zig
from toolbox.settings import SettingsError


def make_program(source: Path, target: Path, static: Path, machine: str, *options: str) -> None:
    """Make ``target`` of a source, with the libraries and headers in ``static``.

    ``options`` are names of libraries in there, and definitions for the compiler. Raises
    SettingsError.
    """
    libraries = [str(static / name) for name in (*options, "libc.a") if name.endswith(".a")]
    definitions = [option for option in options if option.startswith("-D")]
    with tempfile.TemporaryDirectory() as work:
        compiled = f"{work}/compiled.o"
        _zig(machine, "-Os", f"-I{static}", *definitions, "-c", str(source), "-o", compiled)
        parts = (str(static / "crt1.o"), compiled, *libraries)
        options = ("-static", "-nostdlib", "-rtlib=compiler-rt", "-s", "-Wl,--gc-sections")
        _zig(machine, *options, *parts, "-o", str(target))


def _zig(machine: str, *options: str) -> None:
    command = [str(find_zig()), "cc", "-target", f"{machine}-linux-musl", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SettingsError(f"zig: {done.stderr.strip()[-2000:]}")
