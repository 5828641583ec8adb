"""The programs a desktop is made of, as far as they are installed."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from toolbox_computeruse import settings
from toolbox_computeruse.connection import server_answers
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.settings import ComputerUseSettings
from toolbox_computeruse.supervisor import Program

NOVNC_PAGES = "/usr/share/novnc"
LAUNCHERS = ("/usr/libexec", "/usr/lib/at-spi2-core", "/usr/lib/at-spi2")
"""Where distributions keep the launcher of the accessibility bus."""


class Place(msgspec.Struct, frozen=True):
    """Where the desktop is: its display, its session bus, and how its parts are asked."""

    display: str
    bus: str
    """Address of the D-Bus session bus."""
    own_bus: bool
    """Whether it is for us to start it."""
    manager_runs: Callable[[], bool]
    forget_manager: Callable[[], None]
    """Called before one is started."""
    server_answers: Callable[[], bool]
    """Whether the X server that is to be used does."""
    accessibility_answers: Callable[[], bool]

    def bus_answers(self) -> bool:
        """Whether something listens at the address of the session bus."""
        return bus_listens(self.bus)


def find_programs(options: ComputerUseSettings, place: Place) -> list[Program]:
    """The programs to run that are installed, in order."""
    found = [
        *(_xvfb(options, place) if not options.attach else ()),
        *(_bus(place) if place.own_bus else ()),
        *_window_manager(options, place),
        *_accessibility(place),
        *(_vnc(options, place) if options.vnc else ()),
    ]
    return sorted(found, key=lambda program: program.priority)


def check_installed(options: ComputerUseSettings) -> None:
    """Raises ComputerUseUnavailable if what a desktop can't do without is not installed."""
    if not options.attach and shutil.which("Xvfb") is None:
        raise ComputerUseUnavailable("Xvfb is not installed (Debian package xvfb)")
    if not _manager_command(options) and options.window_manager != "none":
        wanted = shlex.split(options.window_manager)[:1] or ["startxfce4 or openbox"]
        raise ComputerUseUnavailable(f"no window manager: {wanted[0]} is not installed")


