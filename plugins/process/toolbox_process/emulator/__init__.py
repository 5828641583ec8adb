"""A terminal emulator: the screen that a program's output leaves on a terminal, as text."""
