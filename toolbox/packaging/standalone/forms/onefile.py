"""A tree as a program that unpacks itself, once: unpack.c, the tree as .tar.xz, a trailer."""

from __future__ import annotations

import hashlib
import lzma
import struct
import tarfile
import tempfile
from pathlib import Path

from toolbox.packaging.standalone.forms.archive import add_tree
from toolbox.packaging.standalone.static import make_program

SOURCE = Path(__file__).with_name("unpack.c")

TRAILER = struct.Struct("<8sQQQQ40s")
"""As in unpack.c: a mark, where the archive begins and its size, how many files are in it and their
bytes, its digest.
"""


def write_program(tree: Path, target: Path, base: Path, machine: str) -> None:
    """Write ``tree`` as a program for ``machine``. Raises SettingsError."""
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".toolbox-") as name:
        work = Path(name) / "program"
        make_program(SOURCE, work, base / "static", machine, "liblzma.a")
        offset = work.stat().st_size
        with (
            work.open("ab") as file,
            lzma.open(file, "wb", preset=9) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
        ):
            add_tree(archive, tree)
        data = work.read_bytes()
        digest = hashlib.sha256(data).hexdigest()[:40].encode()
        sizes = [path.stat().st_size for path in tree.rglob("*") if _is_regular(path)]
        archive_size = len(data) - offset
        with work.open("ab") as file:
            file.write(
                TRAILER.pack(b"TOOLBOX\n", offset, archive_size, len(sizes), sum(sizes), digest)
            )
        work.chmod(0o755)
        work.replace(target)


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
