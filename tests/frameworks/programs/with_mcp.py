"""The package mcp in both revisions: what it is offered, and what its calls return, as JSON."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ["MCP_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['DAYTONA_API_KEY']}"}


def shown(result: Any) -> dict[str, Any]:
    return {
        "text": "".join(getattr(block, "text", "") for block in result.content),
        "structured": result.structured_content,
        "failed": bool(result.is_error),
    }


async def use(mode: str) -> dict[str, Any]:
    async with (
        httpx2.AsyncClient(headers=HEADERS, timeout=60) as http,
        Client(streamable_http_client(URL, http_client=http), mode=mode) as client,
    ):
        found: dict[str, Any] = {"version": client.protocol_version}
        found["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        reported: list[float] = []

        async def report(progress: float, total: float | None, message: str | None) -> None:
            reported.append(progress)

        path = f"{mode}/notes.txt"

        async def call(name: str, **arguments: Any) -> dict[str, Any]:
            return shown(await client.call_tool(name, arguments))

        found["written"] = await call("write_file", path=path, content="one\ntwo\nthree\n")
        found["head"] = await call("read_text_file", path=path, head=1)
        edits = [{"oldText": "two", "newText": "2"}]
        found["tried"] = await call("edit_file", path=path, edits=edits, dryRun=True)
        found["edited"] = await call("edit_file", path=path, edits=edits)
        found["read"] = await call("read_text_file", path=path)
        found["listed"] = await call("list_directory", path=mode)
        found["found"] = await call("search_files", path=".", pattern=f"{mode}/*.txt")
        found["missing"] = await call("read_text_file", path="missing")
        found["wrong"] = await call("read_text_file", path=path, head="one")
        result = await client.call_tool(
            "run_command", {"command": "sleep 1.5; pwd; exit 3"}, progress_callback=report
        )
        found["run"], found["reported"] = shown(result), reported
        started = await call("start_command", command="cat; echo bye")
        job = started["structured"]["jobId"]
        await call("send_input", jobId=job, text="hello\n", eof=True)
        found["output"] = await call("get_output", jobId=job, wait=60)
        terminal = await call("start_terminal", command="cat", rows=10)
        screen = terminal["structured"]["id"]
        await call("send_keys", terminalId=screen, text="on the sc", keys=["r", "e", "e", "n"])
        found["waited"] = await call(
            "wait_for_screen", terminalId=screen, text="screen", timeout=60
        )
        # The end of cat's input, and of the shell: a signal would drop what is typed after it.
        await call("send_keys", terminalId=screen, keys=["Enter", "Ctrl-D"])
        await call("send_keys", terminalId=screen, text="exit", keys=["Enter"])
        found["ended"] = await call("wait_for_screen", terminalId=screen, text="[n]ever")
        # A file in the working directory, which the list of resources shows.
        await call("write_file", path=f"{mode}.txt", content="a resource")
        listed = {each.name: each.uri for each in (await client.list_resources()).resources}
        (content,) = (await client.read_resource(listed[f"{mode}.txt"])).contents
        found["resource"] = [str(content.uri), getattr(content, "text", "")]
        templates = (await client.list_resource_templates()).resource_templates
        found["templates"] = [template.uri_template for template in templates]
        return found


async def main() -> None:
    print(json.dumps({mode: await use(mode) for mode in ("auto", "legacy")}))


asyncio.run(main())
