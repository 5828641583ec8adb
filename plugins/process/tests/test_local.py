"""The backend ``local`` fulfils the contract of the group."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from toolbox_process.backend import ProcessBackend
from toolbox_process.contract import ProcessContract
from toolbox_process.local import LocalProcess
from toolbox_process.settings import LocalSettings
from toolbox_process.settings import ProcessSettings

from toolbox.auth import Auth
from toolbox.lifecycle import Context
from toolbox.loop import Loop


class TestLocalProcess(ProcessContract):
    @pytest.fixture
    def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessBackend]:
        monkeypatch.setenv("HOME", str(tmp_path))
        loop = Loop()
        loop.start()
        with ThreadPoolExecutor(8) as pool:
            context = Context(ProcessSettings(), loop, pool, tmp_path, Auth("none"))
            backend = LocalProcess(LocalSettings(), context)
            yield backend
            backend.close()
        loop.stop()
