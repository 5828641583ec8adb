"""A plugin of the tests' own that starts a real child, so that what children inherit is seen."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

CHILD = '''
from __future__ import annotations

import subprocess

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec
from toolbox.processes import popen

group = Group("child", backend=object, default_backend="real")


class Child:
    def __init__(self, settings, context):
        pass


@group.get("/child/env")
def child_env(backend: Child) -> dict[str, str]:
    """Tell the environment of a child."""
    with popen(["env", "-0"], stdout=subprocess.PIPE) as process:
        output = process.communicate()[0].decode()
    return dict(line.split("=", 1) for line in output.split("\\0") if line)


@group.get("/child/signed", signed=True)
def child_signed(backend: Child) -> None:
    """Do nothing, for whoever has a signed URL."""


@hookimpl
def toolbox_group():
    return group


@hookimpl
def toolbox_backends():
    return [BackendSpec(group="child", name="real", target="child_plugin:Child")]
'''


def install_child(directory: Path) -> dict[str, str]:
    """Install the plugin into ``directory``; the environment in which a service finds it."""
    info = directory / "child_plugin-1.dist-info"
    info.mkdir()
    (directory / "child_plugin.py").write_text(CHILD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: child-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[toolbox.plugins]\nchild = child_plugin\n")
    return {"PYTHONPATH": str(directory)}


@pytest.fixture
def make(make_service: Callable[..., Service], tmp_path: Path) -> Callable[..., Service]:
    """``make_service`` with the operation ``GET /child/env``."""
    found = install_child(tmp_path)

    def start(*arguments: str, **options: Any) -> Service:
        env = {**(options.pop("env", None) or {}), **found}
        return make_service(*arguments, env=env, **options)

    return start


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service with the operation ``GET /child/env`` for all tests of a module."""
    directory = tmp_path_factory.mktemp("service")
    running = Service(directory, env=install_child(tmp_path_factory.mktemp("site")))
    try:
        yield running
    finally:
        running.stop()
