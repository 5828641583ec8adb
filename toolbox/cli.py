"""The command ``toolbox``.

The exit status is 0 for success and 2 for a mistake that the caller can fix, reported in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from toolbox import __version__

if TYPE_CHECKING:
    from toolbox.plugins import CommandSpec

USAGE_ERROR = 2

COMMANDS = ("serve", "reload", "plugins", "config", "openapi", "bundle", "prune")
"""The core's own commands; plugins add others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Imported late: ``toolbox --version`` doesn't need it.
    from toolbox.settings import SettingsError

    try:
        return _run(given)
    except SettingsError as error:
        error.report()
        return USAGE_ERROR
    except BrokenPipeError:
        # The reader, such as ``head``, has closed the pipe. Python would flush into it on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(given: list[str]) -> int:
    # Plugins are imported only for a command that is none of ours, and for help.
    added = [] if given and given[0] in COMMANDS else _added_commands(given)
    for spec in added:
        if given[:1] == [spec.name]:
            return spec.run(given[1:])
    # argparse would take options of PROGRAM for its own.
    end = given.index("--") if "--" in given else len(given)
    parser = _parser(added)
    options = parser.parse_args(given[:end], argparse.Namespace(program=given[end + 1 :]))
    if end < len(given) and options.run is not _serve:
        parser.error("only serve accepts a program after --")
    status: int = options.run(options)
    return status


def _added_commands(given: list[str]) -> list[CommandSpec]:
    """Return the commands of the plugins that the settings allow. Raises SettingsError."""
    from toolbox.plugins.commands import added_commands
    from toolbox.serving.bootstrap import read
    from toolbox.settings import SettingsError

    try:
        settings, _ = read()
    except SettingsError:
        if given and not given[0].startswith("-"):
            raise
        return []  # Help must not depend on a file.
    return added_commands(settings.plugins, COMMANDS)


def _parser(added: Iterable[CommandSpec]) -> argparse.ArgumentParser:
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

    _add_serve_options(command("serve", _serve, "Serve until stopped by a signal."))

    text = "Upgrade a running service in place to the version installed now; what runs goes on."
    reload = command("reload", _reload, text, reads=False)
    reload.add_argument("--pid", type=int, help="the service's main process, if there are several")
    help_ = "have the files of the token and the signing key read again first, as on SIGHUP"
    reload.add_argument("--secrets", action="store_true", help=help_)

    plugins = command("plugins", _plugins, "Show the installed plugins and their state.")
    plugins.add_argument("--json", action="store_true", help="write JSON")

    config = command("config", _config, "Show each setting and the source of its value.")
    config.add_argument(
        "--check",
        metavar="FILE",
        nargs="?",
        const="",
        help="only check whether serve would accept FILE, or the file it would read",
    )
    config.add_argument(
        "--template", action="store_true", help="write a settings file with every option"
    )

    command("openapi", _openapi, "Write the OpenAPI document of the enabled groups.")

    text = "Write the service as a file or a directory, for images without it."
    _add_bundle_options(command("bundle", _bundle, text, reads=False))

    text = "Remove from this virtual environment what a running service never reads."
    command("prune", _prune, text, reads=False)

    for spec in added:
        commands.add_parser(spec.name, help=spec.summary)
    return parser


def _add_serve_options(serve: argparse.ArgumentParser) -> None:
    serve.usage = "toolbox serve [OPTION]... [-- PROGRAM [ARGUMENT]...]"
    serve.epilog = "PROGRAM, an image's entrypoint, runs as the session 'entrypoint'."
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", help="TCP port; 0 picks a free one")
    serve.add_argument(
        "--also",
        action="append",
        metavar="ADDRESS",
        help="further address to listen on, HOST:PORT or unix:PATH; may be repeated",
    )
    serve.add_argument(
        "--fd",
        metavar="N",
        help="serve on a listening TCP socket inherited as this file descriptor; "
        "without --host and --port",
    )
    serve.add_argument("--port-file", metavar="FILE", help="file to write the port to once ready")
    serve.add_argument(
        "--token-file", metavar="FILE", help="file whose first line is the bearer token"
    )


