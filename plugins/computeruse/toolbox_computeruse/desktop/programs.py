"""The installed programs of a desktop, with their commands and readiness checks."""

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
from toolbox_computeruse.connection import server_responds
from toolbox_computeruse.desktop.supervisor import Program
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.settings import ComputerUseSettings

NOVNC_PAGES = "/usr/share/novnc"
LAUNCHERS = ("/usr/libexec", "/usr/lib/at-spi2-core", "/usr/lib/at-spi2")
"""Directories in which distributions install the launcher of the accessibility bus."""


class DesktopContext(msgspec.Struct, frozen=True):
    """A desktop's display and session bus, and checks of its parts."""

    display: str
    bus: str
    """Address of the D-Bus session bus."""
    own_bus: bool
    """True if the session bus is started with the desktop."""
    manager_runs: Callable[[], bool]
    forget_manager: Callable[[], None]
    """Called before a window manager is started."""
    server_responds: Callable[[], bool]
    """Reports whether the X server to be used responds."""
    accessibility_responds: Callable[[], bool]

    def bus_responds(self) -> bool:
        """Report whether a process listens at the address of the session bus."""
        return bus_listens(self.bus)


def find_programs(options: ComputerUseSettings, context: DesktopContext) -> list[Program]:
    """Return the installed programs to run, in the order of their start."""
    found = [
        *(_xvfb(options, context) if not options.attach else ()),
        *(_bus(context) if context.own_bus else ()),
        *_window_manager(options, context),
        *_accessibility(context),
        *(_vnc(options, context) if options.vnc else ()),
    ]
    return sorted(found, key=lambda program: program.priority)


def check_installed(options: ComputerUseSettings) -> None:
    """Raise ComputerUseUnavailable if a required program is not installed."""
    if not options.attach and shutil.which("Xvfb") is None:
        raise ComputerUseUnavailable("Xvfb is not installed (Debian package xvfb)")
    if not _manager_command(options) and options.window_manager != "none":
        command = shlex.split(options.window_manager)[:1] or ["startxfce4 or openbox"]
        raise ComputerUseUnavailable(f"no window manager: {command[0]} is not installed")


