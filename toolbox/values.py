"""Values before they are settings: where each was set, and all that is wrong with them."""

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

Path_ = tuple[str, ...]
T = TypeVar("T", bound=msgspec.Struct)

HINTS = {
    "Expected `array`": """; write a list, as ["a", "b"]""",
    "Expected `bool`": "; allowed: true, false",
}
"""What to write instead, by the beginning of a reason."""


class SettingsError(Exception):
    """The settings can't be used. ``problems`` has one line for the operator for each mistake."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def tell(self) -> None:
        """Write them to standard error, all at once."""
        lines = "".join(f"toolbox: {problem}\n" for problem in self.problems)
        print(lines, end="", file=sys.stderr, flush=True)


class Problems:
    """Gathers mistakes, so that all of them are told at once.

    As a context manager it raises SettingsError at its end, if there were any.
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note a SettingsError of the block, and go on after it."""
        try:
            yield
        except SettingsError as error:
            self.add(*error.problems)

    def add(self, *problems: str) -> None:
        """Note mistakes, each once."""
        self.found += [each for each in problems if each not in self.found]

    def __enter__(self) -> Problems:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self.found and error is None:
            raise SettingsError(*self.found)


class Values:
    """The merged tree of what was set, before it is typed, with the source of each value."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.sources: dict[Path_, str] = {}

    def merge(self, tree: Mapping[str, Any], source: str) -> None:
        """Lay ``tree`` over what is there; tables are merged, anything else is replaced."""
        for path, value in _leaves(tree):
            self.set(path, value, source)

    def set(self, path: Path_, value: Any, source: str) -> None:
        """Set one value."""
        table = self.tree
        for depth, key in enumerate(path[:-1]):
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                name = ".".join(path[: depth + 1])
                raise SettingsError(f"{source}: {name} is a value, not a table")
        table[path[-1]] = value
        self.sources[path] = source

    def source(self, path: Path_) -> str:
        """Where the value at ``path`` (or the nearest table above or below it) was set."""
        for length in range(len(path), 0, -1):
            for known, source in self.sources.items():
                if known[:length] == path[:length]:
                    return source
        return "default"

    def section(self, path: Path_, kind: type[T], skip: frozenset[str] = frozenset()) -> T:
        """The table at ``path`` as ``kind``, without the keys in ``skip``.

        Raises SettingsError for keys that ``kind`` doesn't have and values of the wrong type.
        """
        with Problems() as problems:
            return self.right_of(path, kind, problems, skip)

    def right_of(
        self, path: Path_, kind: type[T], problems: Problems, skip: frozenset[str] = frozenset()
    ) -> T:
        """As :meth:`section`, with what is right of the table. What is wrong is noted in
        ``problems``, and at its default here.
        """
        table: Any = self.tree
        for key in path:
            table = table.get(key, {})
        if not isinstance(table, dict):
            problems.add(f"{self.source(path)}: {'.'.join(path)} must be a table")
            table = {}
        right = {}
        for key in [key for key in table if key not in skip]:
            if found := list(self._wrong_key(path, kind, key, table[key], skip)):
                problems.add(*found)
            else:
                right[key] = table[key]
        try:
            # Not strict: the environment and the command line have only text for a number.
            return msgspec.convert(right, kind, strict=False)
        except msgspec.ValidationError as error:
            problems.add(self._told(path, kind, error))
            return msgspec.convert({}, kind)

    def _wrong_key(
        self, path: Path_, kind: type[msgspec.Struct], key: str, value: Any, also: frozenset[str]
    ) -> Iterator[str]:
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        name = (*path, key)
        if key in fields:
            yield from self._wrong(name, fields[key], value)
        else:
            hint = nearest(key, [*fields, *also])
            yield f"{self.source(name)}: unknown option {'.'.join(name)}{hint}"

    def _wrong(self, name: Path_, kind: Any, value: Any) -> Iterator[str]:
        """What is wrong with one value: of a table, or a table of tables, with each in it."""
        if isinstance(value, dict) and _is_struct(kind):
            found = [
                wrong
                for key, each in value.items()
                for wrong in self._wrong_key(name, kind, key, each, frozenset())
            ]
            yield from found
            if found:
                return
        elif isinstance(value, dict) and (each := _struct_in(kind)):
            for key, table in value.items():
                yield from self._wrong((*name, key), each, table)
            return
        try:
            msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            yield self._told(name, kind, error)

    def _told(self, path: Path_, kind: Any, error: msgspec.ValidationError) -> str:
        reason, _, where = str(error).partition(" - at `$")
        full = ".".join(path) + where.rstrip("`").replace("[...]", "")
        if reason.startswith("Invalid enum value"):
            reason += one_of(_choices(kind))
        reason += next((hint for start, hint in HINTS.items() if reason.startswith(start)), "")
        return f"{self.source(tuple(full.split('.')))}: {full}: {reason}"


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _struct_in(kind: Any) -> Any:
    """The struct of ``dict[str, Struct]``, annotated or not; None of anything else."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    arguments = typing.get_args(kind)
    is_table = typing.get_origin(kind) is dict and _is_struct(arguments[1])
    return arguments[1] if is_table else None


def _choices(kind: Any) -> list[str]:
    """The values of the first Literal in a type."""
    if typing.get_origin(kind) is Literal:
        return [str(each) for each in typing.get_args(kind)]
    return next((found for each in typing.get_args(kind) if (found := _choices(each))), [])


def one_of(allowed: Sequence[str]) -> str:
    """``; allowed: 'a', 'b'``, or an empty string if nothing is."""
    return f"; allowed: {', '.join(map(repr, allowed))}" if allowed else ""


def nearest(name: str, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` for the known name closest to ``name``; all of them if none is."""
    import difflib  # Only for who has made a slip.

    matches = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else one_of(sorted(set(known)))


def _leaves(tree: Mapping[str, Any], path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def read_values(
    file: str | Path | None, environ: Mapping[str, str], overrides: Mapping[Path_, Any]
) -> Values:
    """Read every source. ``overrides`` come from the command line.

    Raises SettingsError if the file can't be read or isn't TOML, or if the environment has what is
    not TOML either.
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
    """The file that is read: the one named, else the usual one where it exists."""
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
    """A list or a table is written as in TOML; anything else is text until it meets its type."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"environment {name}: not TOML: {error}") from None
