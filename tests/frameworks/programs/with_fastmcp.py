"""The client of fastmcp: what its calls return, as JSON."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError

HEADERS = {"Authorization": f"Bearer {os.environ['DAYTONA_API_KEY']}"}


async def main() -> None:
    transport = StreamableHttpTransport(os.environ["MCP_URL"], headers=HEADERS)
    async with Client(transport) as client:
        found: dict[str, Any] = {"tools": [tool.name for tool in await client.list_tools()]}
        await client.call_tool("write_file", {"path": "fast.txt", "content": "fast"})
        read = await client.call_tool("read_text_file", {"path": "fast.txt"})
        found["read"] = read.content[0].text
        # It makes objects of structured results, by the tool's schema.
        run = await client.call_tool("run_command", {"command": "echo out; exit 4"})
        found["run"] = [run.data.exitCode, run.data.output]
        try:
            await client.call_tool("read_text_file", {"path": "missing"})
        except ToolError as error:
            found["error"] = str(error)
    print(json.dumps(found))


asyncio.run(main())
