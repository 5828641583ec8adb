"""The numbers of a control plane, whatever order its events come in."""

from __future__ import annotations

import msgspec
import pytest
from toolbox_fleet.counting import POOLED
from toolbox_fleet.counting import Counts
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox

from .fleets import record


def figures(counts: Counts, *sandboxes: Sandbox) -> dict[str, float]:
    found = {}
    for figure in counts.figures(lambda: sandboxes):
        found[" ".join([figure.name, *figure.labels.values()])] = figure.value
    return found


def in_state(sandbox: Sandbox, state: str) -> Sandbox:
    return msgspec.structs.replace(sandbox, state=state)


def gone(sandbox_id: str) -> Sandbox:
    raise NoSuchSandbox("sandbox not found: none has this id or name")


def test_a_sandbox_is_ready_when_its_event_says_so() -> None:
    counts, sandbox = Counts(), record(CreateSandbox())
    counts.create(lambda: sandbox, lambda _: sandbox)
    assert figures(counts)["ready"] == 0
    for _ in range(2):  # The second one is of a later start.
        counts.observe(Event(kind="state", sandbox=sandbox, old="creating", new="started"))
    assert figures(counts)["ready"] == 1
    assert figures(counts)["ready_within +Inf"] == 1


def test_a_sandbox_that_is_ready_before_its_creation_returns_is_counted() -> None:
    counts, sandbox = Counts(), record(CreateSandbox())
    counts.create(lambda: sandbox, lambda _: in_state(sandbox, "started"))
    assert figures(counts)["ready"] == 1


@pytest.mark.parametrize("state", ["error", "destroying", "destroyed"])
def test_one_that_ends_before_it_is_ready_has_failed(state: str) -> None:
    counts, sandbox = Counts(), record(CreateSandbox())
    counts.create(lambda: sandbox, lambda _: sandbox)
    for event in (state, "started"):
        counts.observe(Event(kind="state", sandbox=sandbox, old="creating", new=event))
    assert (figures(counts)["creates failed"], figures(counts)["ready"]) == (1, 0)


def test_one_that_is_refused_or_gone_at_once_is_no_success() -> None:
    def refuse() -> Sandbox:
        raise NoCapacity("all sandboxes that this machine may have are running")

    counts, sandbox = Counts(), record(CreateSandbox())
    with pytest.raises(NoCapacity):
        counts.create(refuse, gone)
    assert counts.create(lambda: sandbox, gone) is sandbox
    found = figures(counts)
    assert (found["creates refused"], found["creates accepted"], found["ready"]) == (1, 1, 0)


def test_those_that_wait_in_a_pool_are_counted_apart() -> None:
    started = in_state(record(CreateSandbox()), "started")
    waiting = msgspec.structs.replace(started, warm_pool_id="pool")
    found = figures(Counts(), started, waiting, waiting)
    assert (found["sandboxes started"], found[f"sandboxes {POOLED}"]) == (1, 2)
    assert found["sandboxes error"] == 0


def test_a_backend_without_access_has_the_other_numbers() -> None:
    def unreachable() -> list[Sandbox]:
        raise NoCapacity("no access")

    names = {figure.name for figure in Counts().figures(unreachable)}
    assert "creates" in names and "sandboxes" not in names
