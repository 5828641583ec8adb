"""The objects of one kind, by name, and by whatever else they are looked for."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Generic

from toolbox_fleet_kubernetes.cache.watching import T

Key = str

GONE = 4096
"""Deleted objects that are remembered."""


class Shelf(Generic[T]):
    """Objects of a kind. Under the lock of whoever has it.

    ``key`` returns what an object is looked for by; None for one that is not kept.
    """

    def __init__(self, key: Callable[[T], Key | None]) -> None:
        self._key = key
        self._objects: dict[str, T] = {}
        # Nearly always one, for which a dictionary takes 200 bytes more.
        self._names: dict[Key, tuple[str, ...]] = {}
        self._gone: dict[str, None] = {}
        """The uids of the latest objects that were deleted, in their order."""

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._objects.values()))

    def get(self, name: str) -> T | None:
        """Return an object by name."""
        return self._objects.get(name)

    def of(self, key: Key) -> list[T]:
        """Return the objects with a key."""
        return [self._objects[name] for name in self._names.get(key, ())]

    def put(self, object_: T) -> set[Key]:
        """Keep an object, unless a newer one is here; return the keys that this concerns."""
        name = object_.metadata.name
        old = self._objects.get(name)
        # The response to our own write may come after the watch has told of the object's end.
        if object_.metadata.uid in self._gone or (old is not None and _is_newer(old, object_)):
            return set()
        concerned = self._drop(name)
        key = self._key(object_)
        if key is not None:
            self._objects[name] = object_
            self._names[key] = (*self._names.get(key, ()), name)
            concerned.add(key)
        return concerned

    def remove(self, object_: T) -> set[Key]:
        """Forget an object, unless another has its name; return the keys that this concerns."""
        self._gone[object_.metadata.uid] = None
        if len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]
        old = self._objects.get(object_.metadata.name)
        if old is None or old.metadata.uid != object_.metadata.uid:
            return set()
        return self._drop(object_.metadata.name)

    def replace(self, objects: Sequence[T], version: str) -> set[Key]:
        """Keep these objects alone, of a list of this version; return the keys that this concerns.

        What we have written since stays: the list can't have it.
        """
        listed = {one.metadata.name for one in objects}
        concerned: set[Key] = set()
        for name, one in list(self._objects.items()):
            if name not in listed and not _is_later(one.metadata.resourceVersion, version):
                concerned |= self._drop(name)
        for one in objects:
            concerned |= self.put(one)
        return concerned

    def _drop(self, name: str) -> set[Key]:
        old = self._objects.pop(name, None)
        if old is None:
            return set()
        key = self._key(old)
        assert key is not None
        others = tuple(one for one in self._names[key] if one != name)
        if others:
            self._names[key] = others
        else:
            del self._names[key]
        return {key}


def _is_newer(old: T, new: T) -> bool:
    """Report whether ``old`` is a later state: our own write comes before the watch's event."""
    if old.metadata.uid != new.metadata.uid:
        return False
    return _is_later(old.metadata.resourceVersion, new.metadata.resourceVersion)


def _is_later(one: str, other: str) -> bool:
    # Decimal numbers that grow: since Kubernetes 1.35 by its API's promise, before by its nature.
    return one.isdigit() and other.isdigit() and int(one) > int(other)
