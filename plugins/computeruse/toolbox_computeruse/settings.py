"""What an operator may set: ``[computeruse]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]


class ComputerUseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the group, whichever backend serves it.

    What is empty or 0 comes from the environment, by the variables Daytona's images set.
    """

    display: Annotated[
        str,
        Meta(
            pattern=r"^(:\d{1,5}(\.\d+)?)?$",
            description='X display, as in ":0"; DISPLAY, else ":0", if empty.',
        ),
    ] = ""
    attach: Annotated[
        bool,
        Meta(description="Use the X server that is there; start and stop only what is beside it."),
    ] = False
    resolution: Annotated[
        str,
        Meta(
            pattern=r"^([1-9]\d{1,4}x[1-9]\d{1,4})?$",
            description='Pixels of the desktop, as in "1280x800"; VNC_RESOLUTION, else "1024x768", '
            "if empty.",
        ),
    ] = ""
    dpi: Annotated[int, Meta(ge=20, le=600, description="Dots per inch the X server reports.")] = 96
    window_manager: Annotated[
        str,
        Meta(
            description='Command of the desktop session; "none" for none; startxfce4, else openbox,'
            " if empty.",
        ),
    ] = ""
    vnc: Annotated[
        bool, Meta(description="Serve the desktop by VNC and noVNC, where they are installed.")
    ] = True
    vnc_host: Annotated[
        str, Meta(description="Address VNC and noVNC listen on; there is no password by default.")
    ] = "127.0.0.1"
    vnc_port: Annotated[Port, Meta(description="VNC_PORT, else 5901, if 0.")] = 0
    novnc_port: Annotated[Port, Meta(description="NO_VNC_PORT, else 6080, if 0.")] = 0
    vnc_password_file: Annotated[
        str, Meta(description="File whose first line is the VNC password; none if empty.")
    ] = ""
    state_dir: Annotated[
        str,
        Meta(description="Directory of the programs' logs; ~/.daytona/computeruse if empty."),
    ] = ""
    recordings_dir: Annotated[
        str,
        Meta(
            description="Directory of recordings; DAYTONA_RECORDINGS_DIR, else "
            "~/.daytona/recordings, if empty."
        ),
    ] = ""
    start_timeout: Annotated[
        float, Meta(gt=0, le=120, description="Seconds the desktop may take until it is ready.")
    ] = 20.0
    x_timeout: Annotated[
        float, Meta(gt=0, le=60, description="Seconds the X server may take to answer.")
    ] = 10.0
    gesture_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Seconds that one typing, drag or scroll may take.")
    ] = 60.0
    max_pixels: Annotated[
        int, Meta(ge=1, description="Pixels of the largest region that may be captured.")
    ] = 50_000_000


def display_name(options: ComputerUseSettings) -> str:
    """The X display in use. To be asked once, at the start: a desktop sets DISPLAY itself."""
    return options.display or os.environ.get("DISPLAY") or ":0"


def resolution(options: ComputerUseSettings) -> str:
    """``WIDTHxHEIGHT`` of a desktop of our own."""
    return options.resolution or os.environ.get("VNC_RESOLUTION") or "1024x768"


def vnc_port(options: ComputerUseSettings) -> int:
    """The port VNC listens on."""
    return options.vnc_port or _port("VNC_PORT", 5901)


def novnc_port(options: ComputerUseSettings) -> int:
    """The port noVNC listens on."""
    return options.novnc_port or _port("NO_VNC_PORT", 6080)


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and 0 < int(text) < 65536 else default


def state_dir(options: ComputerUseSettings) -> Path:
    """Where the programs' logs are."""
    if options.state_dir:
        return Path(options.state_dir)
    return _daytona_dir() / "computeruse"


def recordings_dir(options: ComputerUseSettings) -> Path:
    """Where recordings are."""
    named = options.recordings_dir or os.environ.get("DAYTONA_RECORDINGS_DIR", "")
    return Path(named).absolute() if named else _daytona_dir() / "recordings"


def _daytona_dir() -> Path:
    return Path(os.environ.get("HOME") or "/").absolute() / ".daytona"
