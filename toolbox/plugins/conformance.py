"""The comparison of a backend with its group's Protocol, before anything calls it."""

from __future__ import annotations

import dis
import inspect
import typing
from collections.abc import Callable
from collections.abc import Iterator
from types import CodeType
from types import FunctionType
from typing import Any

from toolbox.settings import SettingsError


def lacking(kind: Callable[..., Any], protocol: type[Any]) -> list[str]:
    """Return the methods of ``protocol`` that ``kind`` lacks, or that take other arguments there,
    such as ``["list()", "move(source, destination)"]``.

    The list is empty where only an instance would show it: for a function that makes backends, and
    for a class that makes instances of other ones (``__new__``) or finds methods on demand
    (``__getattr__``). It is empty, too, if ``protocol`` is not a Protocol.
    """
    if not isinstance(kind, type) or hasattr(kind, "__getattr__") or _makes_others(kind):
        return []
    return [
        f"{name}({', '.join(_names(wanted))})"
        for name, wanted in _members(protocol)
        if not isinstance(wanted, property) and not _is_as(kind, name, wanted)
    ]


def lacking_now(backend: object, protocol: type[Any]) -> list[str]:
    """Return what an instance lacks, as :func:`lacking` does: attributes too, and what the objects
    in its attributes lack, such as ``["max_result", "jobs.list()"]``.
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
            continue  # The attribute exists; reading it may fail for another reason right now.
        else:
            found += [f"{name}.{lack}" for lack in lacking_now(part, _part(wanted))]
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
    """Report whether ``kind`` has the method with the arguments of ``wanted``."""
    own = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    if own is not wanted and _looks_as(own, wanted):
        return True
    if getattr(own, "__isabstractmethod__", False) or (own is wanted and _is_stub(wanted)):
        return False  # Inherited from the Protocol, or from an abstract class.
    if isinstance(own, staticmethod | classmethod) or inspect.isfunction(own):
        return _takes(own.__get__(object(), kind), list(_parameters(wanted)))
    return own is not None  # A callable of an unknown kind: only a call would show.


def _looks_as(own: object, wanted: object) -> bool:
    """Report whether a plain function has the very arguments of another. :mod:`inspect` takes a
    hundred times as long to find out, for each of 200 methods of a start.
    """
    if not isinstance(own, FunctionType) or not isinstance(wanted, FunctionType):
        return False
    if vars(own) or vars(wanted):  # Decorated, or abstract.
        return False
    return _shape(own.__code__) == _shape(wanted.__code__)


def _shape(code: CodeType) -> tuple[object, ...]:
    positional, named = code.co_argcount, code.co_kwonlyargcount
    variable = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    names = code.co_varnames[: positional + named + variable.bit_count()]
    return positional, code.co_posonlyargcount, named, variable, names


def _is_stub(function: Callable[..., Any]) -> bool:
    """Report whether a function does nothing, as a Protocol's method without a default body."""
    names = [instruction.opname for instruction in dis.get_instructions(function)]
    return names == [instruction.opname for instruction in dis.get_instructions(_stub)]


def _stub() -> None: ...


def _parameters(wanted: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for parameter in list(inspect.signature(wanted).parameters.values())[1:]:
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield parameter


def _takes(own: Callable[..., Any], wanted: list[inspect.Parameter]) -> bool:
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    named = {parameter.name: None for parameter in wanted if parameter.kind is keyword_only}
    try:
        inspect.signature(own).bind(*[None] * (len(wanted) - len(named)), **named)
    except TypeError:
        return False
    return True


def _part(wanted: object) -> type[Any]:
    """Return the Protocol of a property's value, or ``object`` if it has none."""
    if not isinstance(wanted, property) or wanted.fget is None:
        return object
    getter: Any = wanted.fget
    name = getter.__annotations__.get("return")
    try:
        if isinstance(name, str) and name.isidentifier():
            found = getter.__globals__.get(name)
        else:
            found = typing.get_type_hints(getter).get("return")
    except NameError:
        return object  # A name that is imported for type checkers only.
    return found if isinstance(found, type) else object


def refuse_incomplete(where: str, backend: str, lacks: list[str]) -> None:
    """Raise SettingsError if a backend lacks something: every call of that would fail."""
    if lacks:
        raise SettingsError(f"{where}: {backend!r} is incomplete, it lacks {', '.join(lacks)}")
