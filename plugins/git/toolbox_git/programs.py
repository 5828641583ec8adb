"""The programs that a repository's own configuration names, and which of them are run.

A repository can come from anywhere: unpacked, copied, left by someone else. Programs named in its
own configuration (``.git/config``, ``config.worktree`` and the files they include) are therefore
run in one case only. The user's configuration (``--global`` and ``--system``) is honored as by
git itself, except for hooks and programs that prompt on a terminal.

Run, because the content would be wrong without them:

* ``filter.<name>.clean``, ``smudge`` and ``process``, and ``lfs.extension.*`` below Git LFS, by
  every operation that reads or writes files of the working tree: status, add, commit, checkout,
  reset, restore and pull (clone has no repository yet, so only the user's filters run). They
  share the operation's time limit and never receive a request's credentials.

Never run:

* hooks: ``core.hooksPath`` and those in ``hooks/``; the service itself runs Git LFS where its
  hooks would have;
* ``core.sshCommand``, ``core.gitProxy``, ``remote.<name>.uploadpack``, ``receivepack`` and
  ``vcs``, ``protocol.*.allow`` (``ext::`` in a URL), ``core.alternateRefsCommand``,
  ``lfs.customtransfer.*`` and ``lfs.standalonetransferagent``: remotes are reached with the
  user's configuration;
* ``credential.helper``, also for one URL, and ``core.askPass``: credentials are the request's, or
  come from the user's helpers, which must respond within the time a remote may be silent;
* ``core.fsmonitor``, ``core.editor``, ``sequence.editor``, ``core.pager``, ``pager.*``;
* ``gpg.program``, ``gpg.<format>.program``: nothing is signed or verified;
* ``diff.external``, ``diff.<driver>.command`` and ``textconv``: no operation shows a diff;
* ``merge.<driver>.driver``: no operation merges contents;
* ``alias.*``, ``submodule.<name>.update`` and ``submodule.recurse``: no operation runs an alias or
  enters submodules;
* ``uploadpack.packObjectsHook``: git reads it from a user's configuration only.

A remote that is a local directory runs its own hooks when pushed to, as every remote does; it
receives no credentials.
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
    # An empty GIT_ASKPASS suffices for git, not for Git LFS.
    "core.askPass": "",
    "commit.gpgSign": "false",
    "log.showSignature": "false",
    "push.gpgSign": "false",
    "submodule.recurse": "false",
}
"""Configuration that overrides the repository's and the user's in every git process."""
FETCH = "--upload-pack=git-upload-pack"
PUSH = "--receive-pack=git-receive-pack"
"""Options rather than configuration: of a remote's configured programs git uses the first, so an
override, which comes last, would have no effect.
"""

_SUSPECT = re.compile(
    rb"include|sshcommand|gitproxy|uploadpack|receivepack|helper|alternaterefscommand"
    rb"|standalonetransferagent|customtransfer",
    re.IGNORECASE,
)
"""Section and key names can't be quoted or split over lines (git-config(1)): a file in which none
of these words occurs names no program.
"""

_DEFAULTS = (
    (re.compile(r"core\.alternaterefscommand"), "true"),
    (re.compile(r"lfs\.(.*\.)?standalonetransferagent"), ""),
    (re.compile(r"lfs\.customtransfer\..*\.path"), "false"),
)
_UPLOAD_PACK = re.compile(r"remote\..*\.uploadpack")
_PARTIAL = re.compile(r"remote\..*\.promisor|extensions\.partialclone")
_HELPER = re.compile(r"credential\.(.*\.)?helper")


class Entry(msgspec.Struct, frozen=True):
    """A configuration value; ``key`` as git prints it, section and name in lower case."""

    scope: str
    key: str
    value: str

    @property
    def own(self) -> bool:
        """True if the entry is in the repository's own configuration."""
        return self.scope in ("local", "worktree")


class Overrides(msgspec.Struct, frozen=True):
    """Configuration and environment that keep a repository's own programs from running."""

    config: list[tuple[str, str]] = []
    env: dict[str, str] = {}


def may_name_programs(git_dir: Path) -> bool:
    """Report whether the repository's own configuration has to be parsed."""
    for name in ("config", "config.worktree"):
        try:
            if _SUSPECT.search((git_dir / name).read_bytes()):
                return True
        except FileNotFoundError:
            continue
        except OSError:
            return True  # ``.git`` is a file that names another directory.
    return False


def parse(output: bytes) -> list[Entry]:
    """Return the entries that ``git config --list --show-scope -z`` printed."""
    fields = os.fsdecode(output).split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [Entry(scope, *_key_and_value(text)) for scope, text in pairs]


def _key_and_value(text: str) -> tuple[str, str]:
    key, _, value = text.partition("\n")
    return key, value


def overrides(
    entries: Iterable[Entry], environment: Mapping[str, str], patience: float
) -> Overrides:
    """Return overrides that keep git from running the repository's own programs in ``entries``.

    Each of the user's credential helpers is limited to ``patience`` seconds.
    """
    own = [entry for entry in entries if entry.own]
    users = [entry for entry in entries if not entry.own]
    config = [
        (entry.key, default)
        for entry in own
        for pattern, default in _DEFAULTS
        if pattern.fullmatch(entry.key)
    ]
    # An empty helper drops those before it (gitcredentials(7)); the user's are added again.
    config += [("credential.helper", "")]
    config += [
        (entry.key, _bounded(entry.value, patience, environment))
        for entry in users
        if _HELPER.fullmatch(entry.key)
    ]
    return Overrides(config, _transport(own, users, environment))


def _bounded(helper: str, patience: float, environment: Mapping[str, str]) -> str:
    """Return a credential helper that is killed if it takes too long, where ``timeout`` exists.

    It may be waiting for a user's input.
    """
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
    # A variable takes precedence over the configuration; the value is the user's, or the default.
    if "core.sshcommand" in keys and "GIT_SSH_COMMAND" not in environment:
        theirs = [entry.value for entry in users if entry.key == "core.sshcommand"]
        usual = shlex.quote(environment.get("GIT_SSH") or "ssh")
        found["GIT_SSH_COMMAND"] = theirs[-1] if theirs else usual
    if "core.gitproxy" in keys and "GIT_PROXY_COMMAND" not in environment:
        found["GIT_PROXY_COMMAND"] = ""
    if any(map(_UPLOAD_PACK.fullmatch, keys)) and any(map(_PARTIAL.fullmatch, keys)):
        # Missing objects are fetched by git itself, without our options: restrict the protocols,
        # so that no configured program is involved.
        found["GIT_ALLOW_PROTOCOL"] = "git:http:https"
    return found
