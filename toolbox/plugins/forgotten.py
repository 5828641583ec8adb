"""A check for plugin authors: operations that are written and never served."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from toolbox.group import Group
from toolbox.group import Operations


def forgotten_operations(package: str, *groups: Group) -> list[str]:
    """Return the operations in ``package`` that none of ``groups`` serves, as ``module:function``.

    An operation is forgotten if no group includes the :class:`toolbox.group.Operations` of its
    module, or included them before it was registered. Assert in a test that there are none::

        assert forgotten_operations("greeter", greeter.group) == []

    Every module of the package that uses :mod:`toolbox.group` is imported. Raises ImportError.
    """
    served = [operation for group in groups for operation in group.operations]
    found: dict[str, None] = {}
    for module in _modules(package):
        for value in vars(module).values():
            if isinstance(value, Operations):
                for operation in value.operations:
                    if operation not in served:
                        function = operation.function
                        found[f"{function.__module__}:{function.__name__}"] = None
    return list(found)


def _modules(package: str) -> Iterator[ModuleType]:
    module = importlib.import_module(package)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{package}."):
        if found.ispkg:
            yield from _modules(found.name)
        elif _uses_groups(found.name):
            yield importlib.import_module(found.name)


def _uses_groups(name: str) -> bool:
    # A module that doesn't can't hold operations, and may be a script that runs when imported.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return False
    return "toolbox.group" in Path(spec.origin).read_text("utf-8")
