"""Fixtures for tests on a cluster."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pytest

from . import programs
from .cluster import Cluster
from .cluster import running_cluster

PACKAGES = {"etcd": "etcd-server", "bwrap": "bubblewrap", "openssl": "openssl"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that all tests of a worker share; each module has a namespace of its own."""
    missing = sorted(PACKAGES[name] for name in PACKAGES if shutil.which(name) is None)
    if missing:
        skip(f"not installed (packages of Debian): {', '.join(missing)}")
    if not programs.are_built():
        skip("the programs aren't built: python tests/cluster/programs.py")
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for a module's tests; it has no sandboxes and no pods in the end."""
    name = cluster.namespace(request.module.__name__.rpartition(".")[2])
    yield name
    cluster.clear(name)


def skip(reason: str) -> NoReturn:
    """Skip where somebody works on the project; nothing is skipped where it is integrated."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
