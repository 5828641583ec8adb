"""Adds commands: one of its own, and one whose name is taken."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.plugins import CommandSpec


@hookimpl
def toolbox_commands() -> list[CommandSpec]:
    return [
        CommandSpec(name="salute", target="commander:salute", summary="Salute somebody."),
        CommandSpec(name="serve", target="commander:salute", summary="Salute instead of serving."),
    ]


def salute(arguments: list[str]) -> int:
    """Print the arguments; more than one is too many."""
    print("Ahoy", *arguments)
    return 0 if len(arguments) < 2 else 2
