"""Mapping from git's messages, as printed with ``LC_ALL=C``, to errors.

An unknown message is a refusal (422), because git checks before it acts. Only a damaged
repository, a killed git and a usage error are reported as internal errors (500).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
from toolbox_git.errors import FilterFailed
from toolbox_git.errors import MergeConflict
from toolbox_git.errors import PushRejected
from toolbox_git.errors import Refused
from toolbox_git.errors import RemoteRejected
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.errors import TransportFailed

# The first match decides, so the order matters: an error that another one's message may contain
# comes before it ("unable to access ... returned error: 403" is not a transport error).
_WORDS: tuple[tuple[type[ToolboxError], str], ...] = (
    # The remote's verdict on a reference comes first: its hooks may have printed anything.
    (RemoteRejected, r"\[remote rejected\]"),
    (PushRejected, r"\[rejected\]"),
    (InsufficientStorage, r"no space left on device|disk quota exceeded"),
    (
        AuthenticationFailed,
        r"authentication failed|invalid username or password|could not read (username|password)"
        r"|terminal prompts disabled|permission denied \(publickey|host key verification failed"
        r"|authentication required|git credentials for .* not found|authorization error"
        r"|too many authentication failures",
    ),
    (Forbidden, r"returned error: 403|remote: permission.* denied"),
    (RemoteRejected, r"pre-receive hook declined|protected branch"),
    (
        RepositoryNotFound,
        r"repository not found|repository '.*' (not found|does not exist)|returned error: 404"
        r"|remote: not found|does not appear to be a git repository|not a git repository",
    ),
    (
        FilterFailed,
        r"(clean|smudge|external) filter .*failed|external filter|git-lfs(: | .*)not found"
        r"|smudge error|error cleaning|object does not exist on the server|unable to find source"
        r"|failed to fetch some objects|error (down|up)loading object",
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
        r"non-fast-forward|fetch first|updates were rejected|stale info",
    ),
    (
        MergeConflict,
        r"not possible to fast-forward|diverging branches|unmerged files|unresolved conflict"
        r"|needs merge|you need to resolve your current index first|unmerged path|is unmerged"
        r"|refusing to merge unrelated histories|have not concluded your|path '.*' is unmerged"
        r"|during a merge|in the middle of a",
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
        r"|bad line length|http/\d|returned error: 5\d\d|unable to fork|dial tcp|no such host"
        r"|ssh variant|remote helper|remote-https?' is not a git command|x509|batch response",
    ),
    (
        Conflict,
        r"\.lock': file exists|could not lock config file .*: file exists|cannot lock ref"
        r"|already checked out at|already used by worktree|checked out at|used by worktree"
        r"|cannot update checked out branch|refusing to (fetch|update)",
    ),
    (Forbidden, r"permission denied|read-only file system|operation not permitted|insufficient p"),
    # Git doesn't always print the reason; after the permission errors above, it is the space.
    (
        InsufficientStorage,
        r"couldn't write|(unable to|failed to|could not|failure while) writ|write e",
    ),
    (
        BadRequest,
        r"is not a valid (branch name|remote name|ref)|invalid (branch name|key|initial branch)"
        r"|did not match any file|is outside repository|beyond a symbolic link|ignored by one of"
        r"|key does not contain a|empty ident name|must be run in a work tree|is in submodule"
        r"|ident name consists only|cannot do a \w+ reset|cannot do \w+ reset with paths"
        r"|does not have a commit checked out|only regular files, symbolic links|invalid path",
    ),
    (NotFound, r"no such remote"),
)
_REMOTE = (AuthenticationFailed, RemoteRejected, PushRejected, TransportFailed)
_FILTER_ENDED = "remote end hung up unexpectedly"
"""The message for a filter process that exited, in operations without a remote."""
_LAZY = r"from promisor remote|batch response|error downloading"
"""Messages of partial clones and Git LFS, which fetch missing objects on demand."""
_DAMAGED = (
    r"corrupt|bad object|bad config|bad (tree|blob|index|signature|ref)|missing (blob|tree|object)"
    r"|unable to read|inflate|loose object|packed object|object file .* is empty|index file|BUG:"
    r"|not a valid object|invalid (object|sha1)|unknown (index|repository) |hash mismatch"
    r"|failed to read|could not parse|unable to parse|object directory|out of memory|malloc"
)
_NOISE = re.compile(r"^(hint:|warning:|Please make sure you have|and the repository exists)")
_VERDICT = re.compile(r"^!\t(\S+):(\S+)\t(\[.*?\])(.*)$", re.MULTILINE)
"""A rejected reference, as ``git push --porcelain`` prints it."""
_USAGE = 129
"""Git's exit status for wrong arguments."""


def without_noise(stderr: str) -> str:
    """Return git's messages without warnings and hints, which aren't the reason of a failure."""
    return "\n".join(line for line in stderr.splitlines() if not _NOISE.match(line)).strip()


def diagnose(status: int, stdout: bytes, stderr: str, *, remote: bool = False) -> ToolboxError:
    """Return the error for a failed git process, with the end of its output as the message.

    ``remote`` marks an operation with a remote, which alone may fail with transport errors.
    """
    printed = stdout[-65536:].decode("utf-8", "backslashreplace")
    messages = without_noise(stderr)
    verdicts = list(_verdicts(printed))
    lines = [line for line in (messages or printed).splitlines() if line.strip()]
    message = "\n".join([*lines[-12:], *verdicts])[-2000:] or f"git exited with status {status}"
    kind = _kind(f"{messages}\n{printed}", remote)
    # A negative status is the signal that killed git.
    if kind is None and (status < 0 or status == _USAGE or re.search(_DAMAGED, messages, re.I)):
        return ToolboxError(message)
    return (kind or Refused)(message)


def _verdicts(printed: str) -> Iterator[str]:
    """Yield rejected references in git's usual form: ``! [rejected] a -> b (fetch first)``."""
    for local, remote, verdict, reason in _VERDICT.findall(printed):
        short = [name.removeprefix("refs/heads/") for name in (local, remote)]
        yield f"! {verdict} {short[0]} -> {short[1]}{reason}"


def _kind(text: str, remote: bool) -> type[ToolboxError] | None:
    """Return the error that ``text`` describes; the remote's lines count only as a last resort."""
    remote = remote or re.search(_LAZY, text, re.I) is not None
    if not remote and _FILTER_ENDED in text:
        return FilterFailed
    own = "\n".join(line for line in text.splitlines() if not line.startswith("remote: "))
    for part in (own, text):
        # Compiled on first use: at import that would delay every start by a few milliseconds.
        for kind, words in _WORDS:
            if (remote or kind not in _REMOTE) and re.search(words, part, re.I):
                return kind
    return None
