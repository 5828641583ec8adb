from __future__ import annotations

import threading

from toolbox_process.engine.end_event import EndEvent

from toolbox.testing import DEADLINE


def test_it_is_set_for_good() -> None:
    event = EndEvent()
    assert not event.is_set()
    assert not event.wait(0)
    event.set()
    assert event.is_set()
    assert event.wait(0)
    assert event.wait()
    event.set()
    assert event.is_set()


def test_every_thread_that_waits_is_woken() -> None:
    for _ in range(50):
        event = EndEvent()
        woken = threading.Semaphore(0)

        def wait(event: EndEvent = event, woken: threading.Semaphore = woken) -> None:
            if event.wait(DEADLINE):
                woken.release()

        threads = [threading.Thread(target=wait) for _ in range(4)]
        for thread in threads:
            thread.start()
        event.set()
        for _ in threads:
            assert woken.acquire(timeout=DEADLINE)
        for thread in threads:
            thread.join(DEADLINE)
