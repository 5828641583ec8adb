"""The cells that a character takes on a terminal.

As wcwidth(3) counts, by which programs move the cursor, and not as a font would draw.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_SOFT_HYPHEN = "\xad"
_PICTOGRAPHS = range(0x1F300, 0x1FB00)


@lru_cache(maxsize=8192)
def width(character: str) -> int:
    """Return 0 for what combines with the character before it, otherwise 1 or 2.

    Source: Unicode Standard Annex 11 (East Asian Width), with W and F as wide.
    """
    code = ord(character)
    # The vowels and final consonants of Hangul join the consonant before them.
    if 0x1160 <= code <= 0x11FF:
        return 0
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf") and character != _SOFT_HYPHEN:
        return 0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 2
    # Emoji that are newer than this Python's tables.
    return 2 if category == "Cn" and code in _PICTOGRAPHS else 1


def is_narrow(text: str) -> bool:
    """Report whether each character takes one cell."""
    return text.isascii() or all(width(character) == 1 for character in set(text))
