"""The API group ``computeruse``, composed of each module's operations."""

from __future__ import annotations

from toolbox.group import Group
from toolbox_computeruse import accessibility_routes
from toolbox_computeruse import recordings_routes
from toolbox_computeruse import routes
from toolbox_computeruse import viewing_routes
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.settings import ComputerUseSettings

group = Group(
    "computeruse",
    backend=ComputerUseBackend,
    default_backend="x11",
    settings=ComputerUseSettings,
    summary="A desktop to see and drive: screenshots, input, windows, accessibility, recordings",
)
group.include(
    routes.operations,
    recordings_routes.operations,
    accessibility_routes.operations,
    viewing_routes.operations,
)
