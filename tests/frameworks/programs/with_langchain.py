"""The standard tests that langchain has for sandboxes, through its provider."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest
from daytona import CreateSandboxFromSnapshotParams
from daytona import Daytona
from deepagents.backends.protocol import SandboxBackendProtocol
from langchain_daytona import DaytonaSandbox
from langchain_tests.integration_tests import SandboxIntegrationTests


class TestStandard(SandboxIntegrationTests):
    @pytest.fixture(scope="class")
    def sandbox(self) -> Iterator[SandboxBackendProtocol]:
        # They run "python", which a machine may have under another name only.
        path = f"{sys.prefix}/bin:{os.environ['PATH']}"
        made = Daytona().create(CreateSandboxFromSnapshotParams(env_vars={"PATH": path}))
        yield DaytonaSandbox(sandbox=made, sync_polling_interval=0.02)
        made.delete(wait=True)


class Outcomes:
    """Counts outcomes, and keeps the names of the tests that didn't pass."""

    def __init__(self) -> None:
        self.passed = 0
        self.others: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed += 1
        elif not report.passed:
            self.others[report.nodeid.rpartition("::")[2]] = report.longreprtext


if __name__ == "__main__":
    outcomes = Outcomes()
    # Without their plugin the coroutines among the tests would be skipped. The settings of the
    # project's own tests are not theirs.
    options = ["-c", os.devnull, "--noconftest", "-p", "no:cacheprovider"]
    options += ["-q", "--tb=short", "-o", "asyncio_mode=auto"]
    pytest.main([*options, __file__], plugins=[outcomes])
    print(file=sys.stdout)
    print(json.dumps({"passed": outcomes.passed, "others": outcomes.others}))
