"""The procedures of ``process.Process``."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from toolbox.group import Operations
from toolbox.linux.clock import awake
from toolbox_e2b.connect.call import Call
from toolbox_e2b.connect.procedures import Empty
from toolbox_e2b.connect.procedures import Procedures
from toolbox_e2b.connect.streams import Events
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.process.events import follow
from toolbox_e2b.process.models import Input
from toolbox_e2b.process.models import ListResponse
from toolbox_e2b.process.models import ProcessInfo
from toolbox_e2b.process.models import SelectRequest
from toolbox_e2b.process.models import SendInputRequest
from toolbox_e2b.process.models import SendSignalRequest
from toolbox_e2b.process.models import StartRequest
from toolbox_e2b.process.models import StreamInputRequest
from toolbox_e2b.process.models import UpdateRequest
from toolbox_e2b.process.protocol import HasProcesses

operations = Operations()
procedures = Procedures(operations, "process.Process")

# Enums may be sent as numbers, too (ProtoJSON).
SIGNALS = {
    "SIGNAL_SIGTERM": signal.SIGTERM,
    "SIGNAL_SIGKILL": signal.SIGKILL,
    15: signal.SIGTERM,
    9: signal.SIGKILL,
}


@procedures.streaming("Start", StartRequest)
def start_process(backend: HasProcesses, message: StartRequest, call: Call) -> Events:
    """Start a program, and follow it.

    ``Connect-Timeout-Ms`` is the time that it may run. Without a client it goes on.
    """
    process = backend.processes.start(message, call.timeout)
    return follow(process, call, 0, None)


@procedures.streaming("Connect", SelectRequest)
def connect_to_process(backend: HasProcesses, message: SelectRequest, call: Call) -> Events:
    """Follow a process that runs, from its present output on."""
    process = backend.processes.find(message.process)
    ends = awake() + call.timeout if call.timeout else None
    return follow(process, call, process.job.spool.end, ends)


@procedures.unary("List", Empty)
def list_processes(backend: HasProcesses, message: Empty, call: Call) -> ListResponse:
    """List the processes that run."""
    return ListResponse(
        processes=[
            ProcessInfo(config=process.config, pid=process.pid, tag=process.tag)
            for process in backend.processes.list()
        ]
    )


@procedures.unary("SendInput", SendInputRequest)
def send_process_input(backend: HasProcesses, message: SendInputRequest, call: Call) -> None:
    """Write to a process's standard input or terminal."""
    process = backend.processes.find(message.process)
    backend.processes.write(process, _bytes(message.input), call.request.is_disconnected)


@procedures.receiving("StreamInput", StreamInputRequest)
def stream_process_input(
    backend: HasProcesses, messages: Iterator[StreamInputRequest], call: Call
) -> None:
    """Write a stream of pieces to a process's standard input or terminal."""
    # Written as it comes: a client may type into a terminal for hours.
    process = None
    for message in messages:
        if message.start is not None:
            process = backend.processes.find(message.start.process)
        elif message.data is not None:
            if process is None:
                raise InvalidArgument("the first message must name the process")
            data = _bytes(message.data.input)
            backend.processes.write(process, data, call.request.is_disconnected)


@procedures.unary("CloseStdin", SelectRequest)
def close_process_input(backend: HasProcesses, message: SelectRequest, call: Call) -> None:
    """Close a process's standard input."""
    backend.processes.close_input(backend.processes.find(message.process))


@procedures.unary("SendSignal", SendSignalRequest)
def signal_process(backend: HasProcesses, message: SendSignalRequest, call: Call) -> None:
    """Send SIGTERM or SIGKILL to a process and all that it has started."""
    # Only those that the wire names, though the group could send any.
    number = SIGNALS.get(message.signal)
    if number is None:
        raise InvalidArgument("signal must be SIGNAL_SIGTERM or SIGNAL_SIGKILL")
    backend.processes.signal(backend.processes.find(message.process), number)


@procedures.unary("Update", UpdateRequest)
def update_process(backend: HasProcesses, message: UpdateRequest, call: Call) -> None:
    """Change the size of a process's terminal."""
    process = backend.processes.find(message.process)
    if message.pty is not None and message.pty.size is not None:
        backend.processes.resize(process, message.pty.size)


def _bytes(given: Input | None) -> bytes:
    if given is None or (given.stdin is None) == (given.pty is None):
        raise InvalidArgument("input must be stdin or pty")
    return given.stdin if given.stdin is not None else given.pty or b""
