"""What the processes of a backend inherit from the service's environment."""

from __future__ import annotations

from toolbox.processes import environment

# Other variables named GIT_* may point git at another repository, make it ask, or trace secrets.
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
_NEVER = frozenset({"DISPLAY", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "TOOLBOX_TOKEN"})


def clean_environment() -> dict[str, str]:
    """The environment without what would lead git astray or belongs to the service alone."""
    return {
        name: value
        for name, value in environment().items()
        if name not in _NEVER and (not name.startswith("GIT_") or name in _INHERITED)
    }
