"""The keysyms of key names and characters (X Window System Protocol, appendix A; keysymdef.h)."""

from __future__ import annotations

NAMED: dict[str, int] = {
    **{"backspace": 0xFF08, "tab": 0xFF09, "enter": 0xFF0D, "escape": 0xFF1B, "space": 0x20},
    **{"home": 0xFF50, "left": 0xFF51, "up": 0xFF52, "right": 0xFF53, "down": 0xFF54},
    **{"pageup": 0xFF55, "pagedown": 0xFF56, "end": 0xFF57, "insert": 0xFF63, "delete": 0xFFFF},
    **{"menu": 0xFF67, "num_lock": 0xFF7F, "capslock": 0xFFE5},
    **{"num_enter": 0xFF8D, "num_equal": 0xFFBD, "num_asterisk": 0xFFAA, "num_plus": 0xFFAB},
    **{"num_minus": 0xFFAD, "num_decimal": 0xFFAE, "num_slash": 0xFFAF},
    **{f"num{n}": 0xFFB0 + n for n in range(10)},
    **{f"f{n}": 0xFFBE + n - 1 for n in range(1, 25)},
    **{"shift": 0xFFE1, "lshift": 0xFFE1, "rshift": 0xFFE2},
    **{"ctrl": 0xFFE3, "lctrl": 0xFFE3, "rctrl": 0xFFE4},
    **{"alt": 0xFFE9, "lalt": 0xFFE9, "ralt": 0xFFEA},
    **{"cmd": 0xFFEB, "lcmd": 0xFFEB, "rcmd": 0xFFEC},
}
"""The keysym of each name in :mod:`toolbox_computeruse.input.chords`."""

RETURN = NAMED["enter"]

KEYPAD = range(0xFF80, 0xFFBE)
"""Keys whose meaning depends on Num Lock."""

UNICODE = 0x01000000
"""Base of the keysyms of characters that have no older one."""


def of_name(name: str) -> int:
    """Return the keysym of a key's name, or of a character."""
    return NAMED.get(name) or of_character(name)


def of_character(char: str) -> int:
    """Return the keysym of a character; a line feed is the Enter key."""
    code = ord(char)
    if char == "\n":
        return RETURN
    if 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xFF:
        return code
    return UNICODE | code


def is_unicode(keysym: int) -> bool:
    """Report whether the keysym is a code point, as :func:`of_character` returns them."""
    return UNICODE < keysym <= UNICODE | 0x10FFFF
