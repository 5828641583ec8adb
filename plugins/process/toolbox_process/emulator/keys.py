"""Named keys, as the bytes that a terminal sends for them.

Source: xterm's "Control Sequences" (ctlseqs), "PC-Style Function Keys".
"""

from __future__ import annotations

import re

_SHIFT, _ALT, _CTRL = 1, 2, 4
_MODIFIERS = {
    "shift": _SHIFT,
    "s": _SHIFT,
    "alt": _ALT,
    "meta": _ALT,
    "m": _ALT,
    "a": _ALT,
    "option": _ALT,
    "ctrl": _CTRL,
    "control": _CTRL,
    "c": _CTRL,
}

# Keys with a final letter: CSI, or SS3 where the application cursor mode is set.
_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}

# Keys with a final letter that are always SS3 without a modifier.
_FUNCTION = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}

# Keys with a number: CSI number ~. The gaps are DEC's.
_NUMBERED = {
    "insert": 2,
    "delete": 3,
    "pageup": 5,
    "pagedown": 6,
    "f5": 15,
    "f6": 17,
    "f7": 18,
    "f8": 19,
    "f9": 20,
    "f10": 21,
    "f11": 23,
    "f12": 24,
}

# Keys that are one character, which Ctrl and Alt apply to.
_PLAIN = {
    "enter": "\r",
    "tab": "\t",
    "escape": "\x1b",
    "backspace": "\x7f",
    "space": " ",
    "minus": "-",
    "plus": "+",
}

# Names that others use: tmux, Playwright, xdotool.
_ALIASES = {
    "return": "enter",
    "cr": "enter",
    "esc": "escape",
    "bspace": "backspace",
    "bs": "backspace",
    "del": "delete",
    "dc": "delete",
    "ins": "insert",
    "ic": "insert",
    "pgup": "pageup",
    "ppage": "pageup",
    "page_up": "pageup",
    "pgdn": "pagedown",
    "pgdown": "pagedown",
    "npage": "pagedown",
    "page_down": "pagedown",
    "arrowup": "up",
    "arrowdown": "down",
    "arrowleft": "left",
    "arrowright": "right",
    "btab": "shift-tab",
}

_MODIFIER = re.compile(r"([A-Za-z]+)[-+](?=.)", re.DOTALL)

# What Ctrl makes of characters that have no letter's place (xterm, and VT220's manual for digits).
_CONTROLS = {" ": "\0", "@": "\0", "2": "\0", "/": "\x1f", "?": "\x7f", "8": "\x7f", "\x7f": "\b"}

PASTE_START = "\x1b[200~"
PASTE_END = "\x1b[201~"


def encode_key(name: str, application_cursor: bool) -> str:
    """Return what the key ``name`` sends. Raises ValueError for an unknown one.

    A name is a key or a character, after modifiers: ``Enter``, ``x``, ``Ctrl-C``, ``Alt-Left``,
    ``Ctrl+Shift+F5``; as in tmux, ``C-c`` and ``M-x``.
    """
    modifiers, key = 0, name
    while (match := _MODIFIER.match(key)) and match[1].lower() in _MODIFIERS:
        modifiers |= _MODIFIERS[match[1].lower()]
        key = key[match.end() :]
    if len(key) > 1:
        key = key.lower()
        key = _ALIASES.get(key, key)
        if key == "shift-tab":
            modifiers, key = modifiers | _SHIFT, "tab"
    if letter := _CURSOR.get(key) or _FUNCTION.get(key):
        if modifiers:
            return f"\x1b[1;{modifiers + 1}{letter}"
        return ("\x1bO" if application_cursor or key in _FUNCTION else "\x1b[") + letter
    if number := _NUMBERED.get(key):
        return f"\x1b[{number};{modifiers + 1}~" if modifiers else f"\x1b[{number}~"
    return _encode_character(name, _PLAIN.get(key, key), modifiers)


def _encode_character(name: str, character: str, modifiers: int) -> str:
    if len(character) != 1:
        raise ValueError(f"unknown key: {name!r}")
    if modifiers & _SHIFT:
        if character == "\t":
            return "\x1b[Z"
        character = character.upper() if len(character.upper()) == 1 else character
    if modifiers & _CTRL:
        upper = character.upper()
        if character in _CONTROLS:
            character = _CONTROLS[character]
        elif len(upper) == 1 and "@" <= upper <= "_":
            character = chr(ord(upper) - 0x40)
        elif character not in "\r\t\x1b":
            raise ValueError(f"there is no such key on a terminal: {name!r}")
    return ("\x1b" if modifiers & _ALT else "") + character


def encode_text(text: str) -> str:
    """Return what typing ``text`` sends: a line ends with the key Enter."""
    return text.replace("\r\n", "\r").replace("\n", "\r")


def encode_paste(text: str, bracketed: bool) -> str:
    """Return what pasting ``text`` sends, marked as such if the program has requested that."""
    if not bracketed:
        return encode_text(text)
    # The mark of the end within the text would end the paste early, and what follows be typed.
    return PASTE_START + encode_text(text).replace("\x1b", "") + PASTE_END
