"""Files and watched directories, as a backend offers them."""

from __future__ import annotations

from typing import Protocol

from toolbox_e2b.engines import FilesEngine
from toolbox_e2b.filesystem.watchers import Watchers


class HasFiles(Protocol):
    """The part of a backend that the operations on files need."""

    @property
    def files(self) -> FilesEngine:
        """The backend of the group ``files``. Raises NotSupported."""

    @property
    def watchers(self) -> Watchers:
        """The watched directories."""
