"""The environment that the processes of a backend inherit from the service."""

from __future__ import annotations

from toolbox.processes import environment

# Other GIT_* variables may point git at another repository, make it prompt, or trace secrets.
_INHERITED = frozenset(
    {
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_LFS_SKIP_SMUDGE",
        "GIT_PROXY_COMMAND",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_TEMPLATE_DIR",
    }
)
# ssh asks for a passphrase in a window where it finds DISPLAY (ssh(1), SSH_ASKPASS).
_NEVER = frozenset({"DISPLAY", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "TOOLBOX_TOKEN"})


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that redirect git or belong to the service."""
    return {
        name: value
        for name, value in environment().items()
        if name not in _NEVER and (not name.startswith("GIT_") or name in _INHERITED)
    }
