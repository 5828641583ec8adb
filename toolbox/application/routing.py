"""URL matching: Werkzeug's rules, as far as this service needs them."""

from __future__ import annotations

from typing import Any
from typing import NoReturn

from werkzeug.routing import PathConverter
from werkzeug.routing import Rule


class MatchingRule(Rule):
    """A rule that only matches URLs and never builds them.

    To build URLs, Werkzeug writes and compiles two functions per rule, which took most of the time
    of making the application.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        return _not_built


def _not_built(*_: object) -> NoReturn:
    raise NotImplementedError("URLs are not built from rules here")


class Rest(PathConverter):
    """The rest of a path. Werkzeug's own converter stops at ``//`` and at a line break."""

    regex = r"(?s:.*)"
    part_isolating = False
