"""The compilation of the base: CPython for musl, its loader and the launchers.

``zig cc`` compiles for any machine and libc without their toolchains. Linked statically are
bzip2, xz, libffi and SQLite; OpenSSL and zlib are libraries beside musl's, which is the loader too:
the file of Debian's package, as it is.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from toolbox.packaging.standalone.cache import find_zig
from toolbox.packaging.standalone.recipe import COMPILER
from toolbox.packaging.standalone.recipe import FFI_CONFIGURATION
from toolbox.packaging.standalone.recipe import FFI_MACHINES
from toolbox.packaging.standalone.recipe import FFI_SOURCES
from toolbox.packaging.standalone.recipe import LIBRARIES
from toolbox.packaging.standalone.recipe import MISSING
from toolbox.packaging.standalone.recipe import NATIVE_PYTHON
from toolbox.packaging.standalone.recipe import PYTHON
from toolbox.packaging.standalone.recipe import STACK
from toolbox.packaging.standalone.recipe import WITHOUT
from toolbox.packaging.standalone.sources import Archive
from toolbox.packaging.standalone.static import make_program
from toolbox.settings import SettingsError

HERE = Path(__file__).parent
MAKE = ("make", f"-j{os.cpu_count()}")


class Compilation:
    """One compilation of the base, in a directory of its own."""

    def __init__(self, machine: str, directory: Path, native: Path | None) -> None:
        """``native`` is the base for this machine, if the one to make is for another."""
        self._machine = machine
        self._native = native
        self._directory = directory
        self._prefix = directory / "libraries"
        self._base = directory / "base"
        self._static = self._base / "static"
        self._loader = self._base / "lib" / "toolbox"
        self._log = directory / "log"
        self._archive = Archive(_made(directory / "apt"), machine)
        self._versions: dict[str, str] = {}

    def run(self) -> Path:
        """Compile everything; return the directory of the base. Raises SettingsError."""
        for path in (
            self._prefix / "lib",
            self._prefix / "include",
            self._base / "bin",
            self._base / "lib",
            self._static,
        ):
            path.mkdir(parents=True)
        self._musl()
        self._tools()
        steps = (self._openssl, self._zlib, self._bzip2, self._xz, self._ffi, self._sqlite)
        for step in steps:
            step()
        self._python()
        self._launchers()
        (self._base / "versions.json").write_text(json.dumps(self._versions, indent=2) + "\n")
        return self._base

    def _musl(self) -> None:
        (libc,) = self._archive.binary("musl").glob("usr/lib/*/libc.so")
        shutil.copy(libc, self._loader)
        # For programs that are linked to it.
        development = self._archive.binary("musl-dev")
        for name in ("crt1.o", "libc.a"):
            (file,) = development.glob(f"usr/lib/*/{name}")
            shutil.copy(file, self._static)

    def _tools(self) -> None:
        zig = find_zig()
        tools = _made(self._directory / "tools")
        _script(
            tools / "cc",
            COMPILER.format(
                zig=zig, machine=self._machine, loader=self._loader, directory=self._directory
            ),
        )
        for name in ("ar", "ranlib"):
            _script(tools / name, f'#!/bin/sh\nexec {zig} {name} "$@"\n')
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
        self._environ = {
            **kept,
            # Names and no paths: OpenSSL has its compiler's command in it.
            "PATH": f"{tools}:{kept.get('PATH', os.defpath)}",
            "AR": "ar",
            "CC": "cc",
            "CFLAGS": "-O2 -fPIC",
            # CPython knows musl by a name of its stdarg.h; zig has that of clang.
            "CPP": "cc -E -D__DEFINED_va_list",
            "LC_ALL": "C",
            "PKG_CONFIG": "false",
            "RANLIB": "ranlib",
            "SOURCE_DATE_EPOCH": "0",
            "ZIG_GLOBAL_CACHE_DIR": f"{self._directory}/zig",
            "ZIG_LOCAL_CACHE_DIR": f"{self._directory}/zig",
        }

    def _zlib(self) -> None:
        source = self._source("zlib")
        self._do(source, "./configure", "--static", f"--prefix={self._prefix}")
        self._do(source, *MAKE, "libz.a")
        options = ("-shared", "-s", "-Wl,-soname,libz.so.1", "-o", "libz.so")
        parts = ("-Wl,--whole-archive", "libz.a", "-Wl,--no-whole-archive")
        self._do(source, self._environ["CC"], *options, *parts)
        # Wheels for musl take it to be the image's.
        self._share(source / "libz.so", "libz.so.1")
        self._keep(source / "zlib.h", source / "zconf.h")

    def _bzip2(self) -> None:
        source = self._source("bzip2")
        names = ("CC", "AR", "RANLIB", "CFLAGS")
        self._do(
            source,
            *MAKE,
            "libbz2.a",
            *(f"{name}={self._environ[name]}" for name in names),
        )
        self._keep(source / "libbz2.a", source / "bzlib.h")

    def _xz(self) -> None:
        source = self._source("xz-utils")
        programs = ("xz", "xzdec", "lzmadec", "lzmainfo", "lzma-links", "scripts")
        without = [f"--disable-{name}" for name in (*programs, "doc", "nls", "shared")]
        self._do(source, "./configure", self._host(), f"--prefix={self._prefix}", *without)
        self._do(source, *MAKE)
        self._do(source, "make", "install")
        # What unpacks the single file is linked to it.
        shutil.copy(self._prefix / "lib" / "liblzma.a", self._static)
        shutil.copy(self._prefix / "include" / "lzma.h", self._static)
        shutil.copytree(self._prefix / "include" / "lzma", self._static / "lzma")

    def _ffi(self) -> None:
        source = self._source("libffi")
        target, folder, names = FFI_MACHINES[self._machine]
        header = (source / "include" / "ffi.h.in").read_text()
        values = {
            "VERSION": self._versions["libffi"].partition("-")[0],
            "TARGET": target,
            "HAVE_LONG_DOUBLE": "1",
            "FFI_EXEC_TRAMPOLINE_TABLE": "0",
        }
        for name, value in values.items():
            header = header.replace(f"@{name}@", value)
        (source / "include" / "ffi.h").write_text(header)
        (source / "include" / "fficonfig.h").write_text(FFI_CONFIGURATION)
        parts = source / "src" / folder
        files = [source / "src" / name for name in FFI_SOURCES] + [parts / name for name in names]
        options = (
            "-O2",
            "-w",
            "-DHAVE_CONFIG_H",
            "-Iinclude",
            "-Isrc",
            f"-Isrc/{folder}",
        )
        self._do(source, self._environ["CC"], *options, "-c", *map(str, files))
        objects = sorted(path.name for path in source.glob("*.o"))
        self._do(source, self._environ["AR"], "rcs", "libffi.a", *objects)
        self._keep(source / "libffi.a", source / "include" / "ffi.h", parts / "ffitarget.h")

    def _sqlite(self) -> None:
        source = self._source("sqlite3")
        without = ("--disable-shared", "--disable-tcl", "--disable-readline")
        # Its generators are programs of this machine.
        native = {"CC": f"{find_zig()} cc", "CFLAGS": "-O1"}
        self._do(source, "./configure", *without, **native)
        self._do(source, "make", "sqlite3.c", **native)
        options = ("-DSQLITE_THREADSAFE=1", "-DSQLITE_OMIT_LOAD_EXTENSION")
        self._do(source, self._environ["CC"], "-Os", "-fPIC", *options, "-c", "sqlite3.c")
        self._do(source, self._environ["AR"], "rcs", "libsqlite3.a", "sqlite3.o")
        self._keep(source / "libsqlite3.a", source / "sqlite3.h")

    def _openssl(self) -> None:
        source = self._source("openssl")
        without = [f"no-{name}" for name in WITHOUT.split()]
        options = (
            f"linux-{self._machine}",
            "--prefix=/toolbox",
            "--openssldir=/etc/ssl",
        )
        # The list of symbols may have some of the parts that are left out.
        # What takes time is in assembler; the rest is half of the library.
        flags = ("-Os", "-fPIC", "-Wl,-s", "-Wl,--undefined-version")
        self._do(source, "./Configure", *options, *without, *flags)
        self._do(source, *MAKE, "build_generated")
        # Not build_libs: the static libraries are compiled apart, which takes as long again.
        self._do(source, *MAKE, "libcrypto.so", "libssl.so")
        # Two modules of CPython have it in common.
        for name in ("libssl.so", "libcrypto.so"):
            self._share(source / name, f"{name}.3")
        shutil.copytree(source / "include" / "openssl", self._prefix / "include" / "openssl")

    def _python(self) -> None:
        source = self._source(f"python{PYTHON}")
        # Debian's own directories of packages: the image's, which are not for this Python.
        patch = source / "debian" / "patches" / "distutils-install-layout.diff"
        self._do(source, "patch", "-s", "-R", "-p1", "-i", str(patch))
        include, library = f"-I{self._prefix}/include", f"-L{self._prefix}/lib"
        variables = {
            "CFLAGS": f"{self._environ['CFLAGS']} -DTHREAD_STACK_SIZE={STACK}",
            "CPPFLAGS": include,
            "LDFLAGS": f"{library} -s",
            "OPT": "-DNDEBUG -O2",
        }
        for name, file in LIBRARIES.items():
            variables |= {
                f"{name}_CFLAGS": include,
                f"{name}_LIBS": f"{library} -l{file}",
            }
        options = ["--prefix=/toolbox", "--disable-shared", "--disable-test-modules"]
        # mimalloc is only for builds without the GIL.
        options += ["--without-ensurepip", "--without-mimalloc", "--without-readline"]
        options += [f"--with-openssl={self._prefix}", "ac_cv_buggy_getaddrinfo=no"]
        options += [f"py_cv_module_{name}=n/a" for name in MISSING]
        self._do(source, "./configure", *options, *self._cross(), **variables)
        # The new Python imports each module, to see whether it can.
        shared = () if self._native else (f"RUNSHARED=LD_LIBRARY_PATH={self._base}/lib",)
        self._do(source, *MAKE, *shared)
        installed = self._directory / "installed"
        # The assembly compiles what is left then; this is only the first level of directories.
        less = "COMPILEALL_OPTS=-r 0"
        self._do(source, "make", "install", f"DESTDIR={installed}", less, *shared)
        library = f"lib/python{PYTHON}"
        shutil.copytree(installed / "toolbox" / library, self._base / library, symlinks=True)
        program = (installed / "toolbox" / "bin" / f"python{PYTHON}").read_bytes()
        # It is only ever started by the loader, so that where it was compiled can go.
        path = os.fsencode(self._loader)
        _script(self._base / "lib" / "python", program.replace(path, bytes(len(path))))

    def _cross(self) -> Iterator[str]:
        if self._native is None:
            return
        python = self._directory / "tools" / "python3"
        _script(python, NATIVE_PYTHON.format(base=self._native))
        yield self._host()
        yield f"--build={platform.machine()}-linux-gnu"
        yield f"--with-build-python={python}"
        yield from ("ac_cv_file__dev_ptmx=yes", "ac_cv_file__dev_ptc=no")

    def _launchers(self) -> None:
        for name, more in (("python3", ()), ("toolbox", ("-DPROGRAM",))):
            output = self._base / "bin" / name
            make_program(HERE / "launcher.c", output, self._static, self._machine, *more)

    def _host(self) -> str:
        return f"--host={self._machine}-linux-musl"

    def _source(self, package: str) -> Path:
        print(f"base for {self._machine}: {package}", file=sys.stderr, flush=True)
        source, self._versions[package] = self._archive.source(package)
        return source

    def _keep(self, *files: Path) -> None:
        for file in files:
            folder = "lib" if file.suffix == ".a" else "include"
            shutil.copy(file, self._prefix / folder)

    def _share(self, library: Path, name: str) -> None:
        shutil.copy(library, self._prefix / "lib")
        shutil.copy(library, self._base / "lib" / name)

    def _do(self, directory: Path, *command: str, **variables: str) -> None:
        """Run a command of a step. Raises SettingsError with the end of its output."""
        environ = {**self._environ, **variables}
        with self._log.open("w+b") as log:
            try:
                done = subprocess.run(command, cwd=directory, env=environ, stdout=log, stderr=log)
            except FileNotFoundError:
                raise SettingsError(f"{command[0]} is not installed; the base needs it") from None
        if done.returncode:
            output = self._log.read_text("utf-8", "replace")
            raise SettingsError(f"{' '.join(command[:2])} failed: {output[-2000:]}")


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _script(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o755)
