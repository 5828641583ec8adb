"""Pydantic AI with the capability of pydantic-ai-daytona; a function decides what a model would."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.messages import ModelResponse
from pydantic_ai.messages import TextPart
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.function import AgentInfo
from pydantic_ai.models.function import FunctionModel
from pydantic_ai_daytona import DaytonaSandbox
from pydantic_ai_daytona import DaytonaSandboxSession

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("write_file", {"path": "notes/a.txt", "content": "one\ntwo\n"}),
    ("read_file", {"path": "notes/a.txt"}),
    ("list_directory", {"path": "notes"}),
    ("run_command", {"command": "cat notes/a.txt | wc -l; echo $WORD; echo bad >&2; exit 3"}),
    ("run_command", {"command": "echo begun; sleep 1000", "timeout_seconds": 1}),
    ("run_command", {"command": "seq 100000"}),
]


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call one tool after the other, then return what they returned."""
    returned = [
        part.model_response_str()
        for message in messages
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    ]
    if len(returned) == len(CALLS):
        return ModelResponse([TextPart(json.dumps(returned))])
    name, arguments = CALLS[len(returned)]
    return ModelResponse([ToolCallPart(name, arguments)])


async def main() -> dict[str, Any]:
    sandbox = DaytonaSandbox(
        env={"WORD": "given"},
        ephemeral=True,
        auto_stop_interval=5,
        labels={"framework": "pydantic"},
    )
    agent = Agent(FunctionModel(model), capabilities=[sandbox])
    owned = json.loads((await agent.run("Go")).output)
    async with DaytonaSandboxSession() as session:
        await session.write_bytes("kept.bin", bytes(range(256)))
        async with DaytonaSandboxSession(sandbox_id=session.sandbox_id) as again:
            read = await again.read_bytes("kept.bin")
            listed = await again.list_entries(".")
    return {
        "owned": owned,
        "attached": [read == bytes(range(256)), ["kept.bin", False] in map(list, listed)],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
