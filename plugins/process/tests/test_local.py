"""The backend ``local`` fulfils the contract of the group."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from toolbox_process.backend import ProcessBackend
from toolbox_process.contract import ProcessContract
from toolbox_process.interpreters import socket as interpreter_socket
from toolbox_process.interpreters.socket import InterpreterSocket
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.jobs.responses import job_info
from toolbox_process.local import LocalProcess
from toolbox_process.settings import LocalSettings
from toolbox_process.settings import ProcessSettings

from toolbox.settings import WebSocketSettings
from toolbox.sockets.handler import PROTOCOL_ERROR
from toolbox.sockets.websocket import WebSocket
from toolbox.testing import DEADLINE


class TestLocalProcess(ProcessContract):
    @pytest.fixture
    def backend(self, make_backend: Callable[..., ProcessBackend]) -> ProcessBackend:
        return make_backend(LocalProcess, LocalSettings(), ProcessSettings())

    def test_jobs_are_listed_while_others_start(self, backend: ProcessBackend) -> None:
        """One that is listed has its process."""
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                for job in backend.jobs.list():
                    job_info(job)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(1) as pool:
                looking = pool.submit(look)
                for _ in range(100):
                    backend.jobs.end(backend.jobs.start(StartJobRequest(command="true"))[0].id)
                over.set()
                looking.result()
        finally:
            sys.setswitchinterval(interval)

    def test_a_client_that_sends_no_code_is_told_so(
        self, backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(interpreter_socket, "FIRST_MESSAGE", 0.0)
        interpreters = backend.interpreters
        ours, theirs = socket.socketpair()
        handler = InterpreterSocket(interpreters)
        ws = WebSocket(
            *(theirs, interpreters.loop, handler, WebSocketSettings()),
            *(lambda ws, code, reason: None, b""),
        )
        interpreters.loop.call_soon(ws.start)
        with ours:
            ours.settimeout(DEADLINE)
            frame = ours.recv(1024)
        assert (frame[0], int.from_bytes(frame[2:4], "big")) == (0x88, PROTOCOL_ERROR)
