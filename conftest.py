"""Fixtures for every test of the repository, the plugins' too."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Generator
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings

pytest_plugins = ["toolbox.testing"]

# A busy machine may take long for an example. The examples are the same in every run, so that a
# change is not blamed for what chance has found; ``--hypothesis-profile=explore`` looks for others.
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same")

_FAILED = pytest.StashKey[bool]()

_STDERR = pytest.StashKey[int]()
"""The runner's own standard error: that of a test is captured."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything a test needs is there, so a test that is skipped has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    if report.failed:
        # It left open what its last lines would have closed, which the garbage collector finds
        # during another test, or the same one's second run.
        line = "ignore::pytest.PytestUnraisableExceptionWarning"
        item.config.addinivalue_line("filterwarnings", line)
        item.stash[_FAILED] = True
    return report


# pytest-timeout watches a test up to its first exception: what fixtures wait for after that, or the
# interpreter at its end, could take for ever. Here the process ends then, with the stacks of its
# threads; xdist reports the test as failed, and another worker runs the others.


@contextlib.contextmanager
def _watched(config: pytest.Config, timeout: float | None = None) -> Iterator[None]:
    _watch(config, timeout)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _watch(config: pytest.Config, timeout: float | None = None) -> None:
    """End this process unless it is done in twice the time that a test may take."""
    seconds = timeout or config.getoption("timeout") or float(config.getini("timeout") or 0)
    if seconds and config.getoption("usepdb") is not True:
        faulthandler.dump_traceback_later(2 * seconds, exit=True, file=config.stash[_STDERR])


def _timeout(item: pytest.Item) -> float | None:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else None


def pytest_configure(config: pytest.Config) -> None:
    """Keep standard error for the watch, and start programs as a service does."""
    # Never closed: it is needed until the very end of the process.
    config.stash[_STDERR] = os.dup(2)
    # What runs in the background of a script, or by nohup, ignores signals, and so do all programs
    # it starts, unless it handles them (execve(2)). A service's workers reset them.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Watch the import of the tests."""
    with _watched(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Watch the start of fixtures."""
    with _watched(item.config, _timeout(item)):
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Watch the test."""
    with _watched(item.config, _timeout(item)):
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Watch the end of fixtures, which pytest-timeout does only if nothing has failed."""
    with _watched(item.config, _timeout(item)):
        try:
            if item.stash.get(_FAILED, False):
                # Its service may be in any state: its second run and other tests get fixtures of
                # their own. Like this pytest itself ends all that are left.
                item.session._setupstate.teardown_exact(None)  # noqa: SLF001
        finally:
            yield


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Watch the rest, until the interpreter has ended: its threads, what is done at exit."""
    _watch(session.config)
