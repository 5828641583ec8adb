"""A toy: tells how much memory is in use, once all that can be given back has been."""

from __future__ import annotations

import ctypes
import gc
import tempfile
from pathlib import Path

import msgspec

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


class Weight(msgspec.Struct):
    objects: int
    memory: int
    heaps: int


class Scales:
    def __init__(self, settings: object, context: object) -> None:
        self.library = ctypes.CDLL(None)
        self.library.fopen.restype = ctypes.c_void_p
        self.library.fclose.argtypes = [ctypes.c_void_p]
        self.library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]

    def heaps(self) -> int:
        """Those that glibc has made for threads; malloc_info(3) writes XML."""
        with tempfile.NamedTemporaryFile() as file:
            stream = self.library.fopen(file.name.encode(), b"w")
            self.library.malloc_info(0, stream)
            self.library.fclose(stream)
            return file.read().count(b"<heap ")


group = Group("weigher", backend=Scales, default_backend="scales", summary="Memory")


@group.get("/weigh")
def weigh(scales: Scales) -> Weight:
    """Count objects, and bytes of memory that no file stands behind."""
    gc.collect()
    scales.library.malloc_trim(0)
    (line,) = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("RssAnon:")
    ]
    return Weight(len(gc.get_objects()), int(line.split()[1]) * 1024, scales.heaps())


@hookimpl
def toolbox_group() -> Group:
    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [BackendSpec(group="weigher", name="scales", target="weigher:Scales")]
