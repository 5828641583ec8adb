"""Glob patterns of LSP 3.17, by which servers say what files they want to hear of."""

from __future__ import annotations

import re
from functools import lru_cache

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\{|\}|,|\[!?[^]]*\]|.", re.DOTALL)
_PLAIN = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """An expression for all that ``pattern`` matches; one that is broken is taken as text."""
    depth = 0
    found = []
    for part in _PARTS.findall(pattern):
        if part == "{":
            depth += 1
            found.append("(?:")
        elif part == "}" and depth:
            depth -= 1
            found.append(")")
        elif part == "," and depth:
            found.append("|")
        elif part.startswith("[") and len(part) > 2:
            found.append(part.replace("\\", "\\\\").replace("[!", "[^", 1))
        else:
            found.append(_PLAIN.get(part) or re.escape(part))
    try:
        return re.compile("".join(found), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
