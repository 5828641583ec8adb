"""Names of keys and hotkeys, and their valid combinations.

A chord is one key and the modifiers held with it. Names are those of the Daytona API; an invalid
one is refused before anything is pressed.
"""

from __future__ import annotations

import unicodedata

import msgspec

from toolbox_computeruse.errors import InvalidInput

MODIFIERS = {
    **dict.fromkeys(("ctrl", "control"), "ctrl"),
    **dict.fromkeys(("alt", "option"), "alt"),
    "shift": "shift",
    **dict.fromkeys(("cmd", "command", "meta", "super", "win", "windows"), "cmd"),
}
"""Every name of a modifier, and its canonical name."""

# The left and right keys can be pressed, but a chord's modifiers have no side.
_SIDED = {f"{side}{name}": f"{side}{name}" for side in "lr" for name in ("alt", "cmd", "ctrl")} | {
    "lshift": "lshift",
    "rshift": "rshift",
}
_SIDED_ALIASES = {
    f"{side}_{alias}": f"{side[0]}{name}"
    for side in ("left", "right")
    for alias, name in MODIFIERS.items()
    if alias in ("alt", "cmd", "command", "control", "ctrl", "shift")
}
_NUMPAD = {
    "num*": "num_asterisk",
    "num+": "num_plus",
    "num-": "num_minus",
    "num_": "num_minus",
    "num.": "num_decimal",
    "num/": "num_slash",
}
_PLAIN = (
    "backspace capslock delete down end enter escape home insert left menu num_asterisk "
    "num_decimal num_enter num_equal num_lock num_minus num_plus num_slash pagedown pageup right "
    "space tab up"
)
NAMES: dict[str, str] = {
    **{name: name for name in _PLAIN.split()},
    **{f"f{n}": f"f{n}" for n in range(1, 25)},
    **{f"num{n}": f"num{n}" for n in range(10)},
    **MODIFIERS,
    **_SIDED,
    **_SIDED_ALIASES,
    **{"del": "delete", "esc": "escape", "return": "enter", "spacebar": "space"},
    **{"page_down": "pagedown", "page_up": "pageup"},
}
"""Every name of a key that is not a character, and its canonical name."""

UNSHIFTED = "',-./;=[\\]`"
SHIFTED = '!"#$%&()*+:<>?@^_{|}~'
_SPACES = {" ": "space", "\t": "tab", "\n": "enter", "\r": "enter"}


class Chord(msgspec.Struct, frozen=True):
    """A key, and the modifiers held with it: ``ctrl``, ``alt``, ``shift``, ``cmd``."""

    key: str
    modifiers: tuple[str, ...] = ()


def parse_chord(key: str, modifiers: list[str] | None) -> Chord:
    """Return the chord of ``key`` and ``modifiers``. Raises InvalidInput."""
    return _chord(parse_key(key), parse_modifiers(modifiers))


def parse_hotkey(keys: str) -> Chord:
    """Return the chord for a hotkey such as ``ctrl+shift+t``. Raises InvalidInput."""
    if not keys.strip():
        raise InvalidInput("the hotkey is empty")
    parts = [part.strip() for part in keys.split("+")]
    if "" in parts:
        raise InvalidInput("the hotkey has an empty part; use num_plus or shift+= for a plus")
    if any(char.isspace() for part in parts for char in part):
        raise InvalidInput("a hotkey is one chord of keys without spaces, joined by +")
    key = parse_key(parts[-1])
    found: list[str] = []
    for part in parts[:-1]:
        name = _fold(part)
        if name not in MODIFIERS and not _is_sided(name) and _is_key(part):
            raise InvalidInput(
                f"a hotkey takes exactly one non-modifier key, at its end; unexpected {part!r}"
            )
        _add_modifier(found, part)
    return _chord(key, tuple(found))


def parse_modifiers(names: list[str] | None) -> tuple[str, ...]:
    """Return the canonical names of modifiers. Raises InvalidInput."""
    found: list[str] = []
    for name in names or ():
        _add_modifier(found, name)
    return tuple(found)


def parse_key(key: str) -> str:
    """Return the canonical name of ``key``: a character, or one of :data:`NAMES`.

    Raises InvalidInput.
    """
    _check_characters(key)
    if len(key) == 1:
        return _character(key)
    if any(char.isspace() for char in key):
        raise InvalidInput(f"the key {key!r} contains a space")
    name = _fold(key)
    if name in _NUMPAD:
        raise InvalidInput(f"the key {key!r} must be given as {_NUMPAD[name]!r}")
    if name not in NAMES:
        raise InvalidInput(f"unknown key {key!r}")
    return NAMES[name]


def _check_characters(key: str) -> None:
    if not key:
        raise InvalidInput("the key is empty")
    if key in _SPACES:
        raise InvalidInput(f"the key {_shown(key)} must be given as {_SPACES[key]!r}")
    if any(unicodedata.category(char) == "Cc" for char in key):
        raise InvalidInput(f"the key {_shown(key)} is a control character")
    if not key.isascii():
        raise InvalidInput(f"no key produces {key!r}; type it as text")


def check_text(text: str) -> str:
    """Return ``text`` with line ends as ``\\n``. Raises InvalidInput if it can't be typed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Refused are control characters, lone surrogates, and line and paragraph separators. A tab
    # would move the focus in most programs.
    for char in text:
        if char == "\t":
            raise InvalidInput("U+0009 can't be typed; press the key 'tab'")
        if char != "\n" and unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            raise InvalidInput(f"U+{ord(char):04X} can't be typed")
    return text


def _character(key: str) -> str:
    if key.isalnum() or key in UNSHIFTED:
        return key.lower()
    raise InvalidInput(f"{key!r} requires shift; press its key with shift, or type it as text")


def _add_modifier(found: list[str], name: str) -> None:
    folded = _fold(name)
    if _is_sided(folded):
        plain = NAMES[folded][1:]
        raise InvalidInput(f"unsupported modifier {name!r}; use {plain!r}")
    if folded not in MODIFIERS:
        raise InvalidInput(f"unsupported modifier {_shown(name)}")
    if MODIFIERS[folded] in found:
        raise InvalidInput(f"duplicate modifier {MODIFIERS[folded]!r}")
    found.append(MODIFIERS[folded])


def _chord(key: str, modifiers: tuple[str, ...]) -> Chord:
    if key in modifiers or (key in _SIDED and key[1:] in modifiers):
        raise InvalidInput(f"{key!r} can't be both key and modifier")
    return Chord(key, modifiers)


def _is_key(text: str) -> bool:
    try:
        parse_key(text)
    except InvalidInput:
        return False
    return True


def _is_sided(folded: str) -> bool:
    return NAMES.get(folded) in _SIDED


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")


def _shown(text: str) -> str:
    return f"U+{ord(text):04X}" if len(text) == 1 else repr(text)
