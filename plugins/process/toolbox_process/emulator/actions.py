"""The effect of each control sequence on a screen.

Source: xterm's "Control Sequences" (ctlseqs), ECMA-48.
"""

from __future__ import annotations

from collections.abc import Callable

from toolbox_process.emulator.grid import Line
from toolbox_process.emulator.screen import Modes
from toolbox_process.emulator.screen import Screen

Numbers = tuple[int, ...]
Action = Callable[[Screen, Numbers], object]


def _count(numbers: Numbers) -> int:
    return max(1, numbers[0])


def _erase_display(screen: Screen, numbers: Numbers) -> None:
    kind = numbers[0]
    if kind == 0:
        screen.grid.erase(screen.y, min(screen.x, screen.columns - 1), screen.columns)
        screen.grid.erase_lines(screen.y + 1, screen.rows)
    elif kind == 1:
        screen.grid.erase_lines(0, screen.y)
        screen.grid.erase(screen.y, 0, screen.x + 1)
    elif kind == 2:
        screen.grid.erase_lines(0, screen.rows)
    elif kind == 3:
        screen.history.clear()


def _erase_line(screen: Screen, numbers: Numbers) -> None:
    kind, columns = numbers[0], screen.columns
    x = screen.x if screen.x < columns else columns - 1
    if kind == 0:
        screen.grid.erase(screen.y, x, columns)
    elif kind == 1:
        screen.grid.erase(screen.y, 0, x + 1)
    elif kind == 2:
        screen.grid.erase(screen.y, 0, columns)


def _position(screen: Screen, numbers: Numbers) -> None:
    # The most frequent of all, with the one above: without a call more than it takes.
    row = numbers[0] - 1 if numbers[0] else 0
    column = numbers[1] - 1 if len(numbers) > 1 and numbers[1] else 0
    screen.move_to(row, column)


def _edit_line(edit: Callable[[Line, int, int], object]) -> Action:
    """Return an action on the cells from the cursor on."""

    def act(screen: Screen, numbers: Numbers) -> None:
        screen.x = min(screen.x, screen.columns - 1)
        edit(screen.grid.lines[screen.y], screen.x, _count(numbers))

    return act


def _erase_cells(screen: Screen, numbers: Numbers) -> None:
    x = min(screen.x, screen.columns - 1)
    screen.grid.erase(screen.y, x, x + _count(numbers))


def _set_region(screen: Screen, numbers: Numbers) -> None:
    bottom = numbers[1] if len(numbers) > 1 and numbers[1] else screen.rows
    screen.set_region(_count(numbers) - 1, bottom - 1)


def _alternate(screen: Screen, on: bool, clear: bool, cursor: bool) -> None:
    if on:
        # Once more changes nothing: programs do so when they come back to the foreground.
        if not screen.alternate:
            if cursor:
                screen.save_cursor()
            screen.switch(True, clear)
    elif screen.alternate:
        screen.switch(False)
        if cursor:
            screen.restore_cursor()


def _set_private(screen: Screen, number: int, on: bool) -> None:
    """Set a mode of DEC's or xterm's (DECSET, DECRST)."""
    modes = screen.modes
    match number:
        case 1:
            modes.application_cursor = on
        case 6:
            modes.origin = on
            screen.move_to(0, 0)
        case 7:
            modes.autowrap = on
        case 25:
            modes.cursor_visible = on
        case 47:
            _alternate(screen, on, clear=False, cursor=False)
        case 1047:
            _alternate(screen, on, clear=on, cursor=False)
        case 1048:
            screen.save_cursor() if on else screen.restore_cursor()
        case 1049:
            _alternate(screen, on, clear=on, cursor=True)
        case 2004:
            modes.bracketed_paste = on


def _set_private_modes(on: bool) -> Action:
    def act(screen: Screen, numbers: Numbers) -> None:
        for number in numbers:
            _set_private(screen, number, on)

    return act


def _set_modes(on: bool) -> Action:
    def act(screen: Screen, numbers: Numbers) -> None:
        if 4 in numbers:
            screen.modes.insert = on

    return act


