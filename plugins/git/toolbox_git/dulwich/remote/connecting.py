"""Connections to remotes with dulwich: credentials, timeouts and programs."""

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

from toolbox_git.dulwich.configuration import stored_credentials
from toolbox_git.dulwich.remote.authorities import chosen_authorities
from toolbox_git.dulwich.remote.authorities import further_authorities
from toolbox_git.errors import TransportFailed
from toolbox_git.urls import Credentials
from toolbox_git.urls import check_url

_PROGRAMS = ((b"core", b"sshCommand"), (b"core", b"gitProxy"))


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of connections to a remote."""

    credentials: Credentials = Credentials()
    stall_timeout: float = 60.0
    insecure: bool = False


def configuration_for_remotes(repo: Repo) -> StackedConfig:
    """Return the configuration without programs from the repository's own.

    :mod:`toolbox_git.programs` has the reasons.
    """
    stack = repo.get_config_stack()
    # The stack has the repository's files first, then the user's.
    users = len(StackedConfig.default_backends())
    # They were read for this stack only, so changing them affects nothing else.
    for own in stack.backends[: len(stack.backends) - users]:
        for section, name in _PROGRAMS:
            with contextlib.suppress(KeyError):
                own.remove((section,), name)
    return stack


def connect(url: str, config: StackedConfig, access: Access) -> tuple[GitClient, bytes]:
    """Return a client for the remote at ``url``, and the path on it. Raises BadRequest."""
    url = apply_instead_of(config, url)
    check_url(url)
    extra = ConfigFile()
    extra.set((b"http",), b"timeout", str(access.stall_timeout).encode())
    if access.insecure:
        extra.set((b"http",), b"sslVerify", b"false")
    fallback = ConfigFile()
    for layer, file in (
        (extra, chosen_authorities(os.environ)),
        (fallback, further_authorities()),
    ):
        if file:
            layer.set((b"http",), b"sslCAInfo", os.fsencode(file))
    credentials = access.credentials or stored_credentials(url)
    client, path = get_transport_and_path(
        url,
        config=StackedConfig([extra, *config.backends, fallback]),
        quiet=True,
        # urllib3 encodes them as Latin-1, but servers expect UTF-8 (RFC 7617, section 2.1).
        username=credentials.username.encode().decode("latin-1") or None,
        password=credentials.password.encode().decode("latin-1") or None,
        ssh_command=os.environ.get("GIT_SSH_COMMAND"),
    )
    if isinstance(client, SSHGitClient):
        program = shlex.split(client.ssh_command)[0]
        if shutil.which(program) is None:
            raise TransportFailed(f"{program} is not installed")
    if isinstance(client, Urllib3HttpGitClient):
        # No retries after a timeout: a silent server fails after one stall_timeout, not four.
        retries = urllib3.Retry(total=10, connect=0, read=0, other=0, redirect=10)
        client.pool_manager.connection_pool_kw["retries"] = retries
    return client, path.encode() if isinstance(path, str) else path
