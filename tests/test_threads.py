"""Pools where there is no room for threads, and gates."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from toolbox.threads import Gate
from toolbox.threads import Pool


def test_without_room_for_threads_those_there_are_do_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # AC-41
    with Pool(8) as pool:
        pool.start()

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        idle = threading.Event()
        futures: list[Future[Any]] = [
            pool.submit(idle.wait),
            *(pool.submit(int) for _ in range(20)),
        ]
        idle.set()
        assert [future.result(60) for future in futures] == [True, *[0] * 20]


def test_a_pool_without_any_thread_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = Pool(8)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        pool.start()
    monkeypatch.undo()
    pool.shutdown(cancel_futures=True)


def test_a_gate_admits_as_many_as_its_limit_and_raises_the_error_for_one_more() -> None:
    gate = Gate(2, lambda: KeyError("full"))
    gate.enter()
    with gate.admitted(), pytest.raises(KeyError, match="full"):
        gate.enter()
    with gate.admitted():
        pass
    gate.leave()
    with pytest.raises(ValueError, match="released too many times"):
        gate.leave()


def test_a_gate_frees_the_slot_of_a_block_that_raises() -> None:
    gate = Gate(1, lambda: KeyError("full"))
    with pytest.raises(RuntimeError), gate.admitted():
        raise RuntimeError
    gate.enter()


def test_a_patient_gate_waits_for_a_slot() -> None:
    gate = Gate(1, lambda: KeyError("full"), patience=60)
    gate.enter()
    entered = threading.Event()

    def enter() -> None:
        gate.enter()
        entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.is_set()
    gate.leave()
    assert entered.wait(60)
    thread.join()
