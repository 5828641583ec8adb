"""Variables that must not reach what runs before a program, with more rights than that has."""

from __future__ import annotations

import shutil
from dataclasses import replace

from toolbox_process.engine.launcher import Program

UNSAFE = frozenset(
    {"GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "MALLOC_TRACE", "MUSL_LOCPATH", "NLSPATH"}
)
"""Variables that name code to load or files to write, for which reason C libraries ignore them in
programs with the set-user-ID bit, as all that begin with ``LD_`` (ld.so(8), "Secure-execution
mode").
"""


def delay_unsafe(program: Program) -> Program:
    """Return ``program`` with such variables set by env(1), which runs as it does.

    setpriv and bwrap begin as the service: a library that a job has put where ``LD_LIBRARY_PATH``
    leads would be run with all its rights.
    """
    unsafe = {
        name: value
        for name, value in program.environment.items()
        if name in UNSAFE or name.startswith("LD_")
    }
    if not unsafe:
        return program
    kept = {name: value for name, value in program.environment.items() if name not in unsafe}
    setting = (shutil.which("env") or "env", "--", *(f"{name}={unsafe[name]}" for name in unsafe))
    return replace(program, arguments=(*setting, *program.arguments), environment=kept)
