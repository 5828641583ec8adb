"""Names of files and branches as text (:mod:`toolbox.filenames`), and the rules for both."""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox_git.models import CloneRequest

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def to_text(name: bytes) -> str:
    """Return a name as the text that clients see."""
    return decode_name(name)


def to_bytes(text: str) -> bytes:
    """Return the bytes of a name that a client sent. Raises BadRequest."""
    try:
        name = encode_name(text)
    except UnicodeEncodeError:
        raise BadRequest("a name can't contain a lone surrogate") from None
    if b"\0" in name:
        raise BadRequest("a name can't contain a NUL byte")
    return name


def to_path(text: str, base: Path) -> Path:
    """Return the path a client sent, resolved against ``base``. Raises BadRequest."""
    return base / os.fsdecode(to_bytes(text))


def to_member(text: str, top: Path) -> bytes:
    """Return a path a client sent, relative to ``top``; ``b"."`` for ``top`` itself.

    Symbolic links are not followed. Raises BadRequest if the path lies outside.
    """
    name = os.fsdecode(to_bytes(text))
    if name.startswith("/"):
        for start in (top, top.resolve()):
            if Path(name).is_relative_to(start):
                name = os.path.relpath(name, start)
                break
    # Only the text is normalized: resolving links would turn a link into its target.
    member = os.path.normpath(name)
    if member.startswith("/") or member == ".." or member.startswith("../"):
        raise BadRequest(f"{text!r} is outside the repository")
    if member == ".git" or member.startswith(".git/"):
        raise BadRequest(f"{text!r} is inside .git")
    return os.fsencode(member)


def is_branch_name(name: str) -> bool:
    """Report whether a branch may have this name (git-check-ref-format(1))."""
    if not name or name.startswith(("-", "/")) or name.endswith(("/", ".")):
        return False
    if name in ("@", "HEAD") or _BAD_REF.search(name):
        return False
    return not any(part.startswith(".") or part.endswith(".lock") for part in name.split("/"))


def clean_identity(identity: str) -> str:
    """Return a name or address without the characters that delimit it in a commit."""
    return re.sub(r"[<>\r\n]", "", identity).strip()


def check_key(key: str) -> None:
    """Raise BadRequest unless ``key`` is ``section.name`` or ``section.subsection.name``."""
    section, dot, rest = key.partition(".")
    name = rest.rpartition(".")[2]
    # Letters, digits and hyphens (git-config(1), "Syntax"); a subsection may contain anything else.
    plain = all(part.replace("-", "a").isalnum() and part.isascii() for part in (section, name))
    if not dot or not plain or not name[0].isalpha() or "\n" in key:
        raise BadRequest(f"invalid key {key!r}; expected section.name or section.subsection.name")


def check_clone(body: CloneRequest) -> None:
    """Raise BadRequest if the branch or commit to clone is malformed."""
    if body.branch and not is_branch_name(body.branch):
        raise BadRequest(f"{body.branch!r} is not a valid branch name")
    if body.commit_id and not _COMMIT.fullmatch(body.commit_id):
        raise BadRequest("commit_id must be 4 to 64 hexadecimal digits")
