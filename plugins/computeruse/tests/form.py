"""A GTK program with a button, a text, a number and labels; it logs events.

It calls the C library by ctypes: what Python has for it comes with no wheels, and distributions
have it for their own Python only.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
VERTICAL = 1


class Library:
    """Functions of a C library, by return type; pointers are 64 bits wide."""

    def __init__(self, name: str) -> None:
        self._library = ctypes.CDLL(name)

    def __call__(self, function: str, *arguments: Any, restype: Any = ctypes.c_void_p) -> Any:
        call = getattr(self._library, function)
        call.restype = restype
        return call(*(ctypes.c_void_p(each) if type(each) is int else each for each in arguments))


def main(path: str, labels: str = "50") -> None:
    gtk, gobject = Library("libgtk-3.so.0"), Library("libgobject-2.0.so.0")
    handlers: list[Any] = []

    def write(text: str) -> None:
        with Path(path).open("a") as file:
            file.write(text + "\n")

    def connect(widget: int, signal: bytes, handler: Callable[[], None]) -> None:
        handlers.append(HANDLER(lambda *_: handler()))
        gobject("g_signal_connect_data", widget, signal, handlers[-1], None, None, None)

    def entry_text() -> str:
        text: bytes = gtk("gtk_entry_get_text", entry, restype=ctypes.c_char_p)
        return text.decode()

    def number_value() -> float:
        value: float = gtk("gtk_spin_button_get_value", number, restype=ctypes.c_double)
        return value

    gtk("gtk_init", None, None)
    window = gtk("gtk_window_new", ctypes.c_int(0))
    gtk("gtk_window_set_title", window, b"Form")
    box = gtk("gtk_box_new", ctypes.c_int(VERTICAL), ctypes.c_int(0))
    button = gtk("gtk_button_new_with_label", b"Press me")
    entry = gtk("gtk_entry_new")
    span = [ctypes.c_double(each) for each in (0, 100, 1)]
    number = gtk("gtk_spin_button_new_with_range", *span)
    connect(button, b"clicked", lambda: write("clicked"))
    connect(entry, b"changed", lambda: write(f"text {entry_text()}"))
    connect(number, b"value-changed", lambda: write(f"number {number_value():g}"))
    lines = [gtk("gtk_label_new", f"label {n}".encode()) for n in range(int(labels))]
    inner = gtk("gtk_box_new", ctypes.c_int(VERTICAL), ctypes.c_int(0))
    for each in lines:
        gtk("gtk_container_add", inner, each)
    scrolled = gtk("gtk_scrolled_window_new", None, None)
    gtk("gtk_container_add", scrolled, inner)
    gtk("gtk_widget_set_size_request", scrolled, ctypes.c_int(300), ctypes.c_int(200))
    for each in (button, entry, number, scrolled):
        gtk("gtk_container_add", box, each)
    gtk("gtk_container_add", window, box)
    connect(window, b"destroy", lambda: gtk("gtk_main_quit"))
    gtk("gtk_widget_show_all", window)
    gtk("gtk_main")


main(*sys.argv[1:])
