"""Glob patterns of LSP 3.17, which select the files that a server watches."""

from __future__ import annotations

import re
from functools import lru_cache

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\{|\}|,|\[!?[^]]*\]|.", re.DOTALL)
_PLAIN = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=1024)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """Return ``pattern`` as a regular expression; a malformed one is taken literally."""
    depth = 0
    found = []
    for part in _PARTS.findall(pattern):
        if part == "{":
            depth += 1
            found.append("(?:")
        elif part == "}" and depth:
            depth -= 1
            found.append(")")
        # A comma outside of braces is literal.
        elif part == "," and depth:
            found.append("|")
        elif part.startswith("[") and len(part) > 2:
            # LSP negates a set by "!", as shells do.
            found.append(part.replace("\\", "\\\\").replace("[!", "[^", 1))
        else:
            found.append(_PLAIN.get(part) or re.escape(part))
    try:
        return re.compile("".join(found), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
