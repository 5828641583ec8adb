"""A job's output as text for an answer."""

from __future__ import annotations

from typing import NamedTuple

from toolbox_process.backend import Output
from toolbox_process.spool import Spool

END_REASON = "X-Toolbox-End-Reason"
"""The header that tells why something has ended."""


class Text(NamedTuple):
    """Text of a stream, ``dropped`` bytes of whose middle are left out."""

    text: str
    dropped: int


def collect(spool: Spool, stream: int | None, limit: int) -> Text:
    """All of one stream, or of both in the order they came (None), within ``limit`` bytes.

    Of more the first and the last half are kept. Bytes that aren't UTF-8 become U+FFFD; decoding
    happens here, at the edge, so that a character may arrive in pieces.
    """
    half = limit // 2
    head, tail = bytearray(), bytearray()
    dropped = at = 0
    for chunk in spool.chunks():
        dropped += chunk.offset - at
        at = chunk.end
        if stream is not None and chunk.stream != stream:
            continue
        # The note of what is left out stands where it was: nothing behind a gap is the head.
        room = 0 if dropped else half - len(head)
        head += chunk.data[:room]
        tail += chunk.data[room:]
        if len(tail) > limit:
            dropped += _cut(tail, half)
    if len(tail) > limit - half:
        dropped += _cut(tail, half)
    if not dropped:
        return Text((head + tail).decode("utf-8", "replace"), 0)
    note = f"\n[... {dropped} bytes left out ...]\n"
    return Text(head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace"), dropped)


def _cut(data: bytearray, keep: int) -> int:
    """Keep the last ``keep`` bytes; how many went."""
    count = len(data) - keep
    del data[:count]
    return count


def describe_end(job: Output, dropped: int) -> dict[str, str]:
    """Headers that tell what the Daytona answer has no room for."""
    headers = {"X-Toolbox-Job": job.id}
    if job.reason is not None:
        headers[END_REASON] = job.reason.value
    if dropped:
        headers["X-Toolbox-Truncated"] = str(dropped)
    return headers
