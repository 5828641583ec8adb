"""Typed settings: where each value comes from, and what it may be.

Sources, later ones win: the defaults below, one TOML file (``--config``, else ``TOOLBOX_CONFIG``,
else ``/etc/toolbox/toolbox.toml`` where it exists), the environment
(``TOOLBOX__GIT__BACKEND=cli`` is ``[git] backend = "cli"``), the command line.

``[server]``, ``[auth]``, ``[websocket]``, ``[log]`` and ``[plugins]`` belong to the core and are
described by the structs here. Every other section belongs to the API group of that name: its own
options, ``backend``, and a table for each backend, each checked against the struct its plugin
registered. A key nobody knows is refused, with the nearest name that is known.
"""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.values import Problems
from toolbox.values import SettingsError
from toolbox.values import Values
from toolbox.values import nearest
from toolbox.values import read_values

__all__ = [
    "CORE_SECTIONS",
    "AuthSettings",
    "CoreSettings",
    "LogSettings",
    "PluginSettings",
    "ServerSettings",
    "SettingsError",
    "Values",
    "WebSocketSettings",
    "core_settings",
    "nearest",
    "read_values",
]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service listens, and how much it takes on."""

    host: Annotated[
        str, Meta(description="Address to listen on; anything but loopback needs a token.")
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one (see port_file).")
    ] = 2280
    port_file: Annotated[
        str, Meta(description="File to write the port to once the service is ready.")
    ] = ""
    path_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[^/?#]+)*$",
            description="Also answer below this path, as in /my-sandbox/version.",
        ),
    ] = ""
    work_dir: Annotated[
        str, Meta(description="Where relative paths start; the directory of the start if empty.")
    ] = ""
    threads: Annotated[
        int, Meta(ge=4, le=4096, description="Requests worked on at once; threads come on demand.")
    ] = 256
    keep_alive: Annotated[
        int, Meta(ge=0, le=3600, description="Seconds an idle connection is kept.")
    ] = 75
    header_timeout: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds a client may take to send its headers.")
    ] = 10
    max_strangers: Annotated[
        int,
        Meta(
            ge=16,
            description="Waiting connections that have shown no token; for one more, the one that "
            "has waited longest is closed.",
        ),
    ] = 1024
    max_url: Annotated[int, Meta(ge=1024, description="Bytes of a URL; over it is 414.")] = 65536
    max_head: Annotated[
        int,
        Meta(
            # 64 KiB of environment for a terminal travel base64-encoded in one header.
            ge=4096,
            description="Bytes of the URL and all headers of a request; over it is 431.",
        ),
    ] = 262144
    max_headers: Annotated[
        int, Meta(ge=16, le=32768, description="Headers of a request; more are 431.")
    ] = 100
    stall_timeout: Annotated[
        int,
        Meta(ge=1, le=86400, description="Seconds without a byte moved that end a transfer."),
    ] = 120
    shutdown_timeout: Annotated[
        int, Meta(ge=1, le=600, description="Seconds between SIGTERM and the end, at most.")
    ] = 10
    hang_timeout: Annotated[
        int,
        Meta(
            ge=2,
            le=86400,
            description="Seconds after which a worker process that hangs is replaced, with "
            "everything that runs in it; time in which the service was stopped doesn't count.",
        ),
    ] = 120
    max_body: Annotated[
        int, Meta(ge=1024, description="Bytes of a JSON body; operations may set their own.")
    ] = 8 * 1024 * 1024
    pin_core: Annotated[
        bool,
        Meta(description="Keep the service's threads on one core, which doubles its throughput."),
    ] = True


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call.

    The token itself is never a setting: it comes from the environment variable ``TOOLBOX_TOKEN``
    or from a file.
    """

    mode: Annotated[
        Literal["token", "init", "none"],
        Meta(
            description='"token": TOOLBOX_TOKEN or token_file, else one is made up and printed, '
            'on loopback only. "init": the first POST /init sets it, on loopback only. '
            '"none": whoever reaches the port may do anything.'
        ),
    ] = "token"
    allowed_hosts: Annotated[
        list[str],
        Meta(
            description="Where no token is asked for: names that the service may be reached by "
            "beside localhost, the machine's, and addresses; a proxy's, say. "
            '"*.example.com" is every name below it, "*" any: then web pages can reach it, too.'
        ),
    ] = []
    allowed_origins: Annotated[
        list[str],
        Meta(
            description="Where no token is asked for: origins whose pages may send requests, as "
            '"https://app.example.com"; "*" is any. Those of the service itself always may.'
        ),
    ] = []
    token_file: Annotated[
        str, Meta(description="File whose first line is the token; TOOLBOX_TOKEN wins over it.")
    ] = ""
    signing_key_file: Annotated[
        str,
        Meta(
            description="File whose first line is the key that signed URLs are checked with; "
            "TOOLBOX_SIGNING_KEY wins over it. Without a key there are no signed URLs."
        ),
    ] = ""


class WebSocketSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of every WebSocket."""

    max_sockets: Annotated[
        int, Meta(ge=1, description="Open sockets; one more is answered 503.")
    ] = 4096
    max_message: Annotated[
        int, Meta(ge=1024, description="Bytes of a message from a client; over it is close 1009.")
    ] = 1024 * 1024
    send_buffer: Annotated[
        int, Meta(ge=4096, description="Bytes waiting for a slow client before its source stops.")
    ] = 1024 * 1024
    ping_interval: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds between the server's pings.")
    ] = 20.0
    dead_after: Annotated[
        float, Meta(gt=0, description="Seconds without a sign of life that end a socket.")
    ] = 120.0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The service's own log, and its audit log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severity that is written."),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="Format of a line: text for people, or JSON.")
    ] = "text"
    access: Annotated[
        bool, Meta(description="One line for each request and each finished WebSocket.")
    ] = False
    audit: Annotated[
        str,
        Meta(
            description="File that gets a line of JSON for each operation: who, what, outcome and "
            'duration, never bodies or secrets; it rotates as the log does; "-" is standard '
            "error; none if empty."
        ),
    ] = ""
    mask: Annotated[
        list[str],
        Meta(
            description="Names of environment variables whose values, of at least 6 characters, "
            "are shown as *** in the log and in errors. Token and signing key always are."
        ),
    ] = []
    mask_output: Annotated[
        bool,
        Meta(
            description="Hide them in what commands, code and terminals write, too. What may be "
            "the beginning of a value is shown a moment later."
        ),
    ] = False
    file: Annotated[
        str, Meta(description="File to write to, which rotates itself; standard error if empty.")
    ] = ""
    max_size: Annotated[
        int, Meta(ge=4096, description="Bytes after which a file is moved to file.1, and so on.")
    ] = 10 * 1024 * 1024
    keep: Annotated[int, Meta(ge=1, le=100, description="Moved files that are kept.")] = 4


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the installed plugins are used."""

    enable: Annotated[
        list[str],
        Meta(description="If not empty: exactly these, and it is an error if one can't be used."),
    ] = []
    disable: Annotated[list[str], Meta(description="These are not even imported.")] = []


class CoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The core's own sections."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    websocket: WebSocketSettings = WebSocketSettings()
    log: LogSettings = LogSettings()
    plugins: PluginSettings = PluginSettings()


CORE_SECTIONS = CoreSettings.__struct_fields__


def core_settings(values: Values) -> CoreSettings:
    """The core's sections, typed. Raises SettingsError, with all that is wrong with them."""
    with Problems() as problems:
        return right_settings(values, problems)


def right_settings(values: Values, problems: Problems) -> CoreSettings:
    """As :func:`core_settings`. What is wrong is noted in ``problems``, and at its default here."""
    return CoreSettings(
        server=values.right_of(("server",), ServerSettings, problems),
        auth=values.right_of(("auth",), AuthSettings, problems),
        websocket=values.right_of(("websocket",), WebSocketSettings, problems),
        log=values.right_of(("log",), LogSettings, problems),
        plugins=values.right_of(("plugins",), PluginSettings, problems),
    )