def bus_listens(address: str) -> bool:
    """Whether something listens at a D-Bus address of the kind ``unix:``."""
    options = dict(
        each.split("=", 1) for each in address.removeprefix("unix:").split(",") if "=" in each
    )
    path = f"\0{options['abstract']}" if "abstract" in options else options.get("path", "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(1)
        try:
            sock.connect(path)
        except OSError:
            return False
        return True


def _environ(place: Place) -> dict[str, str]:
    user = os.environ.get("VNC_USER") or os.environ.get("DAYTONA_SANDBOX_USER") or "root"
    return {
        "DISPLAY": place.display,
        "DBUS_SESSION_BUS_ADDRESS": place.bus,
        "HOME": os.environ.get("HOME") or "/",
        "USER": os.environ.get("USER") or user,
    }


def _xvfb(options: ComputerUseSettings, place: Place) -> list[Program]:
    program = shutil.which("Xvfb")
    if program is None:
        return []
    screen = f"{settings.resolution(options)}x24"
    # Without -noreset the server forgets its keyboard map with the last program that leaves.
    command = (program, place.display, "-screen", "0", screen, "-dpi", str(options.dpi))
    return [
        Program(
            name="xvfb",
            priority=100,
            command=(*command, "-nolisten", "tcp", "-noreset"),
            ready=place.server_answers,
            prepare=lambda: clear_stale_lock(place.display),
        )
    ]


def _bus(place: Place) -> list[Program]:
    program = shutil.which("dbus-daemon")
    if program is None:
        return []
    return [
        Program(
            name="dbus",
            priority=150,
            command=(program, "--session", "--nofork", "--nopidfile", f"--address={place.bus}"),
            ready=place.bus_answers,
            environ=_environ(place),
            required=False,
        )
    ]


def _manager_command(options: ComputerUseSettings) -> list[str]:
    """The command of the desktop session; empty if there is none."""
    if options.window_manager == "none":
        return []
    chosen = shlex.split(options.window_manager)
    candidates = [chosen] if chosen else [["startxfce4"], ["openbox"]]
    return next((command for command in candidates if shutil.which(command[0])), [])


def _window_manager(options: ComputerUseSettings, place: Place) -> list[Program]:
    command = _manager_command(options)
    if not command:
        return []
    return [
        Program(
            name="xfce4",
            priority=200,
            command=tuple(command),
            ready=place.manager_runs,
            prepare=place.forget_manager,
            needs=lambda: place.server_answers() and _bus_there(place),
            uses=("xvfb", "dbus"),
            environ=_environ(place),
        )
    ]


def _bus_there(place: Place) -> bool:
    return place.bus_answers() or not shutil.which("dbus-daemon")


def _accessibility(place: Place) -> list[Program]:
    folders = os.pathsep.join([*LAUNCHERS, os.environ.get("PATH", "")])
    program = shutil.which("at-spi-bus-launcher", path=folders)
    if program is None:
        return []
    return [
        Program(
            name="atspi",
            priority=250,
            command=(program, "--launch-immediately"),
            ready=place.accessibility_answers,
            needs=lambda: place.server_answers() and place.bus_answers(),
            uses=("xvfb", "dbus"),
            environ=_environ(place),
            auto_restart=False,
            required=False,
        )
    ]


def _vnc(options: ComputerUseSettings, place: Place) -> list[Program]:
    x11vnc, websockify = shutil.which("x11vnc"), shutil.which("websockify")
    host, port = options.vnc_host, settings.vnc_port(options)
    novnc_port = settings.novnc_port(options)
    found = []
    if x11vnc:
        password = options.vnc_password_file
        access = ("-passwdfile", password) if password else ("-nopw",)
        listen = ("-listen", host, "-no6", "-rfbport", str(port))
        found.append(
            Program(
                name="x11vnc",
                priority=300,
                command=(
                    *(x11vnc, "-display", place.display, "-forever", "-shared", "-quiet"),
                    *("-noxrecord", *listen, *access),
                ),
                ready=lambda: _greets(host, port, b"RFB "),
                needs=place.server_answers,
                uses=("xvfb",),
                environ={"DISPLAY": place.display, "HOME": os.environ.get("HOME") or "/"},
            )
        )
    if x11vnc and websockify:
        pages = ("--web", NOVNC_PAGES) if Path(NOVNC_PAGES).is_dir() else ()
        ends = (f"{host}:{novnc_port}", f"{_reachable(host)}:{port}")
        found.append(
            Program(
                name="novnc",
                priority=400,
                # Not by its launch script, which leaves websockify on the port when it is killed.
                command=(websockify, *pages, *ends),
                ready=lambda: _greets(host, novnc_port, b""),
            )
        )
    return found


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("", "0.0.0.0") else host


def _greets(host: str, port: int, greeting: bytes) -> bool:
    """Whether something listens there, and says ``greeting`` first."""
    try:
        with socket.create_connection((_reachable(host), port), 1) as sock:
            return not greeting or sock.recv(len(greeting)) == greeting
    except OSError:
        return False


def clear_stale_lock(display: str) -> None:
    """Remove the lock of an X server that was killed: its pid may be another process's by now."""
    number = display.lstrip(":").partition(".")[0]
    lock = Path(f"/tmp/.X{number}-lock")
    try:
        pid = int(lock.read_text("ascii", "replace"))
    except (OSError, ValueError):
        return
    try:
        is_server = Path(f"/proc/{pid}/comm").read_text().startswith(("X", "x"))
    except OSError:
        is_server = False
    if not is_server and not server_answers(display):
        for path in (lock, Path(f"/tmp/.X11-unix/X{number}")):
            with contextlib.suppress(OSError):
                path.unlink()
