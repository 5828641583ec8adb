"""The reader gets whole messages or the end of the stream, for any output of a server."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylsp_jsonrpc.streams import JsonRpcStreamReader
from toolbox_lsp.server.framing import MAX_LINE
from toolbox_lsp.server.framing import MAX_NOISE
from toolbox_lsp.server.framing import BrokenStream
from toolbox_lsp.server.framing import MessageSource


def read(data: bytes) -> list[Any]:
    found: list[Any] = []
    JsonRpcStreamReader(MessageSource(io.BytesIO(data))).listen(found.append)
    return found


def frame(value: Any, *headers: bytes) -> bytes:
    body = json.dumps(value).encode()
    lines = [*headers, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(lines) + body


@pytest.mark.parametrize(
    "data",
    [
        frame(1) + frame([2]),
        frame(1, b"Content-Type: application/vscode-jsonrpc; charset=utf-8") + frame([2]),
        frame(1).replace(b"Content-Length: ", b"content-length:") + frame([2]),
        frame(1).replace(b"\r\n", b"\n") + frame([2]),
        frame(1).replace(b"\r\n\r\n", b"\r\nContent-Type: x\r\n\r\n") + frame([2]),
        b"Hello!\n\n" + frame(1) + b"between " + frame([2]) + b"and good bye",
    ],
)
def test_messages(data: bytes) -> None:
    assert read(data) == [1, [2]]


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 10\r\n\r\n{}",
        b"Content-Length: 99999999999999999\r\n\r\n{}",
        b"noise\n" * MAX_NOISE,
        b"x" * (MAX_NOISE + 1),
        b"Content-Length: 2\r\nA: " + b"b" * MAX_LINE + b"\r\n\r\n{}",
    ],
)
def test_what_is_no_message_breaks_it(data: bytes) -> None:
    with pytest.raises(BrokenStream):
        read(data)


@given(st.binary(max_size=200))
def test_any_noise_ends_or_breaks(noise: bytes) -> None:
    """Nothing else is raised, and a message after short noise without a length is still found."""
    try:
        found = read(noise + b"\n" + frame("kept"))
    except BrokenStream:
        assert b"content-length" in noise.lower()
    else:
        assert found[-1:] == ["kept"] or b"content-length" in noise.lower()
