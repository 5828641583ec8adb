"""What we parse ourselves, under atheris (libFuzzer): each takes any bytes, and answers or refuses.

Run as ``fuzz_parsers.py NAME [libFuzzer's options]``; a failure is a traceback and status 77.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(
    include=["toolbox", "toolbox_files", "toolbox_lsp", "toolbox_process", "toolbox_computeruse"]
):
    from toolbox_computeruse.input.chords import parse_hotkey
    from toolbox_lsp.server.framing import BrokenStream
    from toolbox_lsp.server.framing import MessageSource
    from toolbox_process.terminals.headers import decode_envs

    from toolbox.errors import ToolboxError
    from toolbox.filenames import decode_name
    from toolbox.filenames import encode_name
    from toolbox.multipart import read_parts
    from toolbox.patterns.globs import compile_glob
    from toolbox.request import Body


def multipart(data: bytes) -> None:
    environ: dict[str, Any] = {
        "CONTENT_TYPE": "multipart/form-data; boundary=b",
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": io.BytesIO(data),
    }
    total = sum(len(chunk) for part in read_parts(Body(environ)) for chunk in part)
    assert total <= len(data), "more came out than went in"


def framing(data: bytes) -> None:
    source = MessageSource(io.BytesIO(data))
    length = 0
    try:
        while line := source.readline():
            if match := re.match(rb"(?i)content-length:\s*(\d{1,4})\r?\n", line):
                length = int(match[1])
            elif not line.strip():
                assert len(source.read(length)) <= length
    except BrokenStream:
        pass


def names(data: bytes) -> None:
    text = decode_name(data)
    text.encode()  # It can be sent.
    assert encode_name(text) == data


def globs(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    match = compile_glob(text)
    if match is not None:
        match("a" * 200)
        match(text)


def environment(data: bytes) -> None:
    envs = decode_envs(data.decode("latin-1"))
    assert all(isinstance(name, str) for name in envs)


def hotkeys(data: bytes) -> None:
    parse_hotkey(data.decode("utf-8", "replace"))


PARSERS: dict[str, tuple[Callable[[bytes], None], bytes]] = {
    each.__name__: (each, seed)
    for each, seed in (
        (
            multipart,
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="c"\r\n\r\nx\r\n--b--\r\n',
        ),
        (framing, b"Content-Length: 2\r\nContent-Type: x\r\n\r\n{}Content-Length: 2\r\n\r\n[]"),
        (names, b"caf\xe9 \xf4\x8f\x9f\xa9"),
        (globs, rb"*a?[a-z][^b]\*[!c-]*.txt"),
        (environment, b"eyJBIjogIngiLCAiQiI6IG51bGx9"),
        (hotkeys, b"ctrl+shift+F12"),
    )
}
"""By name: what is tried, and an input from which libFuzzer makes others."""


def main() -> None:
    """Let libFuzzer find what makes one of them fail."""
    parse, seed = PARSERS[sys.argv[1]]

    def once(data: bytes) -> None:
        try:
            parse(data)
        except ToolboxError as error:
            assert error.status < 500

    with tempfile.TemporaryDirectory() as corpus:
        Path(corpus, "seed").write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], once)
        atheris.Fuzz()  # Ends the process.


if __name__ == "__main__":
    main()
