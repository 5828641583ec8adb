"""Toy plugins, installed for one service at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.sockets.loop import Loop
from toolbox.testing import Service

TOYS = Path(__file__).parent / "plugins"

MakeService = Callable[..., Service]


class Site:
    """A directory of installed distributions, to be put on PYTHONPATH."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, module: str, name: str | None = None, distribution: str | None = None) -> None:
        """Install a module of ``tests/plugins`` as the plugin ``name``."""
        shutil.copy(TOYS / f"{module}.py", self.directory)
        self.register(module, name or module, distribution or f"toy-{name or module}")

    def register(self, module: str, name: str, distribution: str, former: str = "") -> None:
        """Write what pip leaves behind: metadata and the entry points."""
        info = self.directory / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        renamed = f"[toolbox.former_names]\n{former}\n" if former else ""
        (info / "entry_points.txt").write_text(f"[toolbox.plugins]\n{name} = {module}\n{renamed}")

    @property
    def env(self) -> dict[str, str]:
        """The environment in which it is found."""
        return {"PYTHONPATH": str(self.directory)}


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def toy_service(site: Site, make_service: MakeService) -> Callable[..., Service]:
    """Start a service with toys: ``toy_service("greeter", "loud", settings=...)``."""

    def make(*toys: str, arguments: tuple[str, ...] = (), **options: Any) -> Service:
        for toy in toys:
            site.add(toy)
        env = {**site.env, **options.pop("env", {})}
        return make_service(*arguments, env=env, **options)

    return make


@pytest.fixture(scope="module")
def toy_site(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    """Install toys for a service that a module's tests share: ``toy_site("greeter", "loud")``."""

    def make(*toys: str) -> Site:
        site = Site(tmp_path_factory.mktemp("site"))
        for toy in toys:
            site.add(toy)
        return site

    return make


@pytest.fixture(scope="module")
def toys(
    tmp_path_factory: pytest.TempPathFactory, toy_site: Callable[..., Site]
) -> Iterator[Service]:
    """A service with the toys that do no harm, shared by a module's tests."""
    site = toy_site("greeter", "faulty", "sockets")
    running = Service(tmp_path_factory.mktemp("service"), env=site.env)
    try:
        yield running
    finally:
        running.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sizes that tests of packages have recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "size":
                terminalreporter.write_line(str(value))
