"""Fixtures for the tests of what every job stands on: no service, milliseconds each."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from typing import Any

import pytest

from toolbox.sockets.loop import Loop
from toolbox.testing import DEADLINE

On = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    running.start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def no_callback_failed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail after an error in a callback of the loop, which only logs it."""
    yield
    assert [record.exc_text for record in caplog.records if record.exc_info] == []


@pytest.fixture
def on(loop: Loop) -> On:
    """Call a function on the loop, and return its result or raise its error."""

    def call(function: Callable[[], Any]) -> Any:
        done = threading.Event()
        result: list[Any] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                result.append(function())
            except BaseException as error:
                errors.append(error)
            done.set()

        loop.call_soon(run)
        assert done.wait(DEADLINE)
        if errors:
            raise errors[0]
        return result[0]

    return call


@pytest.fixture
def file_size_limit() -> Callable[[int], AbstractContextManager[None]]:
    """Limit the size of files: writing beyond is cut short, then fails (EFBIG, setrlimit(2))."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
