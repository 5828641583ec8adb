"""The arguments of the command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import NamedTuple

DEFAULT_URL = "http://127.0.0.1:2280"


class Action(NamedTuple):
    """An action on sandboxes that exist."""

    state: str
    """The state that it ends in."""
    help: str


ACTIONS = {
    "start": Action("started", "Start stopped sandboxes, or resume paused ones."),
    "stop": Action("stopped", "End all processes of sandboxes; their files stay."),
    "pause": Action("paused", "Suspend sandboxes with their processes in memory."),
    "archive": Action("archived", "Move stopped sandboxes to cheaper storage."),
    "recover": Action("started", "Bring sandboxes back from the state 'error'."),
    "delete": Action("destroyed", "Delete sandboxes in any state, with their files."),
}

EPILOG = """\
Sandboxes are named by name, id, or the beginning of an id (four characters or more).
The exit status is 0 if all was done, 1 if something was not, 2 if nothing could be.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options. Without an action it is ``list``. Exits on mistakes, as argparse does."""
    # A first option belongs to the action that is left out, unless it asks for help.
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["list", *arguments]
    options = _parser().parse_args(arguments)
    if options.action in ACTIONS:
        _check_choice(options)
    return options


def _check_choice(options: argparse.Namespace) -> None:
    """Require either names or a choice among all: to name none must not mean all."""
    if bool(options.sandbox) == (options.all or bool(options.label)):
        options.parser.error("name sandboxes, or choose them with --all or --label; not both")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolbox sandboxes",
        description="Manage the sandboxes of a running service. Without ACTION: list them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        added.set_defaults(action=name, parser=added)
        _add_service(added)
        return added

    _add_list(add("list", "List sandboxes, the newest first."))
    show = add("show", "Show all fields of sandboxes.")
    show.add_argument("sandbox", nargs="+", metavar="SANDBOX", help="a name or id")
    _add_create(add("create", "Create a sandbox, wait until it has started, and print its id."))
    for name, action in ACTIONS.items():
        _add_choice(added := add(name, action.help))
        _add_waiting(added)
        if name == "stop":
            added.add_argument(
                "--force", action="store_true", help="give their processes no time to end"
            )
    return parser


def _add_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        default=os.environ.get("TOOLBOX_URL") or DEFAULT_URL,
        help=f"the service's URL (default: TOOLBOX_URL, or {DEFAULT_URL})",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="file whose first line is the token (default: the variable TOOLBOX_TOKEN)",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_labels(parser, "only those with this label; may be repeated")
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="STATE",
        help="only those in this state, such as started; may be repeated",
    )


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="its name (default: one is made up)")
    parser.add_argument("--snapshot", metavar="SNAPSHOT", help="the snapshot to create it from")
    _add_labels(parser, "a label; may be repeated")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="a variable of its environment; may be repeated",
    )
    for name, text in (("cpu", "cores"), ("memory", "GiB of memory"), ("disk", "GiB of disk")):
        parser.add_argument(f"--{name}", type=_at_least(1), metavar="NUMBER", help=text)
    parser.add_argument(
        "--autostop",
        type=_at_least(0),
        metavar="MINUTES",
        help="stop it after this time without activity; 0 for never",
    )
    _add_waiting(parser)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sandbox", nargs="*", metavar="SANDBOX", help="a name or id")
    parser.add_argument("--all", action="store_true", help="all sandboxes")
    _add_labels(parser, "all sandboxes with this label; may be repeated")


def _add_labels(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--label", action="append", default=[], type=_pair, metavar="NAME=VALUE", help=text
    )


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-wait", action="store_true", help="don't wait for the end")
    parser.add_argument(
        "--timeout",
        type=_at_least(0),
        default=120,
        metavar="SECONDS",
        help="how long to wait (default: 120)",
    )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least {least}")
        return int(text)

    return number