def _soft_reset(screen: Screen, numbers: Numbers) -> None:
    screen.modes = Modes()
    screen.top, screen.bottom = 0, screen.rows - 1


def _clear_tabs(screen: Screen, numbers: Numbers) -> None:
    if numbers[0] == 3:
        screen.tabs.clear()
    elif numbers[0] == 0:
        screen.tabs.discard(screen.x)


CSI: dict[str, Action] = {
    "@": _edit_line(Line.insert),
    "A": lambda screen, n: screen.move_by(rows=-_count(n)),
    "B": lambda screen, n: screen.move_by(rows=_count(n)),
    "C": lambda screen, n: screen.move_by(columns=_count(n)),
    "D": lambda screen, n: screen.move_by(columns=-_count(n)),
    "E": lambda screen, n: screen.move_lines(_count(n)),
    "F": lambda screen, n: screen.move_lines(-_count(n)),
    "G": lambda screen, n: screen.move_to(column=_count(n) - 1),
    "H": _position,
    "I": lambda screen, n: screen.tab(_count(n)),
    "J": _erase_display,
    "K": _erase_line,
    "L": lambda screen, n: screen.insert_lines(_count(n)),
    "M": lambda screen, n: screen.delete_lines(_count(n)),
    "P": _edit_line(Line.delete),
    "S": lambda screen, n: screen.grid.scroll_up(screen.top, screen.bottom, _count(n)),
    "T": lambda screen, n: screen.grid.scroll_down(screen.top, screen.bottom, _count(n)),
    "X": _erase_cells,
    "Z": lambda screen, n: screen.tab(-_count(n)),
    "`": lambda screen, n: screen.move_to(column=_count(n) - 1),
    "a": lambda screen, n: screen.move_by(columns=_count(n)),
    "b": lambda screen, n: screen.repeat(_count(n)),
    "d": lambda screen, n: screen.move_to(row=_count(n) - 1),
    "e": lambda screen, n: screen.move_by(rows=_count(n)),
    "f": _position,
    "g": _clear_tabs,
    "h": _set_modes(True),
    "l": _set_modes(False),
    "r": _set_region,
    "s": lambda screen, n: screen.save_cursor(),
    "u": lambda screen, n: screen.restore_cursor(),
    "?h": _set_private_modes(True),
    "?l": _set_private_modes(False),
    "?J": _erase_display,
    "?K": _erase_line,
    "!p": _soft_reset,
}
"""Sequences by their private mark, intermediates and final character."""


def _fill(screen: Screen) -> None:
    for line in screen.grid.lines:
        line.put(0, "E" * screen.columns)


def _next_line(screen: Screen) -> None:
    screen.x = 0
    screen.line_feed()


def _designate(index: int, graphics: bool) -> Callable[[Screen], object]:
    return lambda screen: screen.modes.graphics.__setitem__(index, graphics)


ESCAPES: dict[str, Callable[[Screen], object]] = {
    "7": Screen.save_cursor,
    "8": Screen.restore_cursor,
    "D": Screen.line_feed,
    "E": _next_line,
    "H": lambda screen: screen.tabs.add(screen.x),
    "M": Screen.reverse_line_feed,
    "c": Screen.reset,
    "#8": _fill,
    **{f"({name}": _designate(0, name == "0") for name in "0AB12"},
    **{f"){name}": _designate(1, name == "0") for name in "0AB12"},
}
"""Sequences of an escape and these characters."""

CONTROLS: dict[str, Callable[[Screen], object]] = {
    "\b": lambda screen: screen.move_by(columns=-1),
    "\t": lambda screen: screen.tab(1),
    "\n": Screen.line_feed,
    "\v": Screen.line_feed,
    "\f": Screen.line_feed,
    "\r": lambda screen: screen.move_to(column=0),
    "\x0e": lambda screen: setattr(screen.modes, "shift", 1),
    "\x0f": lambda screen: setattr(screen.modes, "shift", 0),
}
"""Control characters."""
