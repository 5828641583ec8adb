"""Output and input: spools, the pipes that fill them, and the queues of standard input.

Everything here runs on the loop.
"""

from __future__ import annotations

from pathlib import Path

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.blocks import BlockContents
from toolbox_process.engine.blocks import BlocksStanding
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.pipe_reader import ReaderStanding
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.spool import SpoolStanding
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.engine.stream_changes import Changes
from toolbox_process.handover.models import BlockState
from toolbox_process.handover.models import FileState
from toolbox_process.handover.models import PipeState
from toolbox_process.handover.models import ReaderState
from toolbox_process.handover.models import SpoolState
from toolbox_process.handover.models import WriterState
from toolbox_process.jobs.filed import FiledSpool
from toolbox_process.jobs.filed import FileStanding
from toolbox_process.services.section import Section


def _pack_fd(fd: int, parcel: Parcel) -> int:
    return parcel.add(fd) if fd >= 0 else -1


def _take_fd(index: int, parcel: Parcel) -> int:
    return parcel.take(index) if index >= 0 else -1


def pack_spool(spool: Spool, parcel: Parcel) -> SpoolState:
    """Return the state of a spool, to which nothing is appended any more."""
    if isinstance(spool, Section):
        return SpoolState(section=[spool.before, *([spool.last] if spool.last else [])])
    standing = spool.standing()
    blocks, changes = standing.blocks, standing.changes
    return SpoolState(
        blocks=[_pack_block(block, parcel) for block in blocks.blocks],
        passed=blocks.passed,
        memory_limit=blocks.memory_limit,
        first=changes.first,
        current=changes.current,
        changes=changes.offsets,
        end=standing.end,
        floor=standing.floor,
        discarded=standing.discarded,
        errors=standing.errors,
        file=_pack_file(spool, parcel) if isinstance(spool, FiledSpool) else None,
    )


def _pack_block(block: BlockContents, parcel: Parcel) -> BlockState:
    if block.fd is not None:
        return BlockState(start=block.start, length=block.length, fd=parcel.add(block.fd))
    return BlockState(start=block.start, length=block.length, data=block.data)


def fill_spool(spool: Spool, state: SpoolState, parcel: Parcel) -> None:
    """Put what was kept into a new spool."""
    if state.section:
        return  # It has nothing of its own.
    contents = [_unpack_block(block, parcel) for block in state.blocks]
    blocks = BlocksStanding(contents, state.passed, state.memory_limit)
    changes = Changes(state.first, state.current, state.changes)
    spool.resume(
        SpoolStanding(blocks, changes, state.end, state.errors, state.floor, state.discarded)
    )


def _unpack_block(state: BlockState, parcel: Parcel) -> BlockContents:
    fd = parcel.take(state.fd) if state.fd >= 0 else None
    return BlockContents(state.start, state.length, fd, state.data)


def _pack_file(spool: FiledSpool, parcel: Parcel) -> FileState:
    path, written, identity, error, fd = spool.file_standing()
    index = _pack_fd(fd, parcel)
    return FileState(path=str(path), written=written, identity=identity, error=error, fd=index)


def unpack_filed_spool(engine: Engine, state: FileState, parcel: Parcel) -> FiledSpool:
    """Return a spool, still to be filled, that goes on with a file."""
    fd = _take_fd(state.fd, parcel)
    file = FileStanding(Path(state.path), state.written, state.identity, state.error, fd)
    return FiledSpool.of(engine.settings, engine.state.path, file)


def pack_reader(reader: PipeReader, parcel: Parcel) -> ReaderState:
    """Stop reading, and return what is left to read."""
    pipes, name, shown, held = reader.let_go()
    states = [
        PipeState(fd=parcel.add(fd), stream=stream, burst=burst) for fd, stream, burst in pipes
    ]
    return ReaderState(pipes=states, name=name, shown=shown, held=held)


def fill_reader(reader: PipeReader, state: ReaderState, parcel: Parcel) -> None:
    """Read on."""
    pipes = [(parcel.take(pipe.fd), pipe.stream, pipe.burst) for pipe in state.pipes]
    reader.resume(ReaderStanding(pipes, state.name, state.shown, state.held))


def pack_writer(writer: StdinWriter, parcel: Parcel) -> WriterState:
    """Stop writing, and return what is left to write."""
    fd, queue, accepted, ending, closed = writer.let_go()
    index = _pack_fd(fd, parcel)
    return WriterState(fd=index, queue=queue, accepted=accepted, ending=ending, closed=closed)
