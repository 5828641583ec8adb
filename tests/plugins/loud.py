"""Another backend for a group that a different plugin brought."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.lifecycle import Context
from toolbox.plugins import BackendSpec
from toolbox.plugins import NoSettings


class Loud:
    """Greets so that it is heard."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        pass

    def greet(self, name: str, times: int) -> str:
        """See GreeterBackend."""
        return f"HELLO {name.upper()}"


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    """Offer the backend."""
    return [
        BackendSpec(
            group="greeter",
            name="loud",
            target="loud:Loud",
            summary="for the hard of hearing",
            requires=("a-program-that-is-nowhere",),
        )
    ]
