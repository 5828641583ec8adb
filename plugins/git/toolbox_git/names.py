"""Names of files and branches as text: any bytes, there and back.

The rule of the group ``files``: each byte that belongs to no UTF-8 character, ``0x80`` to
``0xFF``, is written as the private-use character ``U+10F700`` plus that byte, and so is every byte
of those 128 characters themselves.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox_git.models import CloneRequest

_ESCAPE = 0x10F700
_ESCAPES = re.compile(f"[{chr(_ESCAPE + 0x80)}-{chr(_ESCAPE + 0xFF)}]")
_SURROGATES = re.compile("[\udc80-\udcff]")

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def to_text(name: bytes) -> str:
    """A name as it is sent to clients."""
    text = name.decode("utf-8", "surrogateescape")
    if text.isascii():
        return text
    text = _ESCAPES.sub(lambda match: _surrogates(match[0]), text)
    return _SURROGATES.sub(lambda match: chr(ord(match[0]) - 0xDC00 + _ESCAPE), text)


def _surrogates(character: str) -> str:
    return character.encode("utf-8").decode("ascii", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The name that a client's text means. Raises BadRequest."""
    escaped = _ESCAPES.sub(lambda match: chr(ord(match[0]) - _ESCAPE + 0xDC00), text)
    try:
        name = escaped.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadRequest("a name can't hold a lone surrogate") from None
    if b"\0" in name:
        raise BadRequest("a name can't hold a NUL byte")
    return name


def to_path(text: str, base: Path) -> Path:
    """The path a client sent, relative to ``base``. Raises BadRequest."""
    return base / os.fsdecode(to_bytes(text))


def to_member(text: str, top: Path) -> bytes:
    """A path a client sent as one relative to ``top``, ``b"."`` for that itself.

    Symbolic links are not followed. Raises BadRequest if it lies outside.
    """
    name = os.fsdecode(to_bytes(text))
    if name.startswith("/"):
        for start in (top, top.resolve()):
            if Path(name).is_relative_to(start):
                name = os.path.relpath(name, start)
                break
    member = os.path.normpath(name)
    if member.startswith("/") or member == ".." or member.startswith("../"):
        raise BadRequest(f"{text!r} is outside the repository")
    if member == ".git" or member.startswith(".git/"):
        raise BadRequest(f"{text!r} belongs to git itself")
    return os.fsencode(member)


def is_branch_name(name: str) -> bool:
    """Whether a branch may have this name (git-check-ref-format)."""
    if not name or name.startswith(("-", "/")) or name.endswith(("/", ".")):
        return False
    if name in ("@", "HEAD") or _BAD_REF.search(name):
        return False
    return not any(part.startswith(".") or part.endswith(".lock") for part in name.split("/"))


def clean_identity(identity: str) -> str:
    """A name or address without what would break the line it is kept in."""
    return re.sub(r"[<>\r\n]", "", identity).strip()


def check_key(key: str) -> None:
    """Raises BadRequest unless ``key`` is ``section.name`` or ``section.subsection.name``."""
    section, dot, rest = key.partition(".")
    name = rest.rpartition(".")[2]
    plain = all(part.replace("-", "a").isalnum() and part.isascii() for part in (section, name))
    if not dot or not plain or not name[0].isalpha() or "\n" in key:
        raise BadRequest(f"{key!r} is no key: section.name or section.subsection.name")


def check_clone(body: CloneRequest) -> None:
    """Raises BadRequest for what can't be cloned."""
    if body.branch and not is_branch_name(body.branch):
        raise BadRequest(f"{body.branch!r} is not a valid branch name")
    if body.commit_id and not _COMMIT.fullmatch(body.commit_id):
        raise BadRequest("commit_id must be 4 to 64 hexadecimal digits")
