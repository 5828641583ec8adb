"""How paths are matched: Werkzeug's rules, as far as this service needs them."""

from __future__ import annotations

from typing import Any
from typing import NoReturn

from werkzeug.routing import PathConverter
from werkzeug.routing import Rule


class MatchingRule(Rule):
    """A rule from which no URL is ever built.

    Werkzeug writes and compiles two functions for that of each rule: most of the time it took to
    make the application.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        return _not_built


def _not_built(*_: object) -> NoReturn:
    raise NotImplementedError("URLs are not built from rules here")


class Rest(PathConverter):
    """All that is left of a path: Werkzeug's own ends before ``//`` and a line break."""

    regex = r"(?s:.*)"
    part_isolating = False
