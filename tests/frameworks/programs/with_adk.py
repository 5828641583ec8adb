"""Google's ADK with the plugin and the tools of daytona-adk, called as an agent calls them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from daytona_adk import DaytonaPlugin


async def main() -> dict[str, Any]:
    plugin = DaytonaPlugin(labels={"framework": "adk"}, env_vars={"WORD": "given"})
    tools = {tool.name: tool for tool in plugin.get_tools()}

    async def call(name: str, **arguments: Any) -> Any:
        return await tools[name].run_async(args=arguments, tool_context=None)

    name = plugin._sandbox.id
    uploaded = await call("upload_file_to_daytona", file_path="/tmp/adk/a.txt", content="hällo\n")
    results = {
        "id": name,
        "python": await call(
            "execute_code_in_daytona",
            code="import os, sys; print(sys.argv[1:], os.environ['WORD'])",
            argv=["a b"],
        ),
        "javascript": await call(
            "execute_code_in_daytona", code="console.log(6 * 7)", language="javascript"
        ),
        "command": await call("execute_command_in_daytona", command="pwd; exit 3", cwd="/usr"),
        "uploaded": uploaded,
        "read": await call("read_file_from_daytona", file_path="/tmp/adk/a.txt"),
        "missing": await call("read_file_from_daytona", file_path="/tmp/adk/none"),
        # It asks for runAsync by a name that its SDK drops, so it waits for the command's end.
        "long": await call("start_long_running_command_daytona", command="echo done"),
        "tools": sorted(tools),
    }
    await plugin.close()
    return results


if __name__ == "__main__":
    # It logs the error of the missing file as it should.
    logging.disable(logging.CRITICAL)
    print(json.dumps(asyncio.run(main())))
