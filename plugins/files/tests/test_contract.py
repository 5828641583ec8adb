from __future__ import annotations

from collections.abc import Callable

import pytest
from toolbox_files.backend import FilesBackend
from toolbox_files.contract import FilesContract
from toolbox_files.local import LocalFiles
from toolbox_files.settings import LocalSettings


class TestLocalFiles(FilesContract):
    @pytest.fixture
    def backend(self, make_backend: Callable[..., FilesBackend]) -> FilesBackend:
        return make_backend(LocalFiles, LocalSettings())
