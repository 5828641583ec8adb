"""The keyboard: text exact in any script, keys and chords."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from toolbox_computeruse import keysyms
from toolbox_computeruse.chords import Chord
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.hands import Gesture
from toolbox_computeruse.hands import Hands
from toolbox_computeruse.keymap import KeyMap
from toolbox_computeruse.pacing import Cancelled

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
            code, shifted = gesture.locate(chord.key)
            modifiers = list(chord.modifiers)
            if shifted and "shift" not in modifiers:
                modifiers.append("shift")
            with gesture.holding(modifiers):
                gesture.press(code)
                gesture.wait(HOLD)
                gesture.release(code)

    def down(self, key: str) -> None:
        with self._hands.gesture(_never) as gesture:
            gesture.press(gesture.locate(key)[0])

    def up(self, key: str) -> None:
        with self._hands.gesture(_never) as gesture:
            gesture.release(gesture.locate(key)[0])


def _never() -> bool:
    return False


@contextlib.contextmanager
def _neutral(gesture: Gesture) -> Iterator[None]:
    """Let go of held keys, and of Caps Lock, for a while: each would change what is typed."""
    held = gesture.held[:]
    caps = gesture.locate("capslock")[0] if gesture.state()[0] & LOCK_MASK else 0
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
    shift = gesture.locate("shift")[0]
    find = gesture.keymap.find
    for at, char in enumerate(text, 1):
        code, shifted = find(keysyms.of_character(char)) or (0, False)
        gesture.tap(code, shift=shift if shifted else 0)
        if delay:
            gesture.wait(delay)
        elif not at % CHUNK:
            gesture.display.sync()
            gesture.check()
