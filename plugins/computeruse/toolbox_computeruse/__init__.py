"""API group ``computeruse``: a desktop an agent can see and drive."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_computeruse.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="computeruse",
            name="x11",
            target="toolbox_computeruse.x11:X11ComputerUse",
            summary="an X desktop: a private Xvfb or an existing server; input through XTEST",
            requires=("Xvfb", "ffmpeg"),
        ),
        BackendSpec(
            group="computeruse",
            name="pynput",
            target="toolbox_computeruse.pynput:PynputComputerUse",
            summary="as x11, but input through the library pynput, which xterm and others ignore",
            requires=("Xvfb", "ffmpeg"),
        ),
    ]
