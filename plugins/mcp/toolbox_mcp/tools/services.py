"""The tools of the group ``process`` for services: programs that are kept running."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta
from toolbox_process.definition import Definition
from toolbox_process.definition import Ready
from toolbox_process.definition import ServiceName
from toolbox_process.services.models import LogQuery
from toolbox_process.services.models import ServiceInfo
from toolbox_process.services.protocol import Service
from toolbox_process.services.protocol import Services
from toolbox_process.services.responses import read_log

from toolbox.linux.clock import awake
from toolbox_mcp import content
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import Progress
from toolbox_mcp.tool import Tool
from toolbox_mcp.tool import ToolFailure
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.arguments import Arguments

STEP = 1.0
"""Seconds between two reports of progress."""

Name = Annotated[ServiceName, Meta(description="Name of a service.")]
Seconds = Annotated[float, Meta(ge=0, le=600, description="Seconds to wait at most.")]


class StartService(Arguments, frozen=True, kw_only=True):
    """A program to keep running."""

    name: Name
    command: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="Command line for the shell, in the foreground. Without one the "
                "service with that name is started as it was defined.",
            ),
        ]
        | None
    ) = None
    cwd: Annotated[str, Meta(description="Directory to run it in.")] | None = None
    env: Annotated[dict[str, str | None], Meta(description="More environment variables.")] = {}
    restart: Annotated[
        Literal["never", "on-failure", "always"],
        Meta(description="Ends after which it is started again."),
    ] = "on-failure"
    ready_port: (
        Annotated[
            int,
            Meta(ge=1, le=65535, description="Port on which it accepts connections once ready."),
        ]
        | None
    ) = None
    ready_log: (
        Annotated[
            str, Meta(description="Regular expression that is in its output once it is ready.")
        ]
        | None
    ) = None
    wait: Annotated[
        float, Meta(ge=0, le=600, description="Seconds to wait at most until it is ready.")
    ] = 60


class OneService(Arguments, frozen=True, kw_only=True):
    """A service."""

    name: Name


class WaitForService(Arguments, frozen=True, kw_only=True):
    """A state to wait for."""

    name: Name
    state: Annotated[
        Literal["ready", "stopped"],
        Meta(description="State to wait for; it is reported sooner if the service has failed."),
    ] = "ready"
    timeout: Seconds = 60


class ServiceOutput(Arguments, frozen=True, kw_only=True):
    """Output to read."""

    name: Name
    offset: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="Byte to read from: nextOffset of an earlier result. Without one the "
                "end of the output is shown.",
            ),
        ]
        | None
    ) = None


class ServiceState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A service, as a model is shown it."""

    name: str
    state: str
    command: str
    restarts: int
    pid: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None


class ServiceStates(msgspec.Struct, frozen=True, kw_only=True):
    """All services."""

    services: list[ServiceState]


