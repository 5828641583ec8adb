"""The settings in ``[computeruse]``, which every backend uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]


class ComputerUseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the desktop.

    Empty values and 0 fall back to the environment variables that Daytona's images set.
    """

    display: Annotated[
        str,
        Meta(
            pattern=r"^(:\d{1,5}(\.\d+)?)?$",
            description='X display, such as ":0"; empty: DISPLAY, or ":0".',
        ),
    ] = ""
    attach: Annotated[
        bool,
        Meta(description="Use an existing X server; start and stop only the other programs."),
    ] = False
    resolution: Annotated[
        str,
        Meta(
            pattern=r"^([1-9]\d{1,4}x[1-9]\d{1,4})?$",
            description='Size of the desktop in pixels, such as "1280x800"; empty: VNC_RESOLUTION, '
            'or "1024x768".',
        ),
    ] = ""
    dpi: Annotated[int, Meta(ge=20, le=600, description="Dots per inch the X server reports.")] = 96
    window_manager: Annotated[
        str,
        Meta(
            description='Command of the desktop session; "none": no session; empty: startxfce4, '
            "or openbox.",
        ),
    ] = ""
    vnc: Annotated[
        bool, Meta(description="Serve the desktop over VNC and noVNC, where they are installed.")
    ] = True
    vnc_host: Annotated[
        str, Meta(description="Address for VNC and noVNC, which have no password by default.")
    ] = "127.0.0.1"
    vnc_port: Annotated[Port, Meta(description="Port for VNC; 0: VNC_PORT, or 5901.")] = 0
    novnc_port: Annotated[Port, Meta(description="Port for noVNC; 0: NO_VNC_PORT, or 6080.")] = 0
    vnc_password_file: Annotated[
        str, Meta(description="File whose first line is the VNC password; empty: no password.")
    ] = ""
    state_dir: Annotated[
        str,
        Meta(description="Directory for the programs' logs; empty: ~/.daytona/computeruse."),
    ] = ""
    recordings_dir: Annotated[
        str,
        Meta(
            description="Directory for recordings; empty: DAYTONA_RECORDINGS_DIR, or "
            "~/.daytona/recordings."
        ),
    ] = ""
    start_timeout: Annotated[
        float, Meta(gt=0, le=120, description="Maximum seconds until the desktop is ready.")
    ] = 20.0
    x_timeout: Annotated[
        float, Meta(gt=0, le=60, description="Maximum seconds for the X server to respond.")
    ] = 10.0
    gesture_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Maximum seconds to type a text, drag or scroll.")
    ] = 60.0
    max_pixels: Annotated[int, Meta(ge=1, description="Maximum pixels of a region to capture.")] = (
        50_000_000
    )


def display_name(options: ComputerUseSettings) -> str:
    """Return the X display. Call this once, at the start: a desktop sets DISPLAY itself."""
    return options.display or os.environ.get("DISPLAY") or ":0"


def resolution(options: ComputerUseSettings) -> str:
    """Return the size of a desktop to start: ``WIDTHxHEIGHT``."""
    return options.resolution or os.environ.get("VNC_RESOLUTION") or "1024x768"


def vnc_port(options: ComputerUseSettings) -> int:
    """Return the port for VNC."""
    return options.vnc_port or _port("VNC_PORT", 5901)


def novnc_port(options: ComputerUseSettings) -> int:
    """Return the port for noVNC."""
    return options.novnc_port or _port("NO_VNC_PORT", 6080)


def _port(name: str, default: int) -> int:
    # An invalid value counts as unset: the variables are an image's, not this service's settings.
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and 0 < int(text) < 65536 else default


def state_dir(options: ComputerUseSettings) -> Path:
    """Return the directory for the programs' logs."""
    if options.state_dir:
        return Path(options.state_dir)
    return _daytona_dir() / "computeruse"


def recordings_dir(options: ComputerUseSettings) -> Path:
    """Return the directory for recordings."""
    named = options.recordings_dir or os.environ.get("DAYTONA_RECORDINGS_DIR", "")
    return Path(named).absolute() if named else _daytona_dir() / "recordings"


def _daytona_dir() -> Path:
    return Path(os.environ.get("HOME") or "/").absolute() / ".daytona"
