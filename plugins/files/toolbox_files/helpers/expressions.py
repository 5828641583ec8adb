"""Regular expressions of clients: compiled, and the text that a line must hold to match."""

from __future__ import annotations

import re
import warnings

_ANY_CASE = re.IGNORECASE


class MalformedExpression(ValueError):
    """The pattern is no regular expression; the message is for people."""


def compile_expression(pattern: str, literal: bool, ignore_case: bool) -> re.Pattern[str]:
    """Return a pattern of ``re``, or one for the text itself. Raises MalformedExpression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            text = re.escape(pattern) if literal else pattern
            return re.compile(text, _ANY_CASE if ignore_case else 0)
        except (re.error, OverflowError, RecursionError) as error:
            raise MalformedExpression(f"malformed regular expression: {error}") from None


def needed_text(expression: re.Pattern[str]) -> bytes:
    """Return bytes that every line that matches contains; empty if none are known.

    Looking for bytes is many times as fast as matching, and most files don't have them.
    """
    if expression.flags & (_ANY_CASE | re.VERBOSE):
        return b""
    try:
        # Not documented, and so only made use of where it is there.
        from re import _parser  # type: ignore[attr-defined]

        tokens = list(_parser.parse(expression.pattern, expression.flags))
        runs = [""]
        for kind, value in tokens:
            if str(kind) == "LITERAL":
                runs[-1] += chr(value)
            else:
                runs.append("")
    except Exception:
        return b""
    # A replacement character may stand for any byte that isn't UTF-8.
    wanted = max((part for run in runs for part in run.split("\ufffd")), key=len)
    return wanted.encode("utf-8", "surrogatepass")
