"""Lists of sandboxes: filters, order and pages."""

from __future__ import annotations

import base64
import binascii
import heapq
import math
import operator
from collections.abc import Callable
from collections.abc import Iterable
from functools import partial
from operator import attrgetter
from typing import Annotated
from typing import Any
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.http.decoding import decode
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.models.listed import ListedSandbox
from toolbox_fleet.models.listed import listed
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.sandboxes import State
from toolbox_fleet.times import parse_time

PAGE = 100
"""Sandboxes on a page if the caller doesn't say."""

Limit = Annotated[int, Meta(ge=1, le=200)]


class Filter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The sandboxes that a list has, and their order."""

    id: str = ""
    """The beginning of an id, in any case."""
    name: str = ""
    """The beginning of a name, in any case."""
    labels: str = ""
    """A JSON object: labels that all must be there; null for any, as older clients send it."""
    include_errored_deleted: bool = False
    include_warm: bool = False
    """Also those that wait in warm pools."""
    states: list[State] = []
    snapshots: list[str] = []
    region_ids: list[str] = []
    sandbox_classes: list[str] = []
    min_cpu: float | None = None
    max_cpu: float | None = None
    min_memory: float | None = msgspec.field(name="minMemoryGiB", default=None)
    max_memory: float | None = msgspec.field(name="maxMemoryGiB", default=None)
    min_disk: float | None = msgspec.field(name="minDiskGiB", default=None)
    max_disk: float | None = msgspec.field(name="maxDiskGiB", default=None)
    min_gpu: float | None = None
    max_gpu: float | None = None
    is_public: bool | None = None
    is_recoverable: bool | None = None
    created_at_after: str = ""
    created_at_before: str = ""
    last_event_after: str = ""
    last_event_before: str = ""
    auto_destroy_at_after: str = ""
    auto_destroy_at_before: str = ""
    sort: str = "createdAt"
    order: Literal["asc", "desc"] = "desc"


class CursorQuery(Filter, frozen=True, kw_only=True, rename="camel"):
    """One page after a cursor."""

    cursor: str = ""
    limit: Limit = PAGE
    sort: Literal["name", "cpu", "memoryGib", "diskGib", "lastActivityAt", "createdAt"] = (
        "createdAt"
    )


class PageQuery(Filter, frozen=True, kw_only=True, rename="camel"):
    """One page by its number, as clients up to 0.181 ask for it, with their names of filters."""

    page: Annotated[int, Meta(ge=1)] = 1
    limit: Limit = PAGE
    regions: list[str] = []
    sort: Literal["id", "name", "state", "snapshot", "region", "updatedAt", "createdAt"] = (
        "createdAt"
    )


class CursorPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page; the cursor of the next is null on the last."""

    items: list[ListedSandbox]
    next_cursor: str | None


class NumberedPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page by its number."""

    items: list[Sandbox]
    total: int
    page: int
    total_pages: int


Key = tuple[Any, str]
"""The position of a sandbox in a list: the value it is sorted by, and its id."""

_KEYS: dict[str, Callable[[Sandbox], Key]] = {
    "name": attrgetter("name", "id"),
    "cpu": attrgetter("cpu", "id"),
    "memoryGib": attrgetter("memory", "id"),
    "diskGib": attrgetter("disk", "id"),
    "lastActivityAt": lambda sandbox: (sandbox.last_activity_at or "", sandbox.id),
    "createdAt": attrgetter("created_at", "id"),
    "id": attrgetter("id", "id"),
    "state": attrgetter("state", "id"),
    "snapshot": lambda sandbox: (sandbox.snapshot or "", sandbox.id),
    "region": attrgetter("target", "id"),
    "updatedAt": attrgetter("updated_at", "id"),
}


def after_cursor(sandboxes: Iterable[Sandbox], query: CursorQuery) -> CursorPage:
    """Return the page that begins after the query's cursor. Raises InvalidValue.

    The cursor is a position, not a number, so sandboxes that come and go meanwhile neither repeat
    nor hide others.
    """
    found, key = _matching(sandboxes, query), _KEYS[query.sort]
    is_descending = query.order == "desc"
    if query.cursor:
        last = _decode(query.cursor)
        is_after = partial(operator.gt if is_descending else operator.lt, last)
        # A cursor of another order has a number where this one has text.
        try:
            found = [one for one in found if is_after(key(one))]
        except TypeError:
            raise _invalid_cursor() from None
    # Of thousands, a page costs a look at each: to sort them all costs several times that.
    first = heapq.nlargest if is_descending else heapq.nsmallest
    page = first(query.limit + 1, found, key=key)
    # No cursor that leads to an empty page.
    cursor = None
    if len(page) > query.limit:
        del page[query.limit :]
        cursor = _encode(key(page[-1]))
    return CursorPage(items=[listed(one) for one in page], next_cursor=cursor)


def numbered(sandboxes: Iterable[Sandbox], query: PageQuery) -> NumberedPage:
    """Return the page with the query's number, which may be empty. Raises InvalidValue."""
    key, is_descending = _KEYS[query.sort], query.order == "desc"
    found = sorted(_matching(sandboxes, query), key=key, reverse=is_descending)
    first = (query.page - 1) * query.limit
    return NumberedPage(
        items=found[first : first + query.limit],
        total=len(found),
        page=query.page,
        total_pages=-(-len(found) // query.limit),
    )


def _matching(sandboxes: Iterable[Sandbox], query: Filter) -> Iterable[Sandbox]:
    for test in _tests(query):
        sandboxes = filter(test, sandboxes)
    return sandboxes


def _tests(query: Filter) -> Iterable[Callable[[Sandbox], bool]]:
    """Yield what a sandbox must fulfill to be listed."""
    yield from _of_text(query)
    yield from _of_state(query)
    yield from _of_numbers(query)
    yield from _of_times(query)


def _of_text(query: Filter) -> Iterable[Callable[[Sandbox], bool]]:
    if query.id:
        yield lambda one: one.id.lower().startswith(query.id.lower())
    if query.name:
        yield lambda one: one.name.lower().startswith(query.name.lower())
    if query.labels:
        labels = _labels(query.labels).items()
        yield lambda one: labels <= one.labels.items()
    if query.snapshots:
        yield lambda one: one.snapshot in query.snapshots
    if regions := query.region_ids or getattr(query, "regions", []):
        yield lambda one: one.target in regions
    if query.sandbox_classes:
        yield lambda one: one.sandbox_class in query.sandbox_classes


def _of_state(query: Filter) -> Iterable[Callable[[Sandbox], bool]]:
    if query.states:
        yield lambda one: one.state in query.states
    # Sandboxes that nobody has asked for yet, or that are about to be gone.
    if not query.include_warm:
        yield lambda one: one.warm_pool_id is None
    if not query.include_errored_deleted:
        yield lambda one: one.state != "error" or one.desired_state != "destroyed"
    if query.is_public is not None:
        yield lambda one: one.public == query.is_public
    if query.is_recoverable is not None:
        yield lambda one: one.recoverable == query.is_recoverable


def _of_numbers(query: Filter) -> Iterable[Callable[[Sandbox], bool]]:
    for name in ("cpu", "memory", "disk", "gpu"):
        least, most = getattr(query, f"min_{name}"), getattr(query, f"max_{name}")
        if (least, most) != (None, None):
            low = -math.inf if least is None else least
            yield partial(_is_within, name, low, math.inf if most is None else most)


def _is_within(field: str, least: float, most: float, sandbox: Sandbox) -> bool:
    return bool(least <= getattr(sandbox, field) <= most)


def _of_times(query: Filter) -> Iterable[Callable[[Sandbox], bool]]:
    fields = {"created_at": "created_at", "last_event": "updated_at"}
    for name, field in (*fields.items(), ("auto_destroy_at", "auto_destroy_at")):
        after, before = getattr(query, f"{name}_after"), getattr(query, f"{name}_before")
        if after or before:
            first = parse_time(after) if after else -math.inf
            last = parse_time(before) if before else math.inf
            yield partial(_is_between, field, first, last)


def _is_between(field: str, first: float, last: float, sandbox: Sandbox) -> bool:
    """Report whether a time of the sandbox is there, after ``first`` and before ``last``."""
    text = getattr(sandbox, field)
    return bool(text) and first < parse_time(text) < last


def _labels(text: str) -> dict[str, str]:
    try:
        return decode(text.encode(), dict[str, str] | None) or {}
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidValue(f"labels is not a JSON object of strings: {error}") from None


def _encode(key: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def _decode(cursor: str) -> Key:
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(data, type=tuple[str | int, str])
    except (binascii.Error, ValueError):  # UnicodeError and msgspec's are ValueErrors, too.
        raise _invalid_cursor() from None


def _invalid_cursor() -> InvalidValue:
    return InvalidValue("cursor is not one that a list with this order has returned")
