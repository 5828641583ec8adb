"""The words of which the tables of cases are made."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Call:
    """A request, and what must be true of its response.

    ``{dir}`` and ``{id}`` in any text are a directory and a name of this case; ``keep`` adds other
    names, each with the key of the response that it stands for, ``a.b`` for one in another. ``has``
    is compared by :func:`toolbox.conformance.matching.mismatch`. With ``until`` the request is
    repeated until all is true. ``open`` sends no token. ``made``, given the call with its texts
    filled in and the token, returns the one to send. Of a stream only the messages up to ``first``
    are read, if that is given, and the connection is closed then.
    """

    method: str
    path: str
    json: Any = None
    body: bytes | None = None
    form: Mapping[str, str | tuple[str, bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | tuple[int, ...] = 200
    has: Any = None
    content: bytes | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    until: bool = False
    open: bool = False
    made: Callable[[Call, str], Call] | None = None
    first: int = 0


@dataclass(frozen=True)
class Talk:
    """A WebSocket: ``send`` is sent once ``after`` was seen, and then ``sees`` must be."""

    path: str
    send: str
    sees: str
    after: str = ""


Step = Call | Talk


@dataclass(frozen=True)
class Case:
    """One thing that a server must do right, in steps."""

    name: str
    steps: Sequence[Step]

    @property
    def needs_token(self) -> bool:
        """True if it shows that a token is needed, which a server without one can't."""
        return any(isinstance(step, Call) and step.open for step in self.steps)


@dataclass(frozen=True)
class Table:
    """The cases of a group, and the steps that remove what they have left."""

    name: str
    cases: Sequence[Case]
    directory: str = "/tmp/conformance-{id}"
    token_header: str = "Authorization"
    cleanup: Sequence[Step] = ()


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return ``value`` with every known ``{name}`` replaced, at any depth."""
    if isinstance(value, str):
        return _NAME.sub(lambda found: names.get(found[1], found[0]), value)
    if isinstance(value, bytes):
        return filled(value.decode("latin-1"), names).encode("latin-1")
    if isinstance(value, dict):
        return {filled(key, names): filled(item, names) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(filled(item, names) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(filled(item, names) for item in value)
    return value