def _add_bundle_options(bundle: argparse.ArgumentParser) -> None:
    bundle.add_argument(
        "--groups", default="", metavar="NAME,...", help="groups to include (default: all)"
    )
    bundle.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write")
    forms = bundle.add_mutually_exclusive_group()
    for form, said in (
        ("standalone", "with a Python of its own, for any image: a directory, .tar.zst or .tar.xz"),
        ("one-file", "the same as a program that unpacks itself at its first start"),
        ("deb", "the same as a package of Debian, with a unit of systemd"),
    ):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=said)
    bundle.add_argument(
        "--wheels",
        metavar="DIR",
        help="directory of wheels to use instead of the installed packages",
    )
    bundle.add_argument(
        "--python", action="append", default=[], help="interpreter to support; may be repeated"
    )
    bundle.add_argument(
        "--arch", default=platform.machine(), help="x86_64 or aarch64, with a Python"
    )
    bundle.add_argument(
        "--with",
        action="append",
        default=[],
        dest="added",
        metavar="WHEEL",
        help="wheel of a further plugin, with a Python; may be repeated",
    )


def _serve(options: argparse.Namespace) -> int:
    from toolbox.linux.heap import collect_nothing

    collect_nothing()
    from toolbox.serving.command import serve_command

    return serve_command(options)


def _reload(options: argparse.Namespace) -> int:
    from toolbox.handover.command import reload_command

    return reload_command(options.pid, secrets=options.secrets)


def _plugins(options: argparse.Namespace) -> int:
    import msgspec

    from toolbox.auth.factory import is_plugins
    from toolbox.serving.bootstrap import load

    settings, _, registry = load(options.config)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(registry.reports)).decode())
        return 0
    for report in registry.reports:
        print(f"{report.name:14} {report.version:10} {report.status}", end="")
        print(f": {report.reason}" if report.reason else "", end="")
        print(f", idle: {report.idle}" if report.idle else "")
        for backend in report.backends:
            mark = "*" if backend.name == report.backend else " "
            needs = f" (missing: {', '.join(backend.missing)})" if backend.missing else ""
            print(f"    {mark} {backend.name:12} {backend.summary}{needs}")
        if report.authenticator:
            print(f"    {'*' if is_plugins(settings.auth) else ' '} authenticator")
    return 0


def _config(options: argparse.Namespace) -> int:
    if options.check is not None:
        return _check(options.check or options.config)
    from toolbox.packaging import configfile
    from toolbox.serving.bootstrap import load

    settings, values, registry = load(options.config)
    if options.template:
        print(configfile.template(registry), end="")
        return 0
    for name, value, source in configfile.settings_in_force(settings, registry, values):
        print(f"{name} = {json.dumps(value)}  # {source}")
    return 0


def _check(file: str | None) -> int:
    from toolbox.serving.checking import check
    from toolbox.settings import SettingsError
    from toolbox.settings.values import settings_file

    checked = settings_file(file, os.environ)
    if problems := check(file):
        raise SettingsError(*problems)
    print(f"{checked or 'environment and defaults (no settings file)'}: ok")
    return 0


def _openapi(options: argparse.Namespace) -> int:
    from toolbox.application import core_routes as status
    from toolbox.application import openapi
    from toolbox.auth.anyone import AnyoneAuthenticator
    from toolbox.auth.factory import choose_authenticator
    from toolbox.serving.bootstrap import load

    settings, values, registry = load(options.config)
    authenticator = choose_authenticator(settings.auth, registry, values, AnyoneAuthenticator())
    groups = [status.group, *(served.group for served in registry.served)]
    print(json.dumps(openapi.document(groups, authenticator.schemes), indent=2))
    return 0


def _bundle(options: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from toolbox.packaging.bundle import make_bundle
    from toolbox.settings import SettingsError

    groups = [name for name in options.groups.split(",") if name]
    if options.form:
        # Left out there: it takes pip, and a compiler.
        if find_spec("toolbox.packaging.standalone") is None:
            raise SettingsError(
                "a standalone build makes no other; run this where pip installed it"
            )
        from toolbox.packaging.standalone.command import make_standalone_bundle

        make_standalone_bundle(options, groups)
        return 0
    make_bundle(groups, options.output, options.wheels, options.python)
    print(f"{options.output}: {Path(options.output).stat().st_size / 1e6:.1f} MB")
    return 0


def _prune(options: argparse.Namespace) -> int:
    from toolbox.packaging.pruning import prune_environment

    before, after = prune_environment()
    print(f"{sys.prefix}: {after / 1e6:.1f} MB, {(before - after) / 1e6:.1f} MB less")
    return 0
