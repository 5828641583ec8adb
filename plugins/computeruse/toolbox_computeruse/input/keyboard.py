"""The keyboard: exact text in any script, keys and chords."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.input import keysyms
from toolbox_computeruse.input.chords import Chord
from toolbox_computeruse.input.keymap import KeyMap
from toolbox_computeruse.input.pacing import IsCanceled
from toolbox_computeruse.input.xtest import Gesture
from toolbox_computeruse.input.xtest import XInputDevice

CHUNK = 64
"""Characters between checks for cancellation."""

HOLD = 0.01
"""Seconds a key is held."""

LOCK_MASK = 2
"""Caps Lock in X's modifier mask."""


class XKeyboard:
    """An implementation of :class:`toolbox_computeruse.backend.Keyboard` for XTEST."""

    def __init__(self, device: XInputDevice, gesture_timeout: float, x_timeout: float) -> None:
        self._input_device = device
        self._limit = gesture_timeout + x_timeout

    def type(self, text: str, delay: float, canceled: IsCanceled) -> None:
        if not text:
            return
        with self._input_device.gesture(canceled, self._limit) as gesture, _neutral(gesture):
            for part in _batches(text, gesture.keymap):
                symbols = dict.fromkeys(map(keysyms.of_character, part))
                gesture.keymap.ensure(symbols, gesture.held)
                _type(gesture, part, delay)

    def press(self, chord: Chord) -> None:
        with self._input_device.gesture(_never) as gesture:
            code, shifted = gesture.locate(chord.key)
            # On some layouts the key itself requires Shift.
            modifiers = list(chord.modifiers)
            if shifted and "shift" not in modifiers:
                modifiers.append("shift")
            with gesture.holding(modifiers):
                gesture.press(code)
                gesture.wait(HOLD)
                gesture.release(code)

    def down(self, key: str) -> None:
        with self._input_device.gesture(_never) as gesture:
            gesture.press(gesture.locate(key)[0])

    def up(self, key: str) -> None:
        with self._input_device.gesture(_never) as gesture:
            gesture.release(gesture.locate(key)[0])


def _never() -> bool:
    return False


@contextlib.contextmanager
def _neutral(gesture: Gesture) -> Iterator[None]:
    """Release held keys and Caps Lock during the block: each would change the typed text."""
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
    """Yield ``text`` in parts whose characters can all be mapped to keys at once."""
    # A repeated character needs one key only: mappings stay until the end of a part.
    begin = 0
    spare: set[str] = set()
    for index, char in enumerate(text):
        if char in spare or keymap.on_ordinary_key(keysyms.of_character(char)):
            continue
        if not keymap.capacity:
            raise ComputerUseUnavailable(f"no key produces U+{ord(char):04X}, and none is spare")
        if len(spare) == keymap.capacity:
            yield text[begin:index]
            begin = index
            spare = set()
        spare.add(char)
    yield text[begin:]


def _type(gesture: Gesture, text: str, delay: float) -> None:
    shift = gesture.locate("shift")[0]
    find = gesture.keymap.find
    for count, char in enumerate(text, 1):
        code, shifted = find(keysyms.of_character(char)) or (0, False)
        gesture.tap(code, shift=shift if shifted else 0)
        if delay:
            gesture.wait(delay)
        # Without a delay events are sent in chunks: a round trip for each would take too long.
        elif not count % CHUNK:
            gesture.display.sync()
            gesture.check()
