"""Figures of jobs and of WebSockets, where the group ``process`` is installed."""

from __future__ import annotations

import contextlib
from typing import Any

import websocket


def test_jobs_and_open_sockets(counting: Any) -> None:
    job = counting.http.post("/x/jobs", json={"command": "sleep 600"}).json()
    assert counting.figure("toolbox_process_jobs_running") == 1
    path = "/process/pty/create-connect?id=counted"
    with contextlib.closing(counting.websocket(path)) as ws:
        ws.recv()
        assert counting.figure("toolbox_websockets_open") == 1
        assert counting.figure("toolbox_process_terminals") == 1
        ws.send("exit\n")
        with contextlib.suppress(websocket.WebSocketConnectionClosedException):
            while ws.recv():
                pass
    counting.http.delete(f"/x/jobs/{job['id']}")
    operation = {"operation": "process.create_and_connect_pty_session"}
    counting.wait_for(
        lambda: counting.figure("toolbox_websockets_total", code="1000", **operation) == 1,
        "the socket's end",
    )
    assert counting.figure("toolbox_received_bytes_total", **operation) > 5
    assert counting.figure("toolbox_sent_bytes_total", **operation) > 5
    assert counting.figure("toolbox_websockets_open") == 0
    counting.wait_for(lambda: counting.figure("toolbox_process_jobs_running") == 0, "the jobs' end")
    assert counting.figure("toolbox_process_jobs_finished") == 2