class ServiceLog(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Output of a service."""

    name: str
    output: str
    next_offset: int


def list_services(call: Call, arguments: object) -> ToolResult:
    """Show all services."""
    states = [_state(service.info()) for service in _services(call).list()]
    text = "\n".join(map(_line, states)) or "there are no services"
    return content.structured(ServiceStates(services=states), text)


def start_service(call: Call, arguments: StartService) -> Generator[Progress, None, ToolResult]:
    """Define and start a service, or start one that is there; wait until it is ready."""
    services = _services(call)
    if arguments.command is None:
        services.start(arguments.name)
    else:
        try:
            definition = Definition(
                command=arguments.command,
                cwd=arguments.cwd,
                envs=arguments.env,
                restart=arguments.restart,
                ready=_ready(arguments),
            )
        except ValueError as error:
            raise ToolFailure(str(error)) from None
        services.put(arguments.name, definition)
    return (yield from _waited(call, arguments.name, "ready", arguments.wait))


def _ready(arguments: StartService) -> Ready | None:
    if arguments.ready_port is None and arguments.ready_log is None:
        return None
    return Ready(port=arguments.ready_port, log=arguments.ready_log)


def wait_for_service(
    call: Call, arguments: WaitForService
) -> Generator[Progress, None, ToolResult]:
    """Wait for a state of a service."""
    return (yield from _waited(call, arguments.name, arguments.state, arguments.timeout))


def _waited(
    call: Call, name: str, state: str, seconds: float
) -> Generator[Progress, None, ToolResult]:
    services = _services(call)
    wanted = ("ready", "stopped", "failed") if state == "ready" else ("stopped", "failed")
    started, until = awake(), awake() + seconds
    while True:
        step = max(0.0, min(STEP, until - awake()))
        service = services.wait(name, state == "ready", step, call.is_abandoned)
        info = service.info()
        if info.state in wanted or awake() >= until:
            return _shown(call, service, info)
        yield Progress(awake() - started, f"{info.state}, {service.spool.end} bytes of output")


def _shown(call: Call, service: Service, info: ServiceInfo) -> ToolResult:
    state = _state(info)
    # The reason for a failure is in what it has written last.
    log = _log(call, service, None).output if info.state in ("failed", "backoff") else ""
    return content.structured(state, f"{log}\n{_line(state)}".lstrip("\n"))


def stop_service(call: Call, arguments: OneService) -> ToolResult:
    """Stop a service."""
    service = _services(call).stop(arguments.name)
    return _shown(call, service, service.info())


def get_service_log(call: Call, arguments: ServiceOutput) -> ToolResult:
    """Return output of a service."""
    service = _services(call).get(arguments.name)
    found = _log(call, service, arguments.offset)
    left = service.spool.end - found.next_offset
    note = f"[{left} more bytes; go on with offset={found.next_offset}]" if left > 0 else ""
    text = "\n".join(filter(None, (found.output, note))) or "[no output]"
    return content.structured(found, text)


def _log(call: Call, service: Service, offset: int | None) -> ServiceLog:
    limit = call.settings.max_output
    tail = limit if offset is None else None
    found = read_log(service.spool, LogQuery(offset=offset or 0, tail=tail, limit=limit))
    output = "".join(piece.data for piece in found.pieces)
    return ServiceLog(name=service.id, output=output, next_offset=found.next_offset)


def _services(call: Call) -> Services:
    services: Services = call.backends["process"].services
    return services


def _state(info: ServiceInfo) -> ServiceState:
    definition = info.definition
    return ServiceState(
        name=info.name,
        state=info.state,
        command=definition.command or " ".join(definition.argv or ()),
        restarts=info.restarts,
        pid=info.pid,
        exit_code=info.exit_code,
        reason=info.reason,
        message=info.message,
    )


def _line(state: ServiceState) -> str:
    parts = [f"{state.name}: {state.state}"]
    parts += [f"pid {state.pid}"] if state.pid is not None else []
    parts += [f"exit code {state.exit_code}"] if state.exit_code is not None else []
    parts += [state.message or state.reason or ""]
    parts += [f"restarted {state.restarts} times"] if state.restarts else []
    return f"[{', '.join(filter(None, parts))}] {state.command}"


TOOLS = (
    Tool(
        name="list_services",
        description="List the services, programs that are kept running, with their states.",
        run=list_services,
        result=ServiceStates,
        read_only=True,
    ),
    Tool(
        name="start_service",
        description="Keep a program running, such as a development server: it is started again "
        "when it fails, and comes back after a restart of the sandbox's service. Waits until it "
        "is ready. The same name with another command replaces it.",
        arguments=StartService,
        run=start_service,
        result=ServiceState,
        destructive=True,
        idempotent=True,
        open_world=True,
    ),
    Tool(
        name="stop_service",
        description="End a service and everything it has started, until it is started again.",
        arguments=OneService,
        run=stop_service,
        result=ServiceState,
        destructive=True,
        idempotent=True,
    ),
    Tool(
        name="get_service_log",
        description="Get output of a service over all its runs: the end, or from an offset on.",
        arguments=ServiceOutput,
        run=get_service_log,
        result=ServiceLog,
        read_only=True,
    ),
    Tool(
        name="wait_for_service",
        description="Wait until a service is ready, or has stopped. Reports sooner if it failed.",
        arguments=WaitForService,
        run=wait_for_service,
        result=ServiceState,
        read_only=True,
    ),
)
