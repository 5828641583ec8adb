"""The programs that a repository's own configuration names, and which of them are run.

A repository comes from anywhere: unpacked, copied, left by somebody else. Its own configuration
(``.git/config``, ``config.worktree`` and what they include) is therefore asked for programs in
one case alone; a user's own (``--global`` and ``--system``) is obeyed as by git itself, but for
hooks and what asks at a terminal.

Run, since the content would be wrong without them:

* ``filter.<name>.clean``, ``smudge`` and ``process``, and ``lfs.extension.*`` below Git LFS, by
  every call that reads or writes files of the working tree: status, add, commit, checkout, reset,
  restore and pull (clone has no repository yet, and so the user's filters alone). They have the
  time that the operation has, and never the credentials of a call.

Not run, by any call:

* hooks: ``core.hooksPath`` and those in ``hooks/``; Git LFS is asked by ourselves what its hooks
  would have done;
* ``core.sshCommand``, ``core.gitProxy``, ``remote.<name>.uploadpack``, ``receivepack`` and
  ``vcs``, ``protocol.*.allow`` (``ext::`` in a URL), ``core.alternateRefsCommand``,
  ``lfs.customtransfer.*`` and ``lfs.standalonetransferagent``: a remote is spoken to as the user
  is used to;
* ``credential.helper``, also for one URL, and ``core.askPass``: credentials are the call's, or
  come from the user's helpers, which have as long as a remote may be silent;
* ``core.fsmonitor``, ``core.editor``, ``sequence.editor``, ``core.pager``, ``pager.*``;
* ``gpg.program``, ``gpg.<format>.program``: nothing is signed or verified;
* ``diff.external``, ``diff.<driver>.command`` and ``textconv``: no call shows a difference;
* ``merge.<driver>.driver``: no call merges contents;
* ``alias.*``, ``submodule.<name>.update`` and ``submodule.recurse``: no call runs an alias or goes
  into submodules;
* ``uploadpack.packObjectsHook``: git takes it from a user's configuration alone.

A remote that is a directory of this machine runs its own hooks when it is pushed to, as every
remote does; it gets no credentials.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path

import msgspec

ALWAYS: Mapping[str, str] = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    # GIT_ASKPASS that is empty is enough for git, not for Git LFS.
    "core.askPass": "",
    "commit.gpgSign": "false",
    "log.showSignature": "false",
    "push.gpgSign": "false",
    "submodule.recurse": "false",
}
"""What is set for every git process, whatever is configured."""
FETCH = "--upload-pack=git-upload-pack"
PUSH = "--receive-pack=git-receive-pack"
"""Options, since of the programs configured for a remote git takes the first, not the last."""

_SUSPECT = re.compile(
    rb"include|sshcommand|gitproxy|uploadpack|receivepack|helper|alternaterefscommand"
    rb"|standalonetransferagent|customtransfer",
    re.IGNORECASE,
)
"""Section and key names can't be quoted or broken: where none of these is, nothing is named."""

_DEFAULTS = (
    (re.compile(r"core\.alternaterefscommand"), "true"),
    (re.compile(r"lfs\.(.*\.)?standalonetransferagent"), ""),
    (re.compile(r"lfs\.customtransfer\..*\.path"), "false"),
)
_UPLOAD_PACK = re.compile(r"remote\..*\.uploadpack")
_PARTIAL = re.compile(r"remote\..*\.promisor|extensions\.partialclone")
_HELPER = re.compile(r"credential\.(.*\.)?helper")


class Entry(msgspec.Struct, frozen=True):
    """A value of the configuration; ``key`` as git prints it, section and name in lower case."""

    scope: str
    key: str
    value: str

    @property
    def own(self) -> bool:
        """Whether it is the repository's own."""
        return self.scope in ("local", "worktree")


class Overrides(msgspec.Struct, frozen=True):
    """Configuration and environment by which a repository's own programs are not run."""

    config: list[tuple[str, str]] = []
    env: dict[str, str] = {}


def may_name_programs(git_dir: Path) -> bool:
    """Whether the repository's own configuration has to be looked at."""
    for name in ("config", "config.worktree"):
        try:
            if _SUSPECT.search((git_dir / name).read_bytes()):
                return True
        except FileNotFoundError:
            continue
        except OSError:
            return True  # ``.git`` is a file that leads elsewhere.
    return False


def parse(output: bytes) -> list[Entry]:
    """What ``git config --list --show-scope -z`` prints."""
    fields = os.fsdecode(output).split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [Entry(scope, *_key_and_value(text)) for scope, text in pairs]


def _key_and_value(text: str) -> tuple[str, str]:
    key, _, value = text.partition("\n")
    return key, value


def overrides(
    entries: Iterable[Entry], environment: Mapping[str, str], patience: float
) -> Overrides:
    """What keeps git from the programs among ``entries`` that are the repository's own.

    The user's credential helpers get ``patience`` seconds each.
    """
    own = [entry for entry in entries if entry.own]
    users = [entry for entry in entries if not entry.own]
    config = [
        (entry.key, default)
        for entry in own
        for pattern, default in _DEFAULTS
        if pattern.fullmatch(entry.key)
    ]
    # An empty one forgets those before it (gitcredentials(7)); the user's come again.
    config += [("credential.helper", "")]
    config += [
        (entry.key, _bounded(entry.value, patience, environment))
        for entry in users
        if _HELPER.fullmatch(entry.key)
    ]
    return Overrides(config, _transport(own, users, environment))


def _bounded(helper: str, patience: float, environment: Mapping[str, str]) -> str:
    """A credential helper that is ended if it asks somebody who isn't there, where that can be."""
    if not helper or shutil.which("timeout", path=environment.get("PATH")) is None:
        return helper
    if helper.startswith("!"):
        command = helper[1:]
    else:
        command = helper if helper.startswith("/") else f"git credential-{helper}"
    run = shlex.quote(f'{command} "$1"')
    return f'!f() {{ timeout -s KILL {patience:g} sh -c {run} sh "$1"; }}; f'


def _transport(
    own: list[Entry], users: list[Entry], environment: Mapping[str, str]
) -> dict[str, str]:
    found = {}
    keys = {entry.key for entry in own}
    if "core.sshcommand" in keys and "GIT_SSH_COMMAND" not in environment:
        theirs = [entry.value for entry in users if entry.key == "core.sshcommand"]
        usual = shlex.quote(environment.get("GIT_SSH") or "ssh")
        found["GIT_SSH_COMMAND"] = theirs[-1] if theirs else usual
    if "core.gitproxy" in keys and "GIT_PROXY_COMMAND" not in environment:
        found["GIT_PROXY_COMMAND"] = ""
    if any(map(_UPLOAD_PACK.fullmatch, keys)) and any(map(_PARTIAL.fullmatch, keys)):
        # What is lacking is fetched behind our back, without our options: by no other program.
        found["GIT_ALLOW_PROTOCOL"] = "git:http:https"
    return found
