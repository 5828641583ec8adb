"""Values before they are typed: the source of each, and every mistake in them."""

from __future__ import annotations

import contextlib
import sys
import tomllib
import typing
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Literal
from typing import TypeVar

import msgspec

DEFAULT_FILE = Path("/etc/toolbox/toolbox.toml")
ENVIRONMENT_PREFIX = "TOOLBOX__"

KeyPath = tuple[str, ...]
T = TypeVar("T", bound=msgspec.Struct)

HINTS = {
    "Expected `array": """; write a list, as ["a", "b"]""",
    "Expected `bool`": "; allowed: true, false",
}
"""Advice on what to write instead, by the beginning of msgspec's reason."""


class SettingsError(Exception):
    """The settings can't be used. ``problems`` has one line for each mistake."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def report(self) -> None:
        """Write the problems to standard error."""
        # One write: other processes share the stream.
        lines = "".join(f"toolbox: {problem}\n" for problem in self.problems)
        print(lines, end="", file=sys.stderr, flush=True)


class Problems:
    """A collector of mistakes, so that all of them are reported together.

    As a context manager it raises SettingsError on exit if there are any.
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note a SettingsError raised in the block, and continue after it."""
        try:
            yield
        except SettingsError as error:
            self.add(*error.problems)

    def add(self, *problems: str) -> None:
        """Note mistakes, each only once."""
        self.found += [problem for problem in problems if problem not in self.found]

    def __enter__(self) -> Problems:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        # Not over another exception: that is the one to see.
        if self.found and error is None:
            raise SettingsError(*self.found)


class Values:
    """The merged tree of all sources, with the source of each value."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.sources: dict[KeyPath, str] = {}

    def merge(self, tree: Mapping[str, Any], source: str) -> None:
        """Merge ``tree``: tables are merged, other values replaced."""
        for path, value in _leaves(tree):
            self.set(path, value, source)

    def set(self, path: KeyPath, value: Any, source: str) -> None:
        """Set one value."""
        table = self.tree
        for depth, key in enumerate(path[:-1]):
            table = table.setdefault(key, {})
            # TOOLBOX__SERVER=x and TOOLBOX__SERVER__PORT=1 contradict each other.
            if not isinstance(table, dict):
                name = ".".join(path[: depth + 1])
                raise SettingsError(f"{source}: {name} is a value, not a table")
        table[path[-1]] = value
        self.sources[path] = source

    def source(self, path: KeyPath) -> str:
        """Return the source of the value at ``path``, or of the nearest table above or below it."""
        # From the whole path up to the section: the most specific source wins.
        for length in range(len(path), 0, -1):
            for known, source in self.sources.items():
                if known[:length] == path[:length]:
                    return source
        return "default"

    def section(self, path: KeyPath, kind: type[T], skip: frozenset[str] = frozenset()) -> T:
        """Return the table at ``path`` as ``kind``, without the keys in ``skip``.

        Raises SettingsError for keys that ``kind`` doesn't have and values of the wrong type.
        """
        with Problems() as problems:
            return self.valid(path, kind, problems, skip)

    def valid(
        self, path: KeyPath, kind: type[T], problems: Problems, skip: frozenset[str] = frozenset()
    ) -> T:
        """Return a section as :meth:`section` does, but note mistakes in ``problems``; values that
        are wrong are at their defaults.
        """
        table: Any = self.tree
        for key in path:
            table = table.get(key, {})
        if not isinstance(table, dict):
            problems.add(f"{self.source(path)}: {'.'.join(path)} must be a table")
            table = {}
        valid = {}
        for key in [key for key in table if key not in skip]:
            if found := list(self._wrong_key(path, kind, key, table[key], skip)):
                problems.add(*found)
            else:
                valid[key] = table[key]
        # msgspec.convert() reads annotations first: 0.4 ms for each section without a value.
        if not valid:
            with contextlib.suppress(TypeError, ValueError):
                return kind()
        try:
            # Not strict: numbers from the environment and the command line are text.
            return msgspec.convert(valid, kind, strict=False)
        except msgspec.ValidationError as error:
            problems.add(self._describe(path, kind, error))
            return msgspec.convert({}, kind)

    def _wrong_key(
        self, path: KeyPath, kind: type[msgspec.Struct], key: str, value: Any, also: frozenset[str]
    ) -> Iterator[str]:
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        name = (*path, key)
        if key in fields:
            yield from self._wrong(name, fields[key], value)
        else:
            hint = nearest(key, [*fields, *also])
            yield f"{self.source(name)}: unknown option {'.'.join(name)}{hint}"

    def _wrong(self, name: KeyPath, kind: Any, value: Any) -> Iterator[str]:
        """Yield the mistakes in one value, or in each entry of a table or a table of tables."""
        if isinstance(value, dict) and _is_struct(kind):
            found = [
                wrong
                for key, item in value.items()
                for wrong in self._wrong_key(name, kind, key, item, frozenset())
            ]
            yield from found
            # msgspec stops at the first mistake, and would report one of these again.
            if found:
                return
        elif isinstance(value, dict) and (struct := _struct_in(kind)):
            for key, table in value.items():
                yield from self._wrong((*name, key), struct, table)
            return
        try:
            msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            yield self._describe(name, kind, error)

    def _describe(self, path: KeyPath, kind: Any, error: msgspec.ValidationError) -> str:
        # Of a wrong key msgspec says in which table it is.
        text = str(error).replace(" - at `key` in `$", " - at `$")
        reason, _, where = text.partition(" - at `$")
        # msgspec's path begins with a dot, and has [...] for any item of a list.
        full = ".".join(path) + where.rstrip("`").replace("[...]", "")
        if reason.startswith("Invalid enum value"):
            reason += one_of(_choices(kind))
        reason += next((hint for start, hint in HINTS.items() if reason.startswith(start)), "")
        return f"{self.source(tuple(full.split('.')))}: {full}: {reason}"


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _struct_in(kind: Any) -> Any:
    """Return the struct of ``dict[str, Struct]``, annotated or not, otherwise None."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    arguments = typing.get_args(kind)
    is_table = typing.get_origin(kind) is dict and _is_struct(arguments[1])
    return arguments[1] if is_table else None


def _choices(kind: Any) -> list[str]:
    """Return the values of the first Literal in a type."""
    if typing.get_origin(kind) is Literal:
        return [str(value) for value in typing.get_args(kind)]
    parts = typing.get_args(kind)
    return next((found for part in parts if (found := _choices(part))), [])


def one_of(allowed: Sequence[str]) -> str:
    """Return ``; allowed: 'a', 'b'``, or an empty string if ``allowed`` is empty."""
    return f"; allowed: {', '.join(map(repr, allowed))}" if allowed else ""


def nearest(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known name closest to ``name``, or all of them."""
    import difflib  # Imported late: only a typo needs it.

    matches = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else one_of(sorted(set(known)))


def _leaves(tree: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in tree.items():
        # An empty table counts as a value: its name may be misspelled.
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def read_values(
    file: str | Path | None, environ: Mapping[str, str], overrides: Mapping[KeyPath, Any]
) -> Values:
    """Read every source. ``overrides`` come from the command line.

    Raises SettingsError if the file, or a list or table in the environment, can't be read as TOML.
    """
    values = Values()
    with Problems() as problems:
        if chosen := settings_file(file, environ):
            with problems.noted():
                values.merge(_read_file(chosen), str(chosen))
        for name, text in environ.items():
            path = tuple(name[len(ENVIRONMENT_PREFIX) :].lower().split("__"))
            if name.startswith(ENVIRONMENT_PREFIX) and all(path):
                with problems.noted():
                    values.set(path, _from_text(text, name), f"environment {name}")
        for path, value in overrides.items():
            with problems.noted():
                values.set(path, value, "command line")
    return values


def settings_file(file: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one that is named, or the default file if it exists."""
    if named := file or environ.get("TOOLBOX_CONFIG"):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None


def _from_text(text: str, name: str) -> Any:
    """Parse a list or a table as TOML; anything else stays text until its type is known."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"environment {name}: not TOML: {error}") from None
