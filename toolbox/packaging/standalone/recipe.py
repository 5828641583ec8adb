"""The constants of the recipe: what is compiled, how, and what is left out."""

from __future__ import annotations

PYTHON = "3.13"
STACK = 8 << 20
"""Bytes of a thread's stack: glibc's. musl's 128 KiB are too few for CPython's recursion limit."""

WITHOUT = """
    apps argon2 aria async bf camellia cast cmp cms comp ct default-thread-pool docs dsa dtls ec2m
    engine idea legacy md4 mdc2 ml-dsa module ocb quic rc2 rc4 rc5 rfc3779 rmd160 sctp seed siphash
    siv slh-dsa sm2 sm3 sm4 srp srtp ssl-trace ssl3 tests thread-pool tls-deprecated-ec ts whirlpool
"""
"""Parts of OpenSSL that neither Python's ssl nor a server of this century asks for."""

LIBRARIES = {
    "ZLIB": "z",
    "BZIP2": "bz2",
    "LIBLZMA": "lzma",
    "LIBFFI": "ffi",
    "LIBSQLITE3": "sqlite3",
}
"""The names that CPython's configure has for the libraries."""

MISSING = (
    "_curses",
    "_curses_panel",
    "_dbm",
    "_gdbm",
    "_tkinter",
    "_uuid",
    "nis",
    "readline",
)
"""Modules that the service never imports and that would need further libraries."""

COMPILER = """\
#!/bin/sh
link=-pie
for argument in "$@"; do
    case $argument in -c | -E | -S | -shared | -r) link= ;; esac
done
exec {zig} cc -target {machine}-linux-musl -dynamic -fPIC $link \\
    -Wl,--dynamic-linker={loader} -ffile-prefix-map={directory}=. -Wno-error=date-time "$@"
"""
"""No file names the directory it was compiled in. Programs are independent of their position: zig's
stub of musl would have those that are not use a copy of ``environ`` that musl never sets.
"""

NATIVE_PYTHON = """\
#!/bin/sh
exec {base}/lib/toolbox --library-path {base}/lib --argv0 {base}/bin/python3 -- \\
    {base}/lib/python "$@"
"""
"""Python as the build of another machine's needs it: with PYTHON* variables."""

FFI_MACHINES = {
    "x86_64": ("X86_64", "x86", ("ffi64.c", "ffiw64.c", "unix64.S", "win64.S")),
    "aarch64": ("AARCH64", "aarch64", ("ffi.c", "sysv.S")),
}
FFI_SOURCES = (
    "prep_cif.c",
    "types.c",
    "raw_api.c",
    "java_raw_api.c",
    "closures.c",
    "tramp.c",
)
FFI_CONFIGURATION = """\
#define EH_FRAME_FLAGS "a"
#define FFI_EXEC_STATIC_TRAMP 1
#define HAVE_ALLOCA_H 1
#define HAVE_AS_CFI_PSEUDO_OP 1
#define HAVE_AS_X86_64_UNWIND_SECTION_TYPE 1
#define HAVE_AS_X86_PCREL 1
#define HAVE_HIDDEN_VISIBILITY_ATTRIBUTE 1
#define HAVE_LONG_DOUBLE 1
#define HAVE_MEMCPY 1
#define HAVE_MEMFD_CREATE 1
#define HAVE_MKOSTEMP 1
#define HAVE_MMAP 1
#define HAVE_MMAP_ANON 1
#define HAVE_RO_EH_FRAME 1
#define SIZEOF_DOUBLE 8
#define SIZEOF_LONG_DOUBLE 16
#define SIZEOF_SIZE_T 8
#define STDC_HEADERS 1
#ifdef LIBFFI_ASM
#define FFI_HIDDEN(name) .hidden name
#else
#define FFI_HIDDEN __attribute__ ((visibility ("hidden")))
#endif
"""
"""libffi's configuration for Linux on either machine: its configure is not in Debian's source."""
