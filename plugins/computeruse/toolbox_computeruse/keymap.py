"""Which key gives which symbol, and spare keys for symbols that are on none.

The keyboard map of an X server leaves most of its 248 keycodes empty or with symbols for media
keys nobody has. Those are mapped to whatever has to be typed, many at once, as programs need a
while to notice: a key pressed before its new meaning is known gives another character.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolbox_computeruse import keysyms
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.settling import settle

if TYPE_CHECKING:
    from Xlib.display import Display

FIRST_SPARE = 92
"""Below are keys that keyboards have, whatever their layout says of them."""

NEVER_SPARE = {
    # The 102nd key and those of Japanese keyboards.
    *range(94, 104),
    # Power, sleep, and what browsers take by its place: back, forward, reload, home, search.
    *(124, 150, 151, 158, 163, 164, 165, 166, 167, 180, 181, 225),
}

MOST_HELD = 4
"""Spare keys that may be held by a client while others are mapped."""

LONG = 8
ENOUGH = 32
"""Only runs of at least LONG spare keycodes are used, if these are ENOUGH: a run is mapped by one
request, and some window managers take a tenth of a second to digest each.
"""

_VENDOR = range(0x1008FE00, 0x10090000)
"""XFree86's keysyms for media and other special keys."""

Key = tuple[int, bool]
"""A keycode, and whether Shift has to be held."""


class KeyMap:
    """The keyboard map of the server behind ``display``, as it is now."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._spare: OrderedDict[int, int] = OrderedDict()
        """Spare keycodes and their keysyms (0: none), the one mapped first first."""
        self._keys: dict[int, Key] = {}
        self._unread: set[int] = set()
        """Spare keycodes that were pressed, and may not have been read by a program yet."""
        self.load(0)

    def load(self, layout: int) -> None:
        """Read the map, for the keyboard layout (XKB group) that is in effect."""
        info = self._display.display.info
        first = info.min_keycode
        rows = self._display.get_keyboard_mapping(first, info.max_keycode - first + 1)
        held = {code for row in self._display.get_modifier_mapping() for code in row}
        spare: dict[int, int] = {}
        self._keys = {}
        for code, row in enumerate(rows, first):
            if code not in held and _is_spare(code, row):
                spare[code] = row[0] if _is_ours(row) else 0
                continue
            # The core protocol has two layouts, each with and without Shift.
            begin = 2 * layout if len(row) > 2 * layout else 0
            pair = row[begin : begin + 2] if any(row[begin : begin + 2]) else row[:2]
            for shifted, keysym in enumerate(pair):
                usable = keysym and not (shifted and keysym in keysyms.KEYPAD)
                if usable:
                    self._keys.setdefault(keysym, (code, bool(shifted)))
        long = [code for run in _runs(sorted(spare)) if len(run) >= LONG for code in run]
        if len(long) >= ENOUGH:
            spare = {code: spare[code] for code in long}
        order = [code for code in self._spare if code in spare]
        order += [code for code in spare if code not in self._spare]
        self._spare = OrderedDict((code, spare[code]) for code in order)
        for code, keysym in self._spare.items():
            if keysym:
                self._keys.setdefault(keysym, (code, False))
        self.layout = layout

    @property
    def capacity(self) -> int:
        """How many symbols that are on no key can be had at once, with a few keys held."""
        return max(0, len(self._spare) - MOST_HELD)

    def find(self, keysym: int) -> Key | None:
        """The key that gives ``keysym`` now, taken to be pressed next."""
        key = self._keys.get(keysym)
        if key is not None and key[0] in self._spare:
            self._unread.add(key[0])
        return key

    def on_ordinary_key(self, keysym: int) -> bool:
        """Whether a key of the layout itself gives ``keysym``."""
        key = self._keys.get(keysym)
        return key is not None and key[0] not in self._spare

    def ensure(self, wanted: Collection[int], held: Collection[int] = ()) -> None:
        """Put what of ``wanted`` is on no key on spare ones, but not on the keycodes ``held``.

        ``wanted`` may have up to :attr:`capacity` keysyms that are on no ordinary key. Takes no
        time if all are on keys, else until programs know the new map.
        """
        missing = [keysym for keysym in wanted if keysym not in self._keys]
        if not missing:
            return
        keep = {self._keys[keysym][0] for keysym in wanted if keysym in self._keys} | set(held)
        codes = [code for code in self._spare if code not in keep][: len(missing)]
        if len(codes) < len(missing):
            raise ComputerUseUnavailable("too many special keys are held: none is spare")
        if not self._unread.isdisjoint(codes):
            self._settle()
        for code, keysym in zip(codes, missing, strict=True):
            self._keys.pop(self._spare[code], None)
            self._spare[code] = keysym
            self._spare.move_to_end(code)
            self._keys[keysym] = (code, False)
        for run in _runs(sorted(codes)):
            # The same with and without Shift: whatever else is held, the symbol is this one.
            rows = [(self._spare[code],) * 2 for code in run]
            self._display.change_keyboard_mapping(run[0], rows)
        self._settle()

    def _settle(self) -> None:
        settle(self._display)
        self._unread.clear()


def _is_spare(code: int, row: Sequence[int]) -> bool:
    """Whether a key is empty, special, or was mapped by us, maybe in an earlier life."""
    if code < FIRST_SPARE or code in NEVER_SPARE:
        return False
    return _is_ours(row) or all(not each or each in _VENDOR for each in row)


def _is_ours(row: Sequence[int]) -> bool:
    """Whether :meth:`KeyMap.ensure` has mapped it: the server repeats the two symbols, which are
    one, and no layout has that in four places and nothing else.
    """
    if keysyms.is_unicode(row[0]):
        return all(not each or keysyms.is_unicode(each) for each in row)
    return bool(row[0]) and list(row) == [row[0]] * 4 + [0] * (len(row) - 4)


def _runs(codes: Sequence[int]) -> list[list[int]]:
    """``codes`` in groups without gaps: each is one request."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and runs[-1][-1] == code - 1:
            runs[-1].append(code)
        else:
            runs.append([code])
    return runs
