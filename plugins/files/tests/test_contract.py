from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from toolbox_files.backend import FilesBackend
from toolbox_files.contract import FilesContract
from toolbox_files.local import LocalFiles
from toolbox_files.settings import LocalSettings

from toolbox.auth import Auth
from toolbox.lifecycle import Context
from toolbox.loop import Loop


class TestLocalFiles(FilesContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[FilesBackend]:
        loop = Loop()
        loop.start()
        with ThreadPoolExecutor(1) as pool:
            yield LocalFiles(LocalSettings(), Context(None, loop, pool, tmp_path, Auth("none")))
        loop.stop()
