"""Configuration and stored credentials with the git binary."""

from __future__ import annotations

from pathlib import Path

from toolbox.errors import BadRequest
from toolbox_git.cli.call import Call
from toolbox_git.cli.running import Runner
from toolbox_git.models import CredentialsRequest
from toolbox_git.models import Scope
from toolbox_git.names import check_key
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text
from toolbox_git.repository import find


class Configuration:
    """Access to git's configuration files. Methods raise as those of GitBackend."""

    def __init__(self, runner: Runner, base: Path, timeout: float) -> None:
        self._runner = runner
        self._base = base
        self._timeout = timeout

    def get(self, key: str, scope: Scope, path: str) -> str | None:
        """Return one value; None if it isn't set."""
        check_key(key)
        call = self._call(scope, path)
        output = self._runner.run_unchecked(
            ["config", f"--{scope}", "-z", "--get", to_bytes(key)], call
        )
        # Status 1 is also that of an invalid key, but then there is a message.
        if output.status == 1 and not output.stderr:
            return None
        if output.status:
            raise output.error()
        return to_text(output.stdout.removesuffix(b"\0"))

    def set(self, key: str, value: str, scope: Scope, path: str) -> None:
        """Replace all values of ``key`` by one."""
        check_key(key)
        change = ("config", f"--{scope}", "--replace-all", to_bytes(key), to_bytes(value))
        self._runner.run(change, self._call(scope, path))

    def store(self, body: CredentialsRequest) -> None:
        """Store credentials with git's ``store`` helper (git-credential-store(1))."""
        host, protocol = body.host or "github.com", body.protocol or "https"
        call = self._call("global", "")
        get = ["config", "--global", "--get-all", "credential.helper"]
        helpers = self._runner.run_unchecked(get, call).stdout.split()
        # Added to those that the user has: git asks each until one has credentials.
        if b"store" not in helpers:
            add = ["config", "--global", "--add", "credential.helper", "store"]
            self._runner.run(add, call)
        target = f"protocol={protocol}\nhost={host}\n"
        entry = f"{target}username={body.username}\npassword={body.password}\n"
        # Erased first: the helper keeps one entry for each user name, and returns the oldest.
        for action, text in (("erase", target), ("store", entry)):
            given = Call(cwd=self._base, stdin=f"{text}\n".encode(), timeout=self._timeout)
            self._runner.run(["credential-store", action], given)

    def _call(self, scope: Scope, path: str) -> Call:
        if scope != "local":
            return Call(cwd=self._base, timeout=self._timeout)
        if not path:
            raise BadRequest("scope 'local' requires the path of a repository")
        repository = find(path, self._base)
        git_dir = repository.git_dir.absolute()
        return Call(cwd=repository.path, git_dir=git_dir, timeout=self._timeout)
