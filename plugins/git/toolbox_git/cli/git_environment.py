"""The environment and configuration of git processes: what git inherits, and its credentials."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from toolbox_git import programs
from toolbox_git.cli.call import Call
from toolbox_git.environment import clean_environment
from toolbox_git.programs import Overrides
from toolbox_git.urls import PROTOCOLS
from toolbox_git.urls import origin_of
from toolbox_git.urls import scheme_of

_CONFIG = {
    **programs.ALWAYS,
    # No background process may outlive an operation, and no user setting change the output.
    "core.quotePath": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "merge.autoStash": "false",
    "advice.detachedHead": "false",
    # Repositories may belong to other users: clients that may call this service are trusted.
    "safe.directory": "*",
}

_ENVIRONMENT = {
    "LC_ALL": "C",
    "LANGUAGE": "",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
}

_HELPER = (
    '!f() { if test "$1" = erase; then rm -f "$TOOLBOX_GIT_VALID";'
    ' elif test "$1" = get && test -e "$TOOLBOX_GIT_VALID"; then'
    ' printf "username=%s\npassword=%s\n" "$TOOLBOX_GIT_USERNAME" "$TOOLBOX_GIT_PASSWORD"; fi; }; f'
)
"""A credential helper (gitcredentials(7)) that keeps the secret out of every argument list.

It returns rejected credentials only once: Git LFS would ask for them without end.
"""


@contextlib.contextmanager
def environment_of(call: Call, overrides: Overrides) -> Iterator[dict[str, str]]:
    """Provide the environment for the process of ``call``."""
    env = {**clean_environment(), **_ENVIRONMENT, **overrides.env}
    if call.git_dir is not None:
        env["GIT_DIR"] = str(call.git_dir)
    config = [*_CONFIG.items(), *overrides.config, *call.config.items()]
    with contextlib.ExitStack() as stack:
        if call.credentials and scheme_of(call.url) in ("http", "https"):
            # Bound to the origin, so that a redirect to another host doesn't receive them.
            config += [("credential.helper", "")]
            config += [(f"credential.{origin_of(call.url)}.helper", _HELPER)]
            env["TOOLBOX_GIT_USERNAME"] = call.credentials.username
            env["TOOLBOX_GIT_PASSWORD"] = call.credentials.password
            env["TOOLBOX_GIT_VALID"] = stack.enter_context(_marker())
        # Configuration in variables, unlike -c, isn't visible in argument lists (git-config(1)).
        env["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        yield {**env, **call.env}


@contextlib.contextmanager
def _marker() -> Iterator[str]:
    """Provide the path of an empty file, which the credential helper may remove."""
    descriptor, name = tempfile.mkstemp(prefix="toolbox-git-")
    os.close(descriptor)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
