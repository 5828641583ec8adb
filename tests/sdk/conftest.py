"""The unmodified official SDKs, Python and TypeScript, on a running service.

No control plane is needed: the plugin ``fleet`` answers what the SDKs ask of one.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import shutil
import subprocess
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NoReturn

import pytest
from daytona import AsyncDaytona
from daytona import AsyncSandbox
from daytona import Daytona
from daytona import DaytonaConfig
from daytona import Sandbox
from httpx_ws import WebSocketSession

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

TYPESCRIPT_SDK = "0.216.0"
SCRIPT = """
import * as sdk from '@daytona/sdk'
const { url, token, input } = JSON.parse(process.env.TOOLBOX_TEST)
const daytona = new sdk.Daytona({ apiKey: token, apiUrl: `${url}/api`, target: 'local' })
const sandbox = await daytona.get('any-id')
const answer = await (async () => { %s })()
process.stdout.write(JSON.stringify(answer ?? null))
"""

JavaScript = Callable[..., Any]


class Late(queue.Empty, TimeoutError):
    """What httpx-ws raises when nothing has come in time, and what the SDK takes that for."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sync SDK wait for a terminal's first word as it means to.

    It gives its own thread 100 ms to hand that on, which is too little on a machine that other
    tests fill, and goes on to wait only for a TimeoutError. That the word comes with the handshake
    is tested where the terminals are.
    """
    receive = WebSocketSession.receive

    def wait(self: WebSocketSession, timeout: float | None = None) -> Any:
        try:
            return receive(self, timeout)
        except queue.Empty:
            raise Late from None

    monkeypatch.setattr(WebSocketSession, "receive", wait)


def config(service: Service, token: str = TOKEN) -> DaytonaConfig:
    """How an SDK is pointed at a service."""
    return DaytonaConfig(api_key=token, api_url=f"{service.url}/api", target="local")


@pytest.fixture
def make_daytona(service: Service) -> Iterator[Callable[..., Daytona]]:
    """Make clients of the sync SDK: ``make_daytona(token=...)``."""
    made: list[Daytona] = []

    def make(token: str = TOKEN) -> Daytona:
        made.append(Daytona(config(service, token)))
        return made[-1]

    yield make
    for each in made:
        # The sync client has no close(): left alone it holds its socket until the process ends,
        # and it can't be disconnected while it connects.
        dispatcher = each._event_dispatcher
        assert dispatcher is not None and dispatcher._bg_thread is not None
        dispatcher._bg_thread.join(DEADLINE)
        dispatcher.disconnect()


@pytest.fixture
def sandbox(make_daytona: Callable[..., Daytona]) -> Sandbox:
    """The sandbox of the sync SDK."""
    return make_daytona().get("any-id")


@pytest.fixture
def anyio_backend() -> str:
    """What runs the tests that are marked ``anyio``, which are coroutines."""
    return "asyncio"


@pytest.fixture
async def async_sandbox(service: Service) -> AsyncIterator[AsyncSandbox]:
    """The sandbox of the async SDK."""
    async with AsyncDaytona(config(service)) as daytona:
        yield await daytona.get("any-id")


@pytest.fixture
def javascript(service: Service, typescript_sdk: Path) -> JavaScript:
    """Run the TypeScript SDK: ``javascript(body, input=..., token=...)``.

    ``body`` is the body of an async function with ``sandbox``, ``sdk`` and ``input``; what it
    returns is returned, by way of JSON. It fails if anything is written to standard error, or if
    something keeps the process alive when the function is done.
    """

    def run(body: str, *, input: Any = None, token: str = TOKEN) -> Any:
        given = json.dumps({"url": service.url, "token": token, "input": input})
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", SCRIPT % body],
            cwd=typescript_sdk,
            env={**os.environ, "TOOLBOX_TEST": given},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def typescript_sdk(pytestconfig: pytest.Config) -> Path:
    """A directory in which node finds ``@daytona/sdk``, made once and kept in pytest's cache."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"{program} is not installed (Debian and Ubuntu: packages nodejs and npm)")
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir(f"daytona-sdk-{TYPESCRIPT_SDK}")
    with (directory / "lock").open("w") as lock:
        # Several test runs may share the cache.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "installed").exists():
            install(directory)
            (directory / "installed").touch()
    return directory


def install(directory: Path) -> None:
    """Install the SDK, and nothing that would run code while it is installed."""
    dependencies = {"dependencies": {"@daytona/sdk": TYPESCRIPT_SDK}, "private": True}
    (directory / "package.json").write_text(json.dumps(dependencies))
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    if done.returncode:
        skip(f"npm can't install @daytona/sdk {TYPESCRIPT_SDK}: {done.stderr.strip()}")


def skip(reason: str) -> NoReturn:
    """Skip where somebody works on the project; nothing is skipped where it is integrated."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
