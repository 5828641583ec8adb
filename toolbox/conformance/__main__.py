"""The command ``python -m toolbox.conformance``.

The exit status is 0 if every case passes, 1 if one fails, 2 if the server can't be tested.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from toolbox.conformance.client import Client
from toolbox.conformance.client import Unreachable
from toolbox.conformance.dialects import DIALECTS
from toolbox.conformance.scorecard import Scorecard
from toolbox.conformance.scorecard import run_table

PASSED, FAILED, UNTESTED = 0, 1, 2
TOKEN_VARIABLE = "TOOLBOX_TOKEN"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    try:
        client = Client(options.url, token, options.timeout)
    except ValueError as error:
        print(f"conformance: {error}", file=sys.stderr)
        return UNTESTED
    card = Scorecard()
    for table in DIALECTS[options.dialect]:
        if options.group and table.name not in options.group:
            continue
        try:
            card.add(table.name, run_table(client, table))
        except Unreachable as error:
            print(f"conformance: {options.url}: {error}", file=sys.stderr)
            return UNTESTED
    if not card.total:
        print(f"conformance: no such group: {', '.join(options.group)}", file=sys.stderr)
        return UNTESTED
    print(card.text(options.dialect), end="")
    return FAILED if card.failed else PASSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m toolbox.conformance",
        description="Test any server of a wire, and print a scorecard.",
    )
    parser.add_argument("url", help="the server's URL, with its path if it has one")
    parser.add_argument("--token", default="", help=f"the token (default: ${TOKEN_VARIABLE})")
    parser.add_argument("--dialect", default="daytona", choices=sorted(DIALECTS), help="the wire")
    parser.add_argument("--group", action="append", default=[], help="only this; may be repeated")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one response")
    return parser


if __name__ == "__main__":
    sys.exit(main())
