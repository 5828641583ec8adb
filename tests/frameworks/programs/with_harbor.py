"""Harbor's environment on Daytona, as a trial uses it: no model, no build of an image."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from harbor.environments.daytona import DaytonaEnvironment
from harbor.models.task.config import EnvironmentConfig
from harbor.models.trial.paths import TrialPaths


def environment(directory: Path, name: str, **options: Any) -> DaytonaEnvironment:
    definition = directory / name
    definition.mkdir()
    trial_paths = TrialPaths(directory / f"{name}-trial")
    trial_paths.mkdir()
    return DaytonaEnvironment(
        environment_dir=definition,
        environment_name=name,
        session_id=f"{name}__1",
        trial_paths=trial_paths,
        task_env_config=EnvironmentConfig(docker_image="python:3.12-slim", workdir="/tmp/app"),
        **options,
    )


async def work(trial: DaytonaEnvironment, directory: Path) -> dict[str, Any]:
    done = await trial.exec("pwd; echo $A; echo bad >&2; exit 3", cwd="/tmp/app", env={"A": "b c"})
    late = await trial.exec("sleep 1000", timeout_sec=1)
    sent = directory / "sent"
    (sent / "below").mkdir(parents=True)
    (sent / "below" / "a.bin").write_bytes(bytes(range(256)))
    await trial.upload_dir(sent, "/tmp/app/sent")
    await trial.upload_file(sent / "below" / "a.bin", "/tmp/app/b.bin")
    await trial.download_dir("/tmp/app/sent", directory / "back")
    await trial.download_file("/tmp/app/b.bin", directory / "b.bin")
    return {
        "exec": [done.stdout, done.stderr, done.return_code],
        "late": late.return_code,
        "files": (directory / "back/below/a.bin").read_bytes()
        == (directory / "b.bin").read_bytes()
        == bytes(range(256)),
        "kinds": [await trial.is_dir("/tmp/app/sent"), await trial.is_file("/tmp/app/b.bin")],
    }


async def main() -> dict[str, Any]:
    directory = Path.cwd()
    # Names of images, and directories of its own in / as /logs, are not to be had.
    trial = environment(
        directory, "small", snapshot_template_name="daytona-{name}", assume_global_snapshot=True
    )
    await trial.start(force_build=False)
    try:
        results = await work(trial, directory)
        results["labels"] = sorted(trial._sandbox.labels)
    finally:
        await trial.stop(delete=True)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())), file=sys.stdout)
