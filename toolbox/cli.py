"""The command ``toolbox``.

Exit status: 0 for success, 2 for anything the caller has to mend, said in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolbox import __version__

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    at = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:at], argparse.Namespace(program=given[at + 1 :]))
    if at < len(given) and options.run is not _serve:
        _parser().error("only serve takes a program after --")
    # Imported late: ``toolbox --help`` and a usage error need none of it.
    from toolbox.settings import SettingsError

    try:
        status: int = options.run(options)
        return status
    except SettingsError as error:
        error.tell()
        return USAGE_ERROR
    except BrokenPipeError:
        # The reader, ``head`` say, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolbox", description="Programmatic access to the sandbox it runs in, over HTTP."
    )
    parser.add_argument("--version", action="version", version=f"toolbox {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str, reads: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        if reads:
            added.add_argument("--config", metavar="FILE", help="settings file (TOML)")
        added.set_defaults(run=run)
        return added

    serve = command("serve", _serve, "Serve until a signal ends it.")
    serve.usage = "toolbox serve [OPTION]... [-- PROGRAM [ARGUMENT]...]"
    serve.epilog = "PROGRAM, an image's entrypoint, runs as the session 'entrypoint'."
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", help="TCP port; 0 takes a free one")
    serve.add_argument("--port-file", metavar="FILE", help="write the port there once ready")
    serve.add_argument("--token-file", metavar="FILE", help="the bearer token is its first line")

    plugins = command("plugins", _plugins, "Show the installed plugins and what became of them.")
    plugins.add_argument("--json", action="store_true", help="as JSON")

    config = command("config", _config, "Show each setting and where its value came from.")
    config.add_argument(
        "--check",
        metavar="FILE",
        nargs="?",
        const="",
        help="only say whether serve can use FILE, or what it reads by itself",
    )
    config.add_argument(
        "--template", action="store_true", help="write a settings file with every option"
    )

    command("openapi", _openapi, "Write the OpenAPI document of the enabled groups.")

    text = "Write one file that holds the service, for any image with this version of Python."
    bundle = command("bundle", _bundle, text, reads=False)
    bundle.add_argument(
        "--groups", default="", metavar="NAME,...", help="the groups in it; every one if left out"
    )
    bundle.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write")
    bundle.add_argument(
        "--wheels", metavar="DIR", help="take them from there, not from what is installed here"
    )
    bundle.add_argument(
        "--python", action="append", default=[], help="interpreter it is for; may be repeated"
    )
    return parser


def _serve(options: argparse.Namespace) -> int:
    overrides: dict[tuple[str, ...], Any] = {
        ("server", "host"): options.host,
        ("server", "port"): options.port,
        ("server", "port_file"): options.port_file,
        ("auth", "token_file"): options.token_file,
        ("process", "local", "entrypoint"): options.program or None,
    }
    # What is relative on the command line is relative to here, wherever work_dir leads.
    for path in (("server", "port_file"), ("auth", "token_file")):
        if overrides[path]:
            overrides[path] = str(Path(overrides[path]).absolute())
    given = {path: value for path, value in overrides.items() if value is not None}
    from toolbox.assemble import prepare
    from toolbox.bundle import forget_bundle
    from toolbox.server import BAD_SETTINGS
    from toolbox.server import serve

    forget_bundle(os.environ)
    status = serve(prepare(options.config, given))
    return USAGE_ERROR if status == BAD_SETTINGS else status


def _plugins(options: argparse.Namespace) -> int:
    import msgspec

    from toolbox.assemble import load

    _, _, registry = load(options.config)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(registry.reports)).decode())
        return 0
    for report in registry.reports:
        print(f"{report.name:14} {report.version:10} {report.status}", end="")
        print(f": {report.reason}" if report.reason else "")
        for backend in report.backends:
            mark = "*" if backend.name == report.backend else " "
            needs = f" (missing: {', '.join(backend.missing)})" if backend.missing else ""
            print(f"    {mark} {backend.name:12} {backend.summary}{needs}")
    return 0


def _config(options: argparse.Namespace) -> int:
    if options.check is not None:
        return _check(options.check or options.config)
    from toolbox import configfile
    from toolbox.assemble import load

    settings, values, registry = load(options.config)
    if options.template:
        print(configfile.template(registry), end="")
        return 0
    for name, value, source in configfile.describe(settings, registry, values):
        print(f"{name} = {json.dumps(value)}  # {source}")
    return 0


def _check(file: str | None) -> int:
    from toolbox.checking import check
    from toolbox.settings import SettingsError
    from toolbox.values import settings_file

    checked = settings_file(file, os.environ)
    if problems := check(file):
        raise SettingsError(*problems)
    print(f"{checked or 'no settings file'}: ok")
    return 0


def _openapi(options: argparse.Namespace) -> int:
    from toolbox import openapi
    from toolbox import status
    from toolbox.assemble import load

    _, _, registry = load(options.config)
    groups = [status.group, *(served.group for served in registry.served)]
    print(json.dumps(openapi.document(groups), indent=2))
    return 0


def _bundle(options: argparse.Namespace) -> int:
    from toolbox.bundle import make_bundle

    groups = [name for name in options.groups.split(",") if name]
    make_bundle(groups, options.output, options.wheels, options.python)
    print(f"{options.output}: {Path(options.output).stat().st_size / 1e6:.1f} MB")
    return 0
