"""SWE-ReX's remote runtime, and mini-swe-agent's environment with a scripted model on it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.extra.swerex_docker import SwerexDockerEnvironment
from minisweagent.environments.extra.swerex_docker import SwerexDockerEnvironmentConfig
from minisweagent.models.test_models import DeterministicModel
from minisweagent.models.test_models import make_output
from swerex.deployment.remote import RemoteDeployment
from swerex.runtime.abstract import BashAction
from swerex.runtime.abstract import BashInterruptAction
from swerex.runtime.abstract import CloseBashSessionRequest
from swerex.runtime.abstract import Command
from swerex.runtime.abstract import CreateBashSessionRequest
from swerex.runtime.abstract import ReadFileRequest
from swerex.runtime.abstract import UploadRequest
from swerex.runtime.abstract import WriteFileRequest
from swerex.runtime.remote import RemoteRuntime

PORT = int(os.environ["RUNTIME_PORT"])
TOKEN = os.environ["RUNTIME_TOKEN"]


async def raised(awaitable: Any) -> list[str]:
    """Return the class of what it raises, and the names that come with it."""
    try:
        await awaitable
    except Exception as error:
        return [type(error).__name__, *getattr(error, "extra_info", {})]
    return ["nothing"]


async def runtime() -> dict[str, Any]:
    on = RemoteRuntime(host="http://127.0.0.1", port=PORT, auth_token=TOKEN)
    stranger = RemoteRuntime(host="http://127.0.0.1", port=PORT, auth_token="wrong")
    found: dict[str, Any] = {
        "alive": [bool(await on.is_alive()), bool(await stranger.is_alive())],
        "stranger": await raised(stranger.execute(Command(command="true", shell=True))),
    }
    found["execute"] = await executing(on)
    found["session"] = await in_session(on)
    found["files"] = await files(on)
    await on.close()
    found["closed"] = await raised(on.run_in_session(BashAction(command="true")))
    return found


async def executing(on: RemoteRuntime) -> list[Any]:
    commands = [
        Command(command=["printf", "%s|", "a b", "$HOME"]),
        Command(command="echo out; echo err >&2; exit 4", shell=True),
        Command(command="echo out; echo err >&2", shell=True, merge_output_streams=True),
        Command(command="pwd; env", shell=True, env={"A": "1 2"}, cwd="/usr"),
    ]
    results: list[Any] = [(await on.execute(command)).model_dump() for command in commands]
    for command in (
        Command(command="sleep 600", shell=True, timeout=0.3),
        Command(command=["false"], check=True, error_msg="sorry"),
        Command(command=["no-such-program-at-all"]),
        Command(command=["true"], cwd="/no/such/directory"),
    ):
        results.append(await raised(on.execute(command)))
    return results


async def in_session(on: RemoteRuntime) -> dict[str, Any]:
    async def run(command: str, **options: Any) -> Any:
        action = BashAction(command=command, **{"timeout": 60, **options})
        return (await on.run_in_session(action)).model_dump()

    Path("startup.sh").write_text("echo sourced; export STARTED=yes; PS1='mine> '\n")
    source = [str(Path("startup.sh").resolve())]
    request = CreateBashSessionRequest(startup_source=source, startup_timeout=60)
    found: dict[str, Any] = {"start": (await on.create_session(request)).output}
    found["again"] = await raised(on.create_session(request))
    await run("cd /usr; x=$((6*7))")
    found["state"] = await run("pwd; echo $x $STARTED\n\ncat <<E\nhere\nE")
    found["silent"] = await run("(exit 9)", check="silent")
    found["ignored"] = await run("false", check="ignore")
    found["failed"] = await raised(run("false"))
    found["syntax"] = await raised(run("(a"))
    found["none"] = await raised(run("true", session="other"))
    found["long"] = len((await run(f"printf '%s' {'x' * 200_000}"))["output"])
    found["slow"] = await raised(run("sleep 600", timeout=0.3))
    await on.run_in_session(BashInterruptAction())
    found["after"] = await run("echo again")
    program = "import sys\nwhile True:\n print('? ', end='', flush=True)\n if input() == 'q': break"
    await on.write_file(WriteFileRequest(path="/tmp/swerex-asks.py", content=program))
    asking = await run("python3 /tmp/swerex-asks.py", is_interactive_command=True, expect=[r"\? "])
    found["asking"] = asking["expect_string"]
    found["quit"] = (await run("q", is_interactive_quit=True))["exit_code"]
    found["sane"] = await run("echo sane")
    found["exit"] = await raised(run("exit 3"))
    found["gone"] = await raised(on.close_session(CloseBashSessionRequest()))
    return found


async def files(on: RemoteRuntime) -> dict[str, Any]:
    base = Path("uploads").resolve()
    source = base / "source"
    (source / "below").mkdir(parents=True)
    (source / "one.txt").write_text("one")
    (source / "below" / "two.txt").write_bytes(b"two \xff")
    target = base / "target"
    await on.upload(UploadRequest(source_path=str(source), target_path=str(target / "tree")))
    one = UploadRequest(source_path=str(source / "one.txt"), target_path=str(target / "one.txt"))
    await on.upload(one)

    async def read(path: Path, **options: Any) -> str:
        return (await on.read_file(ReadFileRequest(path=str(path), **options))).content

    two = target / "tree" / "below" / "two.txt"
    return {
        "texts": [await read(target / "one.txt"), await read(two, errors="replace")],
        "latin": await read(two, encoding="latin-1"),
        "missing": await raised(read(base / "none")),
        "binary": await raised(read(two)),
    }


class RemoteEnvironment(SwerexDockerEnvironment):
    """mini-swe-agent's environment, in a runtime that is there already."""

    def __init__(self, **options: Any) -> None:
        self.config = SwerexDockerEnvironmentConfig(image="none", **options)
        self.deployment = RemoteDeployment(port=PORT, auth_token=TOKEN)
        asyncio.run(self.deployment.start())


def agent() -> dict[str, Any]:
    commands = [
        "mkdir -p /tmp/swerex-agent && echo 'def f(): return 41' > /tmp/swerex-agent/f.py",
        "cd /tmp/swerex-agent && sed -i s/41/42/ f.py && python3 -c 'import f; print(f.f())'",
        "no-such-command",
        "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; cat /tmp/swerex-agent/f.py",
    ]
    outputs = [make_output("", [{"command": command}], cost=0.0) for command in commands]
    run = DefaultAgent(
        DeterministicModel(outputs=outputs, cost_per_call=0.0),
        RemoteEnvironment(cwd="/tmp"),
        system_template="You are an agent.",
        instance_template="{{task}}",
    )
    result = run.run("Make f return 42.")
    said = [message["content"] for message in run.messages if "<returncode>" in str(message)]
    return {"result": result, "observations": said}


# The client writes the names of exceptions to standard output.
with contextlib.redirect_stdout(io.StringIO()):
    shown = {"runtime": asyncio.run(runtime()), "agent": agent()}
print(json.dumps(shown))
