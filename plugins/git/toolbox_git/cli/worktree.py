"""Operations on one repository that need no remote, with the git binary."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox_git.cli.call import Call
from toolbox_git.cli.call import Output
from toolbox_git.cli.parsing import LOG
from toolbox_git.cli.parsing import STATUS
from toolbox_git.cli.parsing import parse_log
from toolbox_git.cli.parsing import parse_status
from toolbox_git.cli.running import Runner
from toolbox_git.errors import BranchExists
from toolbox_git.errors import BranchNotFound
from toolbox_git.models import Branches
from toolbox_git.models import CommitInfo
from toolbox_git.models import CommitRequest
from toolbox_git.models import GitStatus
from toolbox_git.models import Remote
from toolbox_git.models import ResetRequest
from toolbox_git.models import RestoreRequest
from toolbox_git.names import clean_identity
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_member
from toolbox_git.names import to_text
from toolbox_git.repository import Repository

# Standard input has no length limit, and a name there can't be taken for an option.
_FROM_STDIN = ("--pathspec-from-file=-", "--pathspec-file-nul")
_HASH = re.compile(r"[0-9a-f]{40,64}")


class Worktree:
    """A repository and, unless it is bare, its working tree. Methods raise as GitBackend's."""

    def __init__(self, runner: Runner, repository: Repository, timeout: float) -> None:
        self._runner = runner
        self._timeout = timeout
        self.path = repository.path
        self.repository = repository

    def git(self, *arguments: bytes | str, **options: Any) -> bytes:
        """Run git in this repository; return its output. ``options`` as of :class:`Call`."""
        return self._runner.run(arguments, self._call(options))

    def git_unchecked(self, *arguments: bytes | str, **options: Any) -> Output:
        """Run git in this repository, accepting any exit status."""
        return self._runner.run_unchecked(arguments, self._call(options))

    def git_optional(self, *arguments: bytes | str) -> bytes:
        """Run git for a value that may be absent; return its output, empty if it is.

        An absent value is status 1, or an error that ``-q`` keeps quiet. Anything else is raised,
        such as a damaged configuration: it says nothing about the value.
        """
        output = self.git_unchecked(*arguments)
        if output.status > 1 and output.stderr:
            raise output.error()
        return output.stdout

    def _call(self, options: dict[str, Any]) -> Call:
        git_dir = self.repository.git_dir.absolute()
        return Call(cwd=self.path, git_dir=git_dir, **{"timeout": self._timeout, **options})

    def status(self) -> GitStatus:
        if self.repository.bare:
            raise BadRequest("a bare repository has no working tree")
        return parse_status(self.git(*STATUS))

    def history(self, limit: int | None) -> list[CommitInfo]:
        bound = () if limit is None else (f"--max-count={limit}",)
        output = self.git_unchecked(*LOG, *bound)
        if output.status == 0:
            return parse_log(output.stdout)
        # Only now: a second process takes as long as the log of 100 commits. Status 1 means only
        # that HEAD has no hash, which is so before the first commit.
        if self.git_unchecked("rev-parse", "--verify", "-q", "HEAD").status == 1:
            return []
        raise output.error()

    def branches(self) -> Branches:
        found = self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
        return Branches(sorted(to_text(name) for name in found.splitlines()), self.current())

    def current(self) -> str:
        """Return the branch that is checked out; empty if HEAD is detached."""
        found = self.git_optional("symbolic-ref", "-q", "HEAD")
        return to_text(found.strip().removeprefix(b"refs/heads/"))

    def common_dir(self) -> Path:
        """Return the repository's directory, which its linked working trees share."""
        found = self.git("rev-parse", "--git-common-dir").removesuffix(b"\n")
        return self.path / os.fsdecode(found)

    def commit_of(self, revision: str) -> str:
        """Return the hash of the commit that ``revision`` names; empty if there is none."""
        if revision.startswith("-"):
            return ""
        name = to_bytes(revision) + b"^{commit}"
        output = self.git_optional("rev-parse", "--verify", "-q", name)
        found = output.decode("ascii", "replace").strip()
        return found if _HASH.fullmatch(found) else ""

    def resolve(self, revision: str) -> str:
        """Return the hash of the commit that ``revision`` names. Raises BranchNotFound."""
        if found := self.commit_of(revision):
            return found
        raise BranchNotFound(f"no branch, tag or commit {revision!r}")

    def create_branch(self, name: str) -> None:
        if not is_branch_name(name):
            raise BadRequest(f"{name!r} is not a valid branch name")
        if self.commit_of(f"refs/heads/{name}"):
            raise BranchExists(f"a branch {name!r} already exists")
        head = self.resolve("HEAD")
        # The zeros make git check that the branch doesn't exist by now (git-update-ref(1)).
        self.git("update-ref", b"refs/heads/" + to_bytes(name), head, "0" * len(head))
        self._switch_to(name)

    def _switch_to(self, name: str) -> None:
        # Neither files nor the index change, so uncommitted changes are safe.
        reason = f"checkout: moving to {name}"
        self.git("symbolic-ref", "-m", reason, "HEAD", b"refs/heads/" + to_bytes(name))

    def delete_branch(self, name: str) -> None:
        if not is_branch_name(name) or not self.commit_of(f"refs/heads/{name}"):
            raise BranchNotFound(f"no branch {name!r}")
        output = self.git_unchecked("branch", "-q", "-D", "--", to_bytes(name))
        # Newer versions of git print "used by worktree", older ones "checked out at".
        if "checked out at" in output.stderr or "used by worktree" in output.stderr:
            raise Conflict(f"the branch {name!r} is checked out")
        if output.status:
            raise output.error()

    def checkout(self, name: str) -> None:
        if name.startswith("-"):
            raise BranchNotFound(f"no branch or commit {name!r}")
        # The final "--" keeps git from taking the name for a file, whose changes it would discard.
        if self.commit_of(f"refs/heads/{name}"):
            self.git("checkout", "-q", "--no-guess", to_bytes(name), "--")
        elif remote := self._tracking(name):
            self.git("checkout", "-q", "-b", to_bytes(name), "--track", to_bytes(remote))
        else:
            self.git("checkout", "-q", "--detach", self.resolve(name), "--")

    def _tracking(self, name: str) -> str:
        """Return ``refs/remotes/<remote>/<name>`` if exactly one remote has that branch."""
        if not is_branch_name(name):
            return ""
        found = [f"refs/remotes/{remote.name}/{name}" for remote in self.remotes()]
        found = [reference for reference in found if self.commit_of(reference)]
        return found[0] if len(found) == 1 else ""

    def add(self, files: list[str]) -> None:
        members = [to_member(name, self.path) for name in files]
        kinds = {name: (self.path / os.fsdecode(name)) for name in members}
        directories = [n for n, p in kinds.items() if p.is_dir() and not p.is_symlink()]
        others = [name for name in kinds if name not in directories]
        if others:
            self._check_known(others)
        # An ignored file is added if it is named itself, but not with its directory.
        for names, force in ((others, ("-f",)), (directories, ())):
            if names:
                self._stage(*force, names=names)

    def _stage(self, *options: str, names: list[bytes]) -> None:
        stdin = b"\0".join(names)
        command = ["add", "-A", *options, *_FROM_STDIN]
        output = self.git_unchecked(*command, stdin=stdin)
        if "sparse-checkout definition" in output.stderr:
            # A file named explicitly is added even if the sparse checkout excludes it.
            output = self.git_unchecked(*command, "--sparse", stdin=stdin)
        if output.status:
            raise output.error()

    def _check_known(self, names: list[bytes]) -> None:
        absent = [name for name in names if not os.path.lexists(self.path / os.fsdecode(name))]
        # The deletion of a tracked file can be staged; any other missing file is an error, found
        # before anything is staged.
        if absent:
            self.git("ls-files", "--error-unmatch", "--", *absent)

    def commit(self, body: CommitRequest) -> str:
        author, email = clean_identity(body.author), clean_identity(body.email)
        if not author:
            raise BadRequest("the author's name has no usable character")
        command = ["commit", "-q", "--no-verify", "--cleanup=verbatim", "--allow-empty-message"]
        command += ["--allow-empty"] if body.allow_empty else []
        output = self.git_unchecked(
            *command,
            "--file=-",
            stdin=body.message.encode(),
            env={
                "GIT_AUTHOR_NAME": author,
                "GIT_AUTHOR_EMAIL": email,
                "GIT_COMMITTER_NAME": author,
                "GIT_COMMITTER_EMAIL": email,
            },
            config={"i18n.commitEncoding": "UTF-8"},
        )
        # Git prints the status then, to standard output.
        if output.status == 1 and not output.stderr:
            raise Conflict("nothing is staged to commit")
        if output.status:
            raise output.error()
        return self.resolve("HEAD")

    def reset(self, body: ResetRequest) -> None:
        mode = body.mode or "mixed"
        target = [self.resolve(body.target)] if body.target else []
        if not body.files:
            self._need_worktree(mode not in ("soft",))
            self.git("reset", "-q", f"--{mode}", *target, "--")
            return
        if mode != "mixed":
            raise BadRequest(f"files can't be reset in mode {mode!r}")
        names = [to_member(name, self.path) for name in body.files]
        self.git("reset", "-q", *_FROM_STDIN, *target, stdin=b"\0".join(names))

    def _need_worktree(self, needed: bool) -> None:
        if needed and self.repository.bare:
            raise BadRequest("a bare repository has no working tree")

    def restore(self, body: RestoreRequest) -> None:
        names = b"\0".join(to_member(name, self.path) for name in body.files)
        source = [f"--source={self.resolve(body.source)}"] if body.source else []
        if body.staged and not source and not self.commit_of("HEAD"):
            # There is no commit to restore from: the files are removed from the index.
            self.git("ls-files", "--error-unmatch", "--", *names.split(b"\0"))
            self.git("rm", "-q", "-r", "-f", "--cached", *_FROM_STDIN, stdin=names)
            return
        targets = ["--staged"] if body.staged else []
        if body.worktree or not body.staged:
            targets.append("--worktree")
        self.git("restore", "-q", *targets, *source, *_FROM_STDIN, stdin=names)

    def remotes(self) -> list[Remote]:
        output = self.git_optional("config", "-z", "--get-regexp", r"^remote\..*\.url$")
        found: dict[str, str] = {}
        for record in output.split(b"\0"):
            key, _, value = record.partition(b"\n")
            # Of a remote with several URLs git fetches from the first.
            if key:
                name = to_text(key.removeprefix(b"remote.").removesuffix(b".url"))
                found.setdefault(name, to_text(value))
        return [Remote(name, url) for name, url in sorted(found.items())]

    def config(self, key: str) -> str:
        """Return a value of the configuration; empty if it isn't set."""
        return to_text(
            self.git_optional("config", "-z", "--get", to_bytes(key)).removesuffix(b"\0")
        )
