"""Lists of more sandboxes than a page has."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.routes.listing import CursorQuery
from toolbox_fleet.routes.listing import PageQuery
from toolbox_fleet.routes.listing import after_cursor
from toolbox_fleet.routes.listing import numbered

from .fleets import record

COUNT = 50
VALUES: dict[str, str] = {
    "name": "name",
    "cpu": "cpu",
    "memoryGib": "memory",
    "diskGib": "disk",
    "lastActivityAt": "last_activity_at",
    "createdAt": "created_at",
}
OLD_VALUES: dict[str, str] = {
    "id": "id",
    "name": "name",
    "state": "state",
    "snapshot": "snapshot",
    "region": "target",
    "updatedAt": "updated_at",
    "createdAt": "created_at",
}


@pytest.fixture(scope="module")
def sandboxes() -> list[Sandbox]:
    """Sandboxes in no order, of which several have the same value of each field, or none."""
    found = [_sandbox(number) for number in range(COUNT)]
    random.Random(7).shuffle(found)
    return found


def _sandbox(number: int) -> Sandbox:
    few = number % 7
    return msgspec.structs.replace(
        record(CreateSandbox(name=f"box {number}", labels={"few": str(few)})),
        cpu=1 + few,
        memory=8 - few,
        disk=10 * few,
        state="started" if few else "stopped",
        snapshot=f"snapshot {few}" if few else None,
        last_activity_at=f"2026-01-0{few}T00:00:00.000Z" if few else None,
        created_at=f"2026-02-0{1 + few}T00:00:00.000Z",
        updated_at=f"2026-03-0{9 - few}T00:00:00.000Z",
    )


def expected(sandboxes: list[Sandbox], field: str, order: str) -> list[str]:
    def position(one: Sandbox) -> Any:
        value = getattr(one, field)
        return ("" if value is None else value, one.id)

    return [one.id for one in sorted(sandboxes, key=position, reverse=order == "desc")]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", VALUES)
def test_the_pages_after_one_another_are_the_whole(
    sandboxes: list[Sandbox], sort: Any, order: Any
) -> None:
    found: list[str] = []
    cursor = ""
    for left in range(COUNT, 0, -10):
        query = CursorQuery(sort=sort, order=order, limit=10, cursor=cursor)
        page = after_cursor(iter(sandboxes), query)
        found += [one.id for one in page.items]
        # None leads to an empty page.
        assert (page.next_cursor is None) == (left == 10)
        cursor = page.next_cursor or ""
    assert found == expected(sandboxes, VALUES[sort], order)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", OLD_VALUES)
def test_numbered_pages_are_the_whole(sandboxes: list[Sandbox], sort: Any, order: Any) -> None:
    found: list[str] = []
    for number in range(1, 8):
        query = PageQuery(sort=sort, order=order, limit=8, page=number)
        page = numbered(sandboxes, query)
        assert (page.total, page.total_pages, page.page) == (COUNT, 7, number)
        found += [one.id for one in page.items]
    assert found == expected(sandboxes, OLD_VALUES[sort], order)


def test_sandboxes_that_go_meanwhile_hide_no_others(sandboxes: list[Sandbox]) -> None:
    first = after_cursor(sandboxes, CursorQuery(limit=10))
    gone = {one.id for one in first.items}
    left = [one for one in sandboxes if one.id not in gone]
    assert first.next_cursor is not None
    second = after_cursor(left, CursorQuery(limit=200, cursor=first.next_cursor))
    assert [one.id for one in second.items] == expected(left, "created_at", "desc")


def test_filters_come_before_pages(sandboxes: list[Sandbox]) -> None:
    query = CursorQuery(labels='{"few":"3"}', states=["started"], limit=200)
    page = after_cursor(sandboxes, query)
    assert {one.labels["few"] for one in page.items} == {"3"}
    assert len(page.items) == sum(one.labels["few"] == "3" for one in sandboxes)


def test_a_cursor_of_another_order_is_refused(sandboxes: list[Sandbox]) -> None:
    cursor = after_cursor(sandboxes, CursorQuery(sort="cpu", limit=1)).next_cursor
    assert cursor is not None
    with pytest.raises(InvalidValue):
        after_cursor(sandboxes, CursorQuery(sort="name", cursor=cursor))
