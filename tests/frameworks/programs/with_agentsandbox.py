"""The client of kubernetes-sigs/agent-sandbox: both of its runtimes, sync and async."""

from __future__ import annotations

import asyncio
import io
import json
import os
from typing import Any

from k8s_agent_sandbox.async_connector import AsyncSandboxConnector
from k8s_agent_sandbox.commands.async_command_executor import AsyncCommandExecutor
from k8s_agent_sandbox.commands.command_executor import CommandExecutor
from k8s_agent_sandbox.connector import SandboxConnector
from k8s_agent_sandbox.exceptions import SandboxRequestError
from k8s_agent_sandbox.files.filesystem import Filesystem
from k8s_agent_sandbox.models import SandboxdInClusterConnectionConfig
from k8s_agent_sandbox.models import SandboxDirectConnectionConfig

URL = os.environ["RUNTIME_URL"]
PORT = int(os.environ["RUNTIME_PORT"])
AUTH = {"Authorization": f"Bearer {os.environ['RUNTIME_TOKEN']}"}


def connector(config: Any, **options: Any) -> SandboxConnector:
    return SandboxConnector(
        sandbox_id="any", namespace="default", connection_config=config, k8s_helper=None, **options
    )


def status_of(call: Any, *arguments: Any, **options: Any) -> int | None:
    try:
        call(*arguments, **options)
    except SandboxRequestError as error:
        return error.status_code
    return None


def python_runtime() -> dict[str, Any]:
    link = connector(SandboxDirectConnectionConfig(api_url=URL, extra_headers=AUTH))
    commands, files = CommandExecutor(link, None, ""), Filesystem(link, None, "")
    data = bytes(range(256)) * 5000
    files.write("deep/er/data.bin", data)
    files.write("streamed \u00e4.txt", io.BytesIO(b"from a stream"))
    sink = io.BytesIO()
    found = {
        "run": commands.run("echo out; echo err >&2; exit 5").model_dump(),
        "slow": commands.run("echo begun; sleep 600", command_timeout=0.3).model_dump(),
        "read": files.read("deep/er/data.bin") == data,
        "streamed": files.read("streamed \u00e4.txt").decode(),
        "read_to": files.read_to("deep/er/data.bin", sink),
        "list": [(one.name, one.type, one.size) for one in files.list("deep/er")],
        "year": files.list("deep")[0].modified.year,
        "exists": [files.exists("deep"), files.exists("shallow")],
        "missing": status_of(files.read, "missing"),
        "outside": status_of(files.list, "../.."),
    }
    link.close()
    stranger = connector(SandboxDirectConnectionConfig(api_url=URL))
    found["stranger"] = status_of(CommandExecutor(stranger, None, "").run, "true")
    stranger.close()
    return found


def sandboxd() -> dict[str, Any]:
    config = SandboxdInClusterConnectionConfig(mode="in-cluster-pod-ip", rest_port=PORT)
    link = connector(config, get_pod_ip=lambda: "127.0.0.1")
    # No setting of this mode has a header.
    link.session.headers.update(AUTH)
    link._no_retry_session.headers.update(AUTH)
    files = Filesystem(link, None, "")
    files.write("kep/one.txt", "one")
    files.write("kep/two.txt", io.BytesIO(b"two"))
    entries = files.list("kep")
    found = {
        "read": files.read("kep/one.txt").decode(),
        "list": [(one.name, one.type, one.size, one.mode) for one in entries],
        "root": "kep" in [one.name for one in files.list("")],
        "exists": [files.exists("kep/one.txt"), files.exists("kep/three.txt"), files.exists("kep")],
        "full": status_of(files.delete, "kep"),
        "outside": status_of(files.read, "../../etc/passwd", allow_unsafe_paths=True),
    }
    files.delete("kep/one.txt")
    found["deleted"] = files.exists("kep/one.txt")
    files.delete("kep", recursive=True)
    found["tree"] = files.exists("kep")
    link.close()
    return found


async def asynchronous() -> dict[str, Any]:
    link = AsyncSandboxConnector(
        sandbox_id="any",
        namespace="default",
        connection_config=SandboxDirectConnectionConfig(api_url=URL, extra_headers=AUTH),
        k8s_helper=None,
    )
    result = await AsyncCommandExecutor(link, None, "").run("echo async")
    await link.close()
    return result.model_dump()


shown = {"python": python_runtime(), "sandboxd": sandboxd(), "async": asyncio.run(asynchronous())}
print(json.dumps(shown))
