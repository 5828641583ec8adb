"""The environment that ``create`` gives to the jobs of this machine, and that ``delete`` takes."""

from __future__ import annotations

from collections.abc import Mapping

from toolbox.processes import changing_environment


class Environment:
    """Variables in the environment of the service, which jobs inherit."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}
        """The values that were there before; None for none."""

    def add(self, variables: Mapping[str, str]) -> None:
        """Set variables. A job that starts meanwhile has all of them or none."""
        with changing_environment() as environ:
            for name, value in variables.items():
                self._before.setdefault(name, environ.get(name))
                environ[name] = value

    def restore(self) -> None:
        """Undo what was added."""
        with changing_environment() as environ:
            for name, value in self._before.items():
                if value is None:
                    environ.pop(name, None)
                else:
                    environ[name] = value
        self._before.clear()
