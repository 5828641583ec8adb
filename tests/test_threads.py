"""A pool where there is no room for threads."""

from __future__ import annotations

import threading

import pytest

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
        futures = [pool.submit(idle.wait), *(pool.submit(int) for _ in range(20))]
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
