"""The typed settings of the core, and their sources.

Sources, later ones win: the defaults below, one TOML file (``--config``, ``TOOLBOX_CONFIG`` or, if
it exists, ``/etc/toolbox/toolbox.toml``), the environment
(``TOOLBOX__GIT__BACKEND=cli`` is ``[git] backend = "cli"``), the command line.

``[server]``, ``[auth]``, ``[websocket]``, ``[log]`` and ``[plugins]`` belong to the core and are
described by the structs here. Every other section belongs to the API group of that name: the
group's options, ``backend``, and a table for each backend, each checked against the struct that its
plugin registered. An unknown key is refused, with the nearest known name.
"""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.settings.values import Problems
from toolbox.settings.values import SettingsError
from toolbox.settings.values import Values
from toolbox.settings.values import nearest
from toolbox.settings.values import read_values

__all__ = [
    "CORE_SECTIONS",
    "AuthSettings",
    "CoreSettings",
    "LogSettings",
    "NoSettings",
    "PluginSettings",
    "ServerSettings",
    "SettingsError",
    "Values",
    "WebSocketSettings",
    "core_settings",
    "nearest",
    "read_values",
]


class NoSettings(msgspec.Struct, frozen=True):
    """The settings of a group or backend that has none."""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address to listen on, and the limits of requests."""

    host: Annotated[
        str, Meta(description="Address to listen on; anything but loopback requires a token.")
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port; 0 picks a free one (see port_file).")
    ] = 2280
    also: Annotated[
        list[str], Meta(description='Further addresses, as "[::]:8888" or "unix:/run/toolbox".')
    ] = []
    port_file: Annotated[
        str, Meta(description="File to write the port to once the service is ready.")
    ] = ""
    path_prefix: Annotated[
        str,
        Meta(
            pattern=r"^(/[^/?#]+)*$",
            description="Also serve below this path, as in /my-sandbox/version.",
        ),
    ] = ""
    work_dir: Annotated[
        str,
        Meta(
            description="Directory that relative paths start from; if empty, the current directory."
        ),
    ] = ""
    threads: Annotated[
        int,
        Meta(ge=4, le=4096, description="Maximum concurrent requests (threads start on demand)."),
    ] = 256
    keep_alive: Annotated[
        int, Meta(ge=0, le=3600, description="Seconds to keep an idle connection open.")
    ] = 75
    header_timeout: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds for a client to send its headers.")
    ] = 10
    max_strangers: Annotated[
        int,
        Meta(
            ge=16,
            description="Maximum waiting connections without a valid token; for another, the one "
            "that has waited longest is closed.",
        ),
    ] = 1024
    max_url: Annotated[
        int, Meta(ge=1024, description="Maximum bytes of a URL; longer ones are refused with 414.")
    ] = 65536
    max_head: Annotated[
        int,
        Meta(
            # 64 KiB of environment for a terminal travel base64-encoded in one header.
            ge=4096,
            description="Maximum bytes of the URL and all headers; more are refused with 431.",
        ),
    ] = 262144
    max_headers: Annotated[
        int,
        Meta(
            ge=16, le=32768, description="Maximum headers of a request; more are refused with 431."
        ),
    ] = 100
    stall_timeout: Annotated[
        int,
        Meta(ge=1, le=86400, description="Abort a transfer after this many idle seconds."),
    ] = 120
    shutdown_timeout: Annotated[
        int, Meta(ge=1, le=600, description="Maximum seconds between SIGTERM and the exit.")
    ] = 10
    hang_timeout: Annotated[
        int,
        Meta(
            ge=2,
            le=86400,
            description="Seconds after which a worker process that hangs is replaced, with "
            "everything that runs in it; time in which the service was suspended doesn't count.",
        ),
    ] = 120
    max_body: Annotated[
        int,
        Meta(
            ge=1024, description="Maximum bytes of a JSON body; operations may set another limit."
        ),
    ] = 8 * 1024 * 1024
    pin_core: Annotated[
        bool,
        Meta(description="Pin the service's threads to one core, which doubles its throughput."),
    ] = True


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Authentication.

    The token itself is never a setting: it comes from the environment variable ``TOOLBOX_TOKEN``
    or from a file.
    """

    mode: Annotated[
        Literal["token", "init", "none", "plugin"],
        Meta(
            description='"token": TOOLBOX_TOKEN or token_file; otherwise one is generated and '
            'printed, on loopback only. "init": the first POST /init sets it, on loopback only. '
            '"none": anyone who can reach the port has full access. '
            '"plugin": a plugin authenticates requests; without one the service doesn\'t start.'
        ),
    ] = "token"
    allowed_hosts: Annotated[
        list[str],
        Meta(
            description="Host names accepted where no token is required (modes none, and init "
            "without a token yet) or a browser sends the credential by itself (mode plugin), in "
            "addition to localhost, the machine's name and addresses; for example a proxy's. "
            '"*.example.com" is every name below it; "*" is any, and lets web pages in.'
        ),
    ] = []
    allowed_origins: Annotated[
        list[str],
        Meta(
            description="Origins whose pages may send requests in the same modes, such as "
            '"https://app.example.com"; "*" is any. The service\'s own are always allowed.'
        ),
    ] = []
    token_file: Annotated[
        str, Meta(description="File whose first line is the token; TOOLBOX_TOKEN takes precedence.")
    ] = ""
    signing_key_file: Annotated[
        str,
        Meta(
            description="File whose first line is the key of signed URLs; TOOLBOX_SIGNING_KEY "
            "takes precedence. Without a key, signed URLs are refused."
        ),
    ] = ""
    caller_digest_file: Annotated[
        str,
        Meta(
            description="File whose first line is the SHA-256, 64 hexadecimal digits, of a second "
            "token to accept, a control plane's; TOOLBOX_CALLER_DIGEST takes precedence."
        ),
    ] = ""


class WebSocketSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of WebSockets."""

    max_sockets: Annotated[
        int, Meta(ge=1, description="Maximum open sockets; more are refused with 503.")
    ] = 4096
    max_message: Annotated[
        int,
        Meta(
            ge=1024,
            description="Maximum bytes of a client's message; larger ones are closed with 1009.",
        ),
    ] = 1024 * 1024
    send_buffer: Annotated[
        int,
        Meta(ge=4096, description="Bytes to buffer for a slow client before its source is paused."),
    ] = 1024 * 1024
    ping_interval: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds between the server's pings.")
    ] = 20.0
    dead_after: Annotated[
        float,
        Meta(gt=0, description="Close a socket after this many seconds without any data or pong."),
    ] = 120.0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The service's log and its audit log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Minimum level to log."),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="Format of a line: text for people, or JSON.")
    ] = "text"
    access: Annotated[
        bool, Meta(description="Log one line per request and per closed WebSocket.")
    ] = False
    audit: Annotated[
        str,
        Meta(
            description="Audit log: a file with a line of JSON per operation: client, operation, "
            "outcome and duration, never bodies or secrets. It rotates as the log does; "
            '"-" is standard error; disabled if empty.'
        ),
    ] = ""
    mask: Annotated[
        list[str],
        Meta(
            description="Names of environment variables whose values, of at least 6 characters, "
            "appear as *** in the log and in errors. The token and the signing key always do."
        ),
    ] = []
    mask_output: Annotated[
        bool,
        Meta(
            description="Mask them in the output of commands, code and terminals, too. Output that "
            "may be the beginning of a value is delayed for a moment."
        ),
    ] = False
    file: Annotated[
        str, Meta(description="Log file, which is rotated at max_size; standard error if empty.")
    ] = ""
    max_size: Annotated[
        int, Meta(ge=4096, description="Bytes after which a file is renamed to file.1, and so on.")
    ] = 10 * 1024 * 1024
    keep: Annotated[int, Meta(ge=1, le=100, description="Number of renamed files to keep.")] = 4


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The choice among the installed plugins."""

    enable: Annotated[
        list[str],
        Meta(description="If not empty, use exactly these; one that can't be used is an error."),
    ] = []
    disable: Annotated[list[str], Meta(description="Plugins not to import.")] = []


class CoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The sections of the core."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    websocket: WebSocketSettings = WebSocketSettings()
    log: LogSettings = LogSettings()
    plugins: PluginSettings = PluginSettings()


CORE_SECTIONS = CoreSettings.__struct_fields__


def core_settings(values: Values) -> CoreSettings:
    """Return the core's sections, typed. Raises SettingsError, with every mistake in them."""
    with Problems() as problems:
        return valid_settings(values, problems)


def valid_settings(values: Values, problems: Problems) -> CoreSettings:
    """Return the core's sections, wrong values at their defaults and noted in ``problems``."""
    return CoreSettings(
        server=values.valid(("server",), ServerSettings, problems),
        auth=values.valid(("auth",), AuthSettings, problems),
        websocket=values.valid(("websocket",), WebSocketSettings, problems),
        log=values.valid(("log",), LogSettings, problems),
        plugins=values.valid(("plugins",), PluginSettings, problems),
    )
