"""The profile ``automation``, for commands and terminals without a human user.

Requested by ``TOOLBOX_PROFILE=automation`` in a job's environment or the service's own. Programs
and pagers then print their output without waiting for keys, and a terminal's queries get replies
(:mod:`toolbox_process.terminals.replies`).
"""

from __future__ import annotations

from collections.abc import Mapping

PROFILE = "TOOLBOX_PROFILE"
AUTOMATION = "automation"

_UNPAGED = '() {{ command {0} "$@" | command cat; }}'
"""A function of bash: a pager whose output is not a terminal prints everything and exits."""

_PAGERS = ("less", "more", "most", "pager")
_FUNCTIONS = {f"BASH_FUNC_{name}%%": _UNPAGED.format(name) for name in _PAGERS}

VARIABLES = {
    **_FUNCTIONS,
    **dict.fromkeys(("PAGER", "MANPAGER", "GIT_PAGER", "GH_PAGER", "SYSTEMD_PAGER"), "cat"),
    "AWS_PAGER": "",
    # Where less is not started by bash: -E and -F make it exit at the end of its input.
    "LESS": "-EFRX",
    "GIT_TERMINAL_PROMPT": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}

SIZE = {"COLUMNS", "LINES"}
"""The size of a terminal."""


def applies(environment: Mapping[str, str]) -> bool:
    """Report whether an environment requests the profile."""
    return environment.get(PROFILE) == AUTOMATION


def complete(
    variables: Mapping[str, str], envs: Mapping[str, str], terminal: bool = False
) -> dict[str, str]:
    """Return the launcher's variables, the profile's if it is requested, and the job's ``envs``,
    which win. On a ``terminal`` of its own it doesn't get the size of one that the service has.
    """
    env = {**variables, **envs}
    if terminal:
        # Programs take these for the size (environ(7)), and then heed no change of it.
        for name in SIZE - envs.keys():
            env.pop(name, None)
    return {**env, **VARIABLES, **envs} if applies(env) else env
