"""API group ``computeruse``: a desktop an agent can see and drive."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_computeruse import accessibility_routes

    return accessibility_routes.group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="computeruse",
            name="x11",
            target="toolbox_computeruse.x11:X11ComputerUse",
            summary="an X desktop: Xvfb of our own, or one that is there; input by XTEST",
            requires=("Xvfb", "ffmpeg"),
        ),
        Backend(
            group="computeruse",
            name="pynput",
            target="toolbox_computeruse.pynput:PynputComputerUse",
            summary="as x11, but input by the library pynput, which xterm and others ignore",
            requires=("Xvfb", "ffmpeg"),
        ),
    ]
