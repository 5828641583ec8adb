"""More that a client may do, for a soak: what opens WebSockets, starts interpreters and packs."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx
import websocket

from toolbox.testing import Service

from .workload import Client


class Soaker(Client):
    """A client that leaves nothing behind, whatever it does and however often."""

    def __init__(self, service: Service, number: int, application: int) -> None:
        super().__init__(service, number, application)
        self.service = service

    def round(self) -> int:
        """Do each thing once, in any order; how many."""
        for action in self.random.sample(self.actions, len(self.actions)):
            action()
        return len(self.actions)

    def open(self, path: str, **options: Any) -> contextlib.closing[websocket.WebSocket]:
        return contextlib.closing(self.service.websocket(path, **options))

    def do_run_code(self) -> None:
        body = {"code": "print(6 * 7)", "language": "python"}
        assert self.call("POST", "/process/code-run", json=body).json()["result"] == "42\n"

    def do_interpret(self) -> None:
        context = self.call("POST", "/process/interpreter/context", json={}).json()["id"]
        with self.open("/process/interpreter/execute") as ws:
            ws.send(json.dumps({"code": "print(6 * 7)", "contextId": context}))
            events = [json.loads(text) for text in iter(ws.recv, "")]
        assert "".join(each["text"] for each in events if each["type"] == "stdout") == "42\n"
        self.call("DELETE", f"/process/interpreter/context/{context}")

    def do_use_a_terminal(self) -> None:
        seen = b""
        with self.open(f"/process/pty/create-connect?id={self.name}") as ws:
            ws.send_binary(b"echo $((6 * 7))-end; exit\r")
            while b"42-end" not in seen:
                data = ws.recv()
                seen += data if isinstance(data, bytes) else data.encode()
        with contextlib.suppress(httpx.HTTPError):
            self.http.delete(f"/process/pty/{self.name}")

    def do_follow_a_log(self) -> None:
        session = f"{self.name}-followed"
        self.call("POST", "/process/session", json={"sessionId": session})
        body = {"command": "seq 10000", "runAsync": True}
        path = f"/process/session/{session}"
        command = self.call("POST", f"{path}/exec", json=body).json()["cmdId"]
        seen = b""
        with self.open(f"{path}/command/{command}/logs?follow=true") as ws:
            while piece := ws.recv():
                seen += piece if isinstance(piece, bytes) else piece.encode()
        assert b"\n10000\n" in seen
        self.call("DELETE", path)

    def do_end_a_job(self) -> None:
        job = self.call("POST", "/x/jobs", json={"command": "seq 100; sleep 1000"}).json()["id"]
        assert self.call("DELETE", f"/x/jobs/{job}").json()["reason"] == "cancelled"

    def do_pack_and_unpack(self) -> None:
        packed = self.call("GET", "/x/files/archive", params={"path": f"{self.name}/.git"}).content
        place = {"path": f"{self.name}/unpacked"}
        self.call("PUT", "/x/files/archive", params=place, content=packed)
        self.call("DELETE", "/files", params={**place, "recursive": "true"})

    def do_edit(self) -> None:
        path = f"{self.name}/edited"
        self.call("POST", "/files/upload-v2", params={"path": path}, content=b"one two")
        edits = [{"type": "replace", "oldText": "two", "newText": "three"}]
        self.call("POST", "/x/files/edit", json={"path": path, "edits": edits})

    def do_watch(self) -> None:
        with self.open(f"/x/files/watch?path={self.name}") as ws:
            params = {"path": f"{self.name}/watched"}
            self.call("POST", "/files/upload-v2", params=params, content=b"x")
            while "watched" not in (told := ws.recv()):
                assert told

    def do_follow_ports(self) -> None:
        with self.http.stream("GET", "/x/ports/events") as answer:
            assert next(answer.iter_lines())
