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


def applies(environment: Mapping[str, str]) -> bool:
    """Report whether an environment requests the profile."""
    return environment.get(PROFILE) == AUTOMATION


def complete(variables: Mapping[str, str], envs: Mapping[str, str]) -> dict[str, str]:
    """Return the launcher's variables, the profile's if it is requested, and the job's ``envs``,
    which win.
    """
    env = {**variables, **envs}
    return {**env, **VARIABLES, **envs} if applies(env) else env