def bus_listens(address: str) -> bool:
    """Report whether a process listens at a D-Bus address of the form ``unix:``."""
    # The form of addresses in the D-Bus Specification, "Server Addresses".
    options = dict(
        option.split("=", 1) for option in address.removeprefix("unix:").split(",") if "=" in option
    )
    path = f"\0{options['abstract']}" if "abstract" in options else options.get("path", "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(1)
        try:
            sock.connect(path)
        except OSError:
            return False
        return True


def _environ(context: DesktopContext) -> dict[str, str]:
    user = os.environ.get("VNC_USER") or os.environ.get("DAYTONA_SANDBOX_USER") or "root"
    return {
        "DISPLAY": context.display,
        "DBUS_SESSION_BUS_ADDRESS": context.bus,
        "HOME": os.environ.get("HOME") or "/",
        "USER": os.environ.get("USER") or user,
    }


def _xvfb(options: ComputerUseSettings, context: DesktopContext) -> list[Program]:
    program = shutil.which("Xvfb")
    if program is None:
        return []
    screen = f"{settings.resolution(options)}x24"
    # Without -noreset the server resets its keyboard map when the last client disconnects.
    command = (program, context.display, "-screen", "0", screen, "-dpi", str(options.dpi))
    return [
        Program(
            name="xvfb",
            priority=100,
            # No TCP, since the display requires no authorization.
            command=(*command, "-nolisten", "tcp", "-noreset"),
            ready=context.server_responds,
            prepare=lambda: clear_stale_lock(context.display),
        )
    ]


def _bus(context: DesktopContext) -> list[Program]:
    program = shutil.which("dbus-daemon")
    if program is None:
        return []
    return [
        # Not required: screenshots and input work without a session bus.
        Program(
            name="dbus",
            priority=150,
            command=(program, "--session", "--nofork", "--nopidfile", f"--address={context.bus}"),
            ready=context.bus_responds,
            environ=_environ(context),
            required=False,
        )
    ]


def _manager_command(options: ComputerUseSettings) -> list[str]:
    """Return the command of the desktop session; empty if it is disabled or not installed."""
    if options.window_manager == "none":
        return []
    chosen = shlex.split(options.window_manager)
    candidates = [chosen] if chosen else [["startxfce4"], ["openbox"]]
    return next((command for command in candidates if shutil.which(command[0])), [])


def _window_manager(options: ComputerUseSettings, context: DesktopContext) -> list[Program]:
    command = _manager_command(options)
    if not command:
        return []
    return [
        Program(
            # The API's name for the session, even if it is another one.
            name="xfce4",
            priority=200,
            command=tuple(command),
            ready=context.manager_runs,
            prepare=context.forget_manager,
            needs=lambda: context.server_responds() and _bus_ready(context),
            uses=("xvfb", "dbus"),
            environ=_environ(context),
        )
    ]


def _bus_ready(context: DesktopContext) -> bool:
    return context.bus_responds() or not shutil.which("dbus-daemon")


def _accessibility(context: DesktopContext) -> list[Program]:
    folders = os.pathsep.join([*LAUNCHERS, os.environ.get("PATH", "")])
    program = shutil.which("at-spi-bus-launcher", path=folders)
    if program is None:
        return []
    return [
        Program(
            name="atspi",
            priority=250,
            command=(program, "--launch-immediately"),
            ready=context.accessibility_responds,
            needs=lambda: context.server_responds() and context.bus_responds(),
            uses=("xvfb", "dbus"),
            environ=_environ(context),
            auto_restart=False,
            required=False,
        )
    ]


def _vnc(options: ComputerUseSettings, context: DesktopContext) -> list[Program]:
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
                    *(x11vnc, "-display", context.display, "-forever", "-shared", "-quiet"),
                    *("-noxrecord", *listen, *access),
                ),
                ready=lambda: _greets(host, port, b"RFB "),
                needs=context.server_responds,
                uses=("xvfb",),
                environ={"DISPLAY": context.display, "HOME": os.environ.get("HOME") or "/"},
            )
        )
    if x11vnc and websockify:
        pages = ("--web", NOVNC_PAGES) if Path(NOVNC_PAGES).is_dir() else ()
        ends = (f"{host}:{novnc_port}", f"{_reachable(host)}:{port}")
        found.append(
            Program(
                name="novnc",
                priority=400,
                # Not through noVNC's launch script, which doesn't stop websockify when killed.
                command=(websockify, *pages, *ends),
                ready=lambda: _greets(host, novnc_port, b""),
            )
        )
    return found


def _reachable(host: str) -> str:
    # An address to listen on, but not one to connect to.
    return "127.0.0.1" if host in ("", "0.0.0.0") else host


def _greets(host: str, port: int, greeting: bytes) -> bool:
    """Report whether a process listens on the port and first sends ``greeting``."""
    try:
        with socket.create_connection((_reachable(host), port), 1) as sock:
            return not greeting or sock.recv(len(greeting)) == greeting
    except OSError:
        return False


def clear_stale_lock(display: str) -> None:
    """Remove the lock file of a killed X server, even if another process has its pid by now."""
    number = display.lstrip(":").partition(".")[0]
    lock = Path(f"/tmp/.X{number}-lock")
    try:
        pid = int(lock.read_text("ascii", "replace"))
    except (OSError, ValueError):
        return
    try:
        # Xvfb, Xorg, Xvnc and the like.
        is_server = Path(f"/proc/{pid}/comm").read_text().startswith(("X", "x"))
    except OSError:
        is_server = False
    if not is_server and not server_responds(display):
        for path in (lock, Path(f"/tmp/.X11-unix/X{number}")):
            with contextlib.suppress(OSError):
                path.unlink()
