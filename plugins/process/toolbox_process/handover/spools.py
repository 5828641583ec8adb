"""Output and input: spools, the pipes that fill them, and the queues of standard input.

Everything here runs on the loop.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path

from toolbox.handover.parcel import Parcel
from toolbox.logs.masking import StreamMask
from toolbox_process.engine.blocks import Block
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.handover.models import BlockState
from toolbox_process.handover.models import FileState
from toolbox_process.handover.models import PipeState
from toolbox_process.handover.models import ReaderState
from toolbox_process.handover.models import SpoolState
from toolbox_process.handover.models import WriterState
from toolbox_process.jobs.filed import FiledSpool
from toolbox_process.services.section import Section


def pack_spool(spool: Spool, parcel: Parcel) -> SpoolState:
    """Return the state of a spool, to which nothing is appended any more."""
    if isinstance(spool, Section):
        return SpoolState(section=[spool.before, *([spool.last] if spool.last else [])])
    with spool._lock:
        blocks, streams = spool._blocks, spool._streams
        return SpoolState(
            blocks=[_pack_block(block, parcel) for block in blocks._blocks],
            passed=blocks._passed,
            memory_limit=blocks._memory_limit,
            first=streams._first,
            current=streams.current,
            changes=streams._offsets.tobytes(),
            end=spool._end,
            floor=spool._floor,
            discarded=spool._discarded,
            errors=spool._errors,
            file=_pack_file(spool, parcel) if isinstance(spool, FiledSpool) else None,
        )


def _pack_block(block: Block, parcel: Parcel) -> BlockState:
    if block._fd is not None:
        return BlockState(start=block.start, length=block.length, fd=parcel.add(block._fd))
    return BlockState(start=block.start, length=block.length, data=bytes(block._memory))


def fill_spool(spool: Spool, state: SpoolState, parcel: Parcel) -> None:
    """Put what was kept into a new spool."""
    if state.section:
        return  # It has nothing of its own.
    with spool._lock:
        spool._blocks._passed = state.passed
        spool._blocks._memory_limit = state.memory_limit
        spool._blocks._blocks = [_unpack_block(block, parcel) for block in state.blocks]
        spool._streams._first = state.first
        spool._streams.current = state.current
        spool._streams._offsets = array("Q", state.changes)
        spool._end, spool._floor = state.end, state.floor
        spool._discarded = state.discarded
        spool._errors = state.errors


def _pack_file(spool: FiledSpool, parcel: Parcel) -> FileState:
    return FileState(
        path=str(spool.path),
        written=spool.written,
        identity=spool._identity,
        error=spool._error,
        fd=parcel.add(spool._fd) if spool._fd >= 0 else -1,
    )


def unpack_filed_spool(engine: Engine, state: FileState, parcel: Parcel) -> FiledSpool:
    """Return a spool, still to be filled, that goes on with a file."""
    fd = parcel.take(state.fd) if state.fd >= 0 else os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    spool = FiledSpool(engine.settings, engine.state.path, Path(state.path), fd)
    spool.written, spool._identity, spool._error = state.written, state.identity, state.error
    if state.fd < 0:
        spool.close_file()
    return spool


def _unpack_block(state: BlockState, parcel: Parcel) -> Block:
    block = Block(state.start, parcel.take(state.fd) if state.fd >= 0 else None)
    block.length = state.length
    block._memory = bytearray(state.data)
    return block


def pack_reader(reader: PipeReader, parcel: Parcel) -> ReaderState:
    """Stop reading, and return what is left to read. A terminal, which isn't the reader's own, is
    left out.
    """
    # Off the loop, or an event that is already there would read on.
    reader.pause(True)
    pipes = [
        PipeState(fd=parcel.add(fd), stream=pipe.stream, burst=pipe.burst)
        for fd, pipe in reader._pipes.items()
        if pipe.own
    ]
    reader._pipes.clear()
    reader._after = None  # Its end is for the next version to see.
    if reader._release_timer is not None:
        reader._release_timer.cancel()
    held = {stream: mask._held for stream, mask in reader._masks.items() if mask._held}
    return ReaderState(pipes=pipes, name=reader._name, shown=reader._shown, held=held)


def fill_reader(reader: PipeReader, state: ReaderState, parcel: Parcel) -> None:
    """Read on."""
    reader.rename(state.name, state.shown)
    for stream, data in state.held.items():
        if reader._mask is None:
            # Nothing is masked any more; in the order they came.
            reader._spool.append(data, stream)
            continue
        mask: StreamMask = reader._mask.stream()
        mask._held = data
        reader._masks[stream] = mask
        reader._release_timer = reader._loop.call_later(0, reader._release_later)
    for pipe in state.pipes:
        reader.add(parcel.take(pipe.fd), pipe.stream, burst=pipe.burst)


def pack_writer(writer: StdinWriter, parcel: Parcel) -> WriterState:
    """Stop writing, and return what is left to write."""
    with writer._lock:
        writer._unwatch()
        gone = writer._closed
        state = WriterState(
            fd=-1 if gone or not writer._own else parcel.add(writer._fd),
            queue=[bytes(part) for part in writer._queue],
            accepted=writer.accepted,
            ending=writer._ending,
            closed=gone,
        )
        writer._queue.clear()
        writer._closed = True
        return state


def unpack_writer(writer: StdinWriter, state: WriterState) -> StdinWriter:
    """Write on."""
    for part in state.queue:
        writer.write(part)
    writer._accepted = state.accepted
    if state.ending:
        writer.close()
    return writer
