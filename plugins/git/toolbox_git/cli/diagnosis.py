"""Which error git's words mean. The words are those of ``LC_ALL=C``."""

from __future__ import annotations

import re

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import InsufficientStorage
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox_git.errors import AuthenticationFailed
from toolbox_git.errors import BranchExists
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import DirtyWorktree
from toolbox_git.errors import MergeConflict
from toolbox_git.errors import PushRejected
from toolbox_git.errors import RemoteRejected
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.errors import TransportFailed

_WORDS: tuple[tuple[type[ToolboxError], str], ...] = (
    (InsufficientStorage, r"no space left on device|disk quota exceeded"),
    (
        AuthenticationFailed,
        r"authentication failed|invalid username or password|could not read (username|password)"
        r"|terminal prompts disabled|permission denied \(publickey|host key verification failed",
    ),
    (Forbidden, r"returned error: 403|remote: permission.* denied"),
    (RemoteRejected, r"\[remote rejected\]|pre-receive hook declined|protected branch"),
    (
        RepositoryNotFound,
        r"repository not found|repository '.*' (not found|does not exist)|returned error: 404"
        r"|remote: not found|does not appear to be a git repository|not a git repository",
    ),
    (
        BranchNotFound,
        r"src refspec .* does not match any|you are not currently on a branch"
        r"|unknown revision or path not in the working tree|couldn't find remote ref"
        r"|remote branch .* not found|could not resolve head|failed to resolve '.*' as a valid"
        r"|not our ref|does not allow request for unadvertised object|branch '.*' not found",
    ),
    (
        PushRejected,
        r"non-fast-forward|fetch first|updates were rejected|stale info|\[rejected\]",
    ),
    (
        MergeConflict,
        r"not possible to fast-forward|diverging branches|unmerged files|unresolved conflict"
        r"|needs merge|you need to resolve your current index first|unmerged path"
        r"|refusing to merge unrelated histories",
    ),
    (
        DirtyWorktree,
        r"your local changes to the following files would be overwritten|would be overwritten by"
        r"|please commit your changes or stash them|not uptodate\. cannot merge"
        r"|would lose untracked files|would be removed by",
    ),
    (BranchExists, r"a branch named '.*' already exists|'refs/heads/.*' exists; cannot create"),
    (
        TransportFailed,
        r"could not resolve host|failed to connect to|unable to access|connection (refused|reset"
        r"|timed out)|ssl certificate|early eof|the remote end hung up|could not read from remote"
        r"|operation too slow|unable to look up|rpc failed|unable to connect to|invalid index-pack"
        r"|transport '.*' not allowed|expected flush|protocol error|unexpected disconnect"
        r"|bad line length|http/\d|returned error: 5\d\d",
    ),
    (Conflict, r"\.lock': file exists|could not lock config file .*: file exists|cannot lock ref"),
    (Forbidden, r"permission denied|read-only file system|operation not permitted|insufficient p"),
    (
        BadRequest,
        r"is not a valid (branch name|remote name|ref)|invalid (branch name|key|initial branch)"
        r"|did not match any file|is outside repository|beyond a symbolic link|ignored by one of"
        r"|key does not contain a|empty ident name|must be run in a work tree|is in submodule"
        r"|ident name consists only|cannot do a \w+ reset|cannot do \w+ reset with paths"
        r"|does not have a commit checked out|only regular files, symbolic links",
    ),
    (NotFound, r"no such remote"),
)
_REMOTE = (AuthenticationFailed, RemoteRejected, PushRejected, TransportFailed)
_NOISE = re.compile(r"^(hint:|warning:|Please make sure you have|and the repository exists)")


def without_noise(stderr: str) -> str:
    """What git said, without warnings and hints: they are no reason to fail."""
    return "\n".join(line for line in stderr.splitlines() if not _NOISE.match(line)).strip()


def diagnose(status: int, stdout: bytes, stderr: str, *, remote: bool = False) -> ToolboxError:
    """The error that a failed git process means; the message is what it said, short.

    ``remote`` tells whether it talked to one, and so may have failed for that.
    """
    printed = stdout[-65536:].decode("utf-8", "backslashreplace")
    said = without_noise(stderr)
    lines = [line for line in (said or printed).splitlines() if line.strip()]
    message = "\n".join(lines[-12:])[-2000:] or f"git ended with status {status}"
    # Not compiled beforehand, which costs the start of every service a few milliseconds.
    for kind, words in _WORDS:
        if (remote or kind not in _REMOTE) and re.search(words, f"{said}\n{printed}", re.I):
            return kind(message)
    return ToolboxError(message)
