"""Does a backend have what its group's Protocol asks for? Looked at before anything calls it."""

from __future__ import annotations

import dis
import inspect
import typing
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any


def lacking(kind: Callable[..., Any], protocol: type[Any]) -> list[str]:
    """The methods of ``protocol`` that a class doesn't have, or not with these arguments, as in
    ``["list()", "move(source, destination)"]``.

    None of a class that is no Protocol, and none where only an instance can tell: of a function
    that makes backends, and of a class that makes other ones (``__new__``) or finds methods when
    they are asked for (``__getattr__``).
    """
    if not isinstance(kind, type) or hasattr(kind, "__getattr__") or _makes_others(kind):
        return []
    return [
        f"{name}({', '.join(_names(wanted))})"
        for name, wanted in _members(protocol)
        if not isinstance(wanted, property) and not _is_as(kind, name, wanted)
    ]


def lacking_now(backend: object, protocol: type[Any]) -> list[str]:
    """As :func:`lacking`, of an instance: its attributes too, and those of the parts that it has
    in attributes, as in ``["max_result", "jobs.list()"]``.
    """
    found = lacking(type(backend), protocol)
    for name, wanted in [*_members(protocol), *_annotated(protocol)]:
        if callable(wanted):
            continue
        try:
            part = getattr(backend, name)
        except AttributeError:
            found.append(name)
        except Exception:
            continue  # It is there; whether it can be had now is another question.
        else:
            found += [f"{name}.{each}" for each in lacking_now(part, _part(wanted))]
    return found


def _makes_others(kind: type[Any]) -> bool:
    makes: object = kind.__new__
    return makes is not object.__new__


def _bases(protocol: type[Any]) -> Iterator[type[Any]]:
    for base in protocol.__mro__:
        if base.__dict__.get("_is_protocol") and base.__module__ != "typing":
            yield base


def _members(protocol: type[Any]) -> Iterator[tuple[str, Callable[..., Any] | property]]:
    for base in _bases(protocol):
        for name, value in vars(base).items():
            if not name.startswith("_") and (inspect.isfunction(value) or _is_property(value)):
                yield name, value


def _is_property(value: object) -> bool:
    return isinstance(value, property)


def _annotated(protocol: type[Any]) -> Iterator[tuple[str, None]]:
    for base in _bases(protocol):
        for name in inspect.get_annotations(base):
            yield name, None


def _names(wanted: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(wanted).parameters)[1:]


def _is_as(kind: type[Any], name: str, wanted: Callable[..., Any]) -> bool:
    """Whether ``kind`` has the method, and that takes the arguments of ``wanted``."""
    own = inspect.getattr_static(kind, name, None)
    if getattr(own, "__isabstractmethod__", False) or (own is wanted and _is_stub(wanted)):
        return False  # Inherited from the Protocol, or from a class like one.
    if isinstance(own, staticmethod | classmethod) or inspect.isfunction(own):
        return _takes(own.__get__(object(), kind), list(_parameters(wanted)))
    return own is not None  # Whatever it is, only a call can tell.


def _is_stub(function: Callable[..., Any]) -> bool:
    """Whether it does nothing: the body of a method in a Protocol that has no default."""
    names = [each.opname for each in dis.get_instructions(function)]
    return names == [each.opname for each in dis.get_instructions(_stub)]


def _stub() -> None: ...


def _parameters(wanted: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for each in list(inspect.signature(wanted).parameters.values())[1:]:
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            yield each


def _takes(own: Callable[..., Any], wanted: list[inspect.Parameter]) -> bool:
    named = {each.name: None for each in wanted if each.kind is each.KEYWORD_ONLY}
    try:
        inspect.signature(own).bind(*[None] * (len(wanted) - len(named)), **named)
    except TypeError:
        return False
    return True


def _part(wanted: object) -> type[Any]:
    """The Protocol that a property leads to; ``object`` if it leads to none."""
    if not isinstance(wanted, property) or wanted.fget is None:
        return object
    try:
        found = typing.get_type_hints(wanted.fget).get("return")
    except NameError:
        return object  # It is only known to type checkers.
    return found if isinstance(found, type) else object
