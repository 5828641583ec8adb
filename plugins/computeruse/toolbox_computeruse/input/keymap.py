"""The keyboard map, and spare keys for symbols that no key produces.

An X server's keyboard map leaves most of its 248 keycodes empty, or assigned to media keys that
keyboards lack. Those are remapped to the characters to type, many at once, because programs need
a while to notice: a key pressed before its new mapping is known produces another character.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.input import keysyms
from toolbox_computeruse.input.settling import settle

if TYPE_CHECKING:
    from Xlib.display import Display

FIRST_SPARE = 92
"""Lower keycodes are real keys of keyboards, whatever the layout assigns to them."""

NEVER_SPARE = {
    # The 102nd key and those of Japanese keyboards.
    *range(94, 104),
    # Power, sleep, and keys that browsers identify by keycode: back, forward, reload, home, search.
    *(124, 150, 151, 158, 163, 164, 165, 166, 167, 180, 181, 225),
}

MOST_HELD = 4
"""Spare keys that a client may hold while others are remapped."""

LONG = 8
ENOUGH = 32
"""Only runs of at least LONG spare keycodes are used if they total ENOUGH: a run is remapped by
one request, and some window managers take a tenth of a second to process each.
"""

_VENDOR = range(0x1008FE00, 0x10090000)
"""XFree86's keysyms for media and other special keys."""

Key = tuple[int, bool]
"""A keycode, and whether it requires Shift."""


class KeyMap:
    """The current keyboard map of the server behind ``display``."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._spare: OrderedDict[int, int] = OrderedDict()
        """Spare keycodes and their keysyms (0: none), the least recently mapped first."""
        self._keys: dict[int, Key] = {}
        self._unread: set[int] = set()
        """Spare keycodes that were pressed and that programs may not have read yet."""
        self.load(0)

    def load(self, layout: int) -> None:
        """Read the map for a keyboard layout (XKB group)."""
        info = self._display.display.info
        first = info.min_keycode
        rows = self._display.get_keyboard_mapping(first, info.max_keycode - first + 1)
        modifiers = {code for row in self._display.get_modifier_mapping() for code in row}
        spare: dict[int, int] = {}
        self._keys = {}
        for code, row in enumerate(rows, first):
            if code not in modifiers and _is_spare(code, row):
                # A mapping of an earlier run is still good.
                spare[code] = row[0] if _is_ours(row) else 0
                continue
            for keysym, shifted in _symbols(row, layout):
                self._keys.setdefault(keysym, (code, shifted))
        spare = _long_runs(spare)
        # The order of use is kept: the least recently mapped key is remapped first.
        order = [code for code in self._spare if code in spare]
        order += [code for code in spare if code not in self._spare]
        self._spare = OrderedDict((code, spare[code]) for code in order)
        for code, keysym in self._spare.items():
            if keysym:
                self._keys.setdefault(keysym, (code, False))
        self.layout = layout

    @property
    def capacity(self) -> int:
        """Maximum number of symbols mapped to spare keys at once, with a few keys held."""
        return max(0, len(self._spare) - MOST_HELD)

    def find(self, keysym: int) -> Key | None:
        """Return the key that produces ``keysym`` now; the caller presses it next."""
        key = self._keys.get(keysym)
        if key is not None and key[0] in self._spare:
            self._unread.add(key[0])
        return key

    def on_ordinary_key(self, keysym: int) -> bool:
        """Report whether a key of the layout itself produces ``keysym``."""
        key = self._keys.get(keysym)
        return key is not None and key[0] not in self._spare

    def ensure(self, wanted: Collection[int], held: Collection[int] = ()) -> None:
        """Map those keysyms of ``wanted`` that no key produces to spare keys not in ``held``.

        ``wanted`` may have up to :attr:`capacity` keysyms that are on no ordinary key. Waits
        until programs know the new map, if it changes.
        """
        missing = [keysym for keysym in wanted if keysym not in self._keys]
        if not missing:
            return
        keep = {self._keys[keysym][0] for keysym in wanted if keysym in self._keys} | set(held)
        codes = [code for code in self._spare if code not in keep][: len(missing)]
        if len(codes) < len(missing):
            raise ComputerUseUnavailable("too many special keys are held; none is spare")
        # Programs must have read a key with its old mapping before that changes.
        if not self._unread.isdisjoint(codes):
            self._settle()
        for code, keysym in zip(codes, missing, strict=True):
            self._keys.pop(self._spare[code], None)
            self._spare[code] = keysym
            self._spare.move_to_end(code)
            self._keys[keysym] = (code, False)
        for run in _runs(sorted(codes)):
            # The same with and without Shift, so that held modifiers don't change the symbol.
            rows = [(self._spare[code],) * 2 for code in run]
            self._display.change_keyboard_mapping(run[0], rows)
        self._settle()

    def _settle(self) -> None:
        settle(self._display)
        self._unread.clear()


def _symbols(row: Sequence[int], layout: int) -> Iterator[tuple[int, bool]]:
    """Yield the keysyms that a key produces, and whether they require Shift."""
    # The core protocol lists two layouts, each without and with Shift; a key may have only one.
    begin = 2 * layout if len(row) > 2 * layout else 0
    pair = row[begin : begin + 2] if any(row[begin : begin + 2]) else row[:2]
    for shifted, keysym in enumerate(pair):
        # On the keypad it is Num Lock, not Shift, that selects the second symbol.
        if keysym and not (shifted and keysym in keysyms.KEYPAD):
            yield keysym, bool(shifted)


def _long_runs(spare: dict[int, int]) -> dict[int, int]:
    """Return the spare keycodes in long runs, if they are enough, and all of them otherwise."""
    long = [code for run in _runs(sorted(spare)) if len(run) >= LONG for code in run]
    return {code: spare[code] for code in long} if len(long) >= ENOUGH else spare


def _is_spare(code: int, row: Sequence[int]) -> bool:
    """Report whether a key is empty, a media key, or was mapped by us, even in an earlier run."""
    if code < FIRST_SPARE or code in NEVER_SPARE:
        return False
    return _is_ours(row) or all(not keysym or keysym in _VENDOR for keysym in row)


def _is_ours(row: Sequence[int]) -> bool:
    """Report whether :meth:`KeyMap.ensure` mapped the key.

    The server repeats its two equal symbols; no layout has one symbol four times and nothing else.
    """
    if keysyms.is_unicode(row[0]):
        return all(not keysym or keysyms.is_unicode(keysym) for keysym in row)
    return bool(row[0]) and list(row) == [row[0]] * 4 + [0] * (len(row) - 4)


def _runs(codes: Sequence[int]) -> list[list[int]]:
    """Return ``codes`` in groups without gaps, each of which takes one request."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and runs[-1][-1] == code - 1:
            runs[-1].append(code)
        else:
            runs.append([code])
    return runs
