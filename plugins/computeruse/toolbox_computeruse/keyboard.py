"""The keyboard: text exact in any script, keys and chords."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from toolbox_computeruse import keysyms
from toolbox_computeruse.chords import Chord
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.hands import Cancelled
from toolbox_computeruse.hands import Gesture
from toolbox_computeruse.hands import Hands
from toolbox_computeruse.keymap import KeyMap

CHUNK = 64
"""Characters between looks at whether anybody still wants them."""

HOLD = 0.01
"""Seconds a key is held."""

LOCK_MASK = 2
"""Caps Lock, in X's mask of modifiers."""


class XKeyboard:
    """See :class:`toolbox_computeruse.backend.Keyboard`."""

    def __init__(self, hands: Hands, gesture_timeout: float, x_timeout: float) -> None:
        self._hands = hands
        self._limit = gesture_timeout + x_timeout

    def type(self, text: str, delay: float, cancelled: Cancelled) -> None:
        if not text:
            return
        with self._hands.gesture(cancelled, self._limit) as gesture, _neutral(gesture):
            for part in _batches(text, gesture.keymap):
                symbols = dict.fromkeys(map(keysyms.of_character, part))
                gesture.keymap.ensure(symbols, gesture.held)
                _type(gesture, part, delay)

    def press(self, chord: Chord) -> None:
        with self._hands.gesture(_never) as gesture:
            code, shifted = _locate(gesture, chord.key)
            modifiers = list(chord.modifiers)
            if shifted and "shift" not in modifiers:
                modifiers.append("shift")
            with holding(gesture, modifiers):
                gesture.press(code)
                gesture.wait(HOLD)
                gesture.release(code)

    def down(self, key: str) -> None:
        with self._hands.gesture(_never) as gesture:
            gesture.press(_locate(gesture, key)[0])

    def up(self, key: str) -> None:
        with self._hands.gesture(_never) as gesture:
            gesture.release(_locate(gesture, key)[0])


def _never() -> bool:
    return False


@contextlib.contextmanager
def holding(gesture: Gesture, modifiers: list[str]) -> Iterator[None]:
    """Hold modifiers, but for those that are held already, and let them go in any case."""
    codes = [_locate(gesture, name)[0] for name in modifiers]
    pressed = [code for code in codes if code not in gesture.held]
    for code in pressed:
        gesture.press(code)
    try:
        yield
    finally:
        for code in reversed(pressed):
            gesture.release(code)


@contextlib.contextmanager
def _neutral(gesture: Gesture) -> Iterator[None]:
    """Let go of held keys, and of Caps Lock, for a while: each would change what is typed."""
    held = gesture.held[:]
    caps = _locate(gesture, "capslock")[0] if gesture.state()[0] & LOCK_MASK else 0
    for code in reversed(held):
        gesture.release(code)
    if caps:
        gesture.tap(caps)
    try:
        yield
    finally:
        if caps:
            gesture.tap(caps)
        for code in held:
            gesture.press(code)


def _batches(text: str, keymap: KeyMap) -> Iterator[str]:
    """``text`` in parts whose characters can all be on keys at once."""
    begin = 0
    spare: set[str] = set()
    for at, char in enumerate(text):
        if char in spare or keymap.on_ordinary_key(keysyms.of_character(char)):
            continue
        if not keymap.capacity:
            raise ComputerUseUnavailable(f"no key gives U+{ord(char):04X}, and none is spare")
        if len(spare) == keymap.capacity:
            yield text[begin:at]
            begin = at
            spare = set()
        spare.add(char)
    yield text[begin:]


def _type(gesture: Gesture, text: str, delay: float) -> None:
    shift = _locate(gesture, "shift")[0]
    find = gesture.keymap.find
    for at, char in enumerate(text, 1):
        code, shifted = find(keysyms.of_character(char)) or (0, False)
        gesture.tap(code, shift=shift if shifted else 0)
        if delay:
            gesture.wait(delay)
        elif not at % CHUNK:
            gesture.display.sync()
            gesture.check()


def _locate(gesture: Gesture, name: str) -> tuple[int, bool]:
    """The key of a name or character, and whether it needs Shift; put on a spare key if need be."""
    keysym = keysyms.of_name(name)
    gesture.keymap.ensure([keysym], gesture.held)
    key = gesture.keymap.find(keysym)
    if key is None:
        raise ComputerUseUnavailable(f"no key gives {name!r}, and none is spare")
    return key
