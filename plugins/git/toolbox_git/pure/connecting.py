"""How dulwich speaks to a remote: with which credentials, patience and programs."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil

import msgspec
import urllib3
from dulwich.client import GitClient
from dulwich.client import SSHGitClient
from dulwich.client import Urllib3HttpGitClient
from dulwich.client import get_transport_and_path
from dulwich.config import ConfigFile
from dulwich.config import StackedConfig
from dulwich.config import apply_instead_of
from dulwich.repo import Repo

from toolbox_git.errors import TransportFailed
from toolbox_git.pure.configuration import stored_credentials
from toolbox_git.urls import Credentials
from toolbox_git.urls import check_url

_PROGRAMS = ((b"core", b"sshCommand"), (b"core", b"gitProxy"))


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a remote is spoken to."""

    credentials: Credentials = Credentials()
    stall_timeout: float = 60.0
    insecure: bool = False


def configuration_for_remotes(repo: Repo) -> StackedConfig:
    """The configuration, without the programs that the repository's own names.

    See :mod:`toolbox_git.programs`.
    """
    stack = repo.get_config_stack()
    users = len(StackedConfig.default_backends())
    # They were read for this stack alone.
    for own in stack.backends[: len(stack.backends) - users]:
        for section, name in _PROGRAMS:
            with contextlib.suppress(KeyError):
                own.remove((section,), name)
    return stack


def connect(url: str, config: StackedConfig, access: Access) -> tuple[GitClient, bytes]:
    """A client for the remote at ``url``, and the path there. Raises BadRequest."""
    url = apply_instead_of(config, url)
    check_url(url)
    extra = ConfigFile()
    extra.set((b"http",), b"timeout", str(access.stall_timeout).encode())
    if access.insecure:
        extra.set((b"http",), b"sslVerify", b"false")
    credentials = access.credentials or stored_credentials(url)
    client, path = get_transport_and_path(
        url,
        config=StackedConfig([extra, *config.backends]),
        quiet=True,
        # They are sent as Latin-1 (urllib3), where servers expect UTF-8 (RFC 7617, 2.1).
        username=credentials.username.encode().decode("latin-1") or None,
        password=credentials.password.encode().decode("latin-1") or None,
        ssh_command=os.environ.get("GIT_SSH_COMMAND"),
    )
    if isinstance(client, SSHGitClient):
        program = shlex.split(client.ssh_command)[0]
        if shutil.which(program) is None:
            raise TransportFailed(f"there is no program {program} to speak to the remote by")
    if isinstance(client, Urllib3HttpGitClient):
        # A silent peer is given up after one stall_timeout, not after four.
        retries = urllib3.Retry(total=10, connect=0, read=0, other=0, redirect=10)
        client.pool_manager.connection_pool_kw["retries"] = retries
    return client, path.encode() if isinstance(path, str) else path
