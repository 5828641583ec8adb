"""A group whose backends each lack something, but for one."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.lifecycle import Context
from toolbox.plugins import BackendSpec
from toolbox.plugins import NoSettings


class Shelf(Protocol):
    """Has books."""

    def list(self) -> Sequence[str]:
        """The titles."""

    def add(self, title: str, *, at: int) -> None:
        """Put one there."""


class HalfBackend(Protocol):
    """Has a shelf, and a word for readers."""

    limit: int

    @property
    def shelf(self) -> Shelf:
        """The shelf."""

    def word(self, reader: str, times: int = 1) -> str:
        """The word."""

    def twice(self, reader: str) -> str:
        """The word twice: what every backend has that has no other idea."""
        return self.word(reader, 2)


class Full:
    """The shelf, here."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self.limit = 3
        self.shelf: Any = self

    @staticmethod
    def list() -> Sequence[str]:
        """See Shelf."""
        return []

    def add(self, title: str, at: int = 0, more: str = "") -> None:
        """See Shelf."""

    def word(self, *arguments: Any) -> str:
        """See HalfBackend."""
        return "fine"

    def twice(self, reader: str) -> str:
        """See HalfBackend."""
        return "fine fine"


class Absent(Full):
    """Has no word."""

    word = None


class Short(Full):
    """Can't say it more often."""

    def word(self, reader: str) -> str:
        """See HalfBackend."""
        return "short"


class Greedy(Full):
    """Wants to know more."""

    @classmethod
    def word(cls, reader: str, times: int, mood: str) -> str:
        """See HalfBackend."""
        return mood


class Heir(HalfBackend):
    """Has only what the Protocol has; that's one method's default."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self.limit = 3


class Abstract(ABC, Full):
    """Leaves the word to others."""

    @abstractmethod
    def word(self, *arguments: Any) -> str:
        """See HalfBackend."""


class Limitless(Full):
    """Has no limit, which only an instance can tell."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self.shelf = self


class Shelved:
    """Can't list."""

    def add(self, title: str, at: int) -> None:
        """See Shelf, but for its star."""


class Shelfless(Full):
    """Has a shelf of another kind."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.shelf = Shelved()


class Broken(Full):
    """Can't be made."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        raise ValueError("there is\nno library")


group = Group("half", backend=HalfBackend, default_backend="full")


@group.get("/half/{reader}")
def word(backend: HalfBackend, reader: str) -> str:
    """Say the word."""
    return backend.word(reader, 2)


@hookimpl
def toolbox_group() -> Group:
    """Add the group."""
    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    """Offer them all."""
    kinds = [Full, Absent, Short, Greedy, Heir, Abstract, Limitless, Shelfless, Broken]
    targets = {kind.__name__.lower(): f"half:{kind.__name__}" for kind in kinds}
    targets |= {"missing": "half:Missing", "elsewhere": "half.elsewhere:Full"}
    return [BackendSpec(group="half", name=name, target=target) for name, target in targets.items()]
