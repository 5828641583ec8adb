"""Clients that do a bit of everything, each with a check of the answer."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from toolbox.testing import Service

MEGABYTE = 1 << 20


def memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class Client:
    """One client: a connection, and everything it may do, each with a check of the answer."""

    def __init__(self, service: Service, number: int, application: int) -> None:
        self.http = service.client(service.token)
        self.name = f"client-{number}"
        self.application = application
        self.random = random.Random(number)
        self.counter = itertools.count()
        self.actions = [
            each
            for name in dir(self)
            if name.startswith("do_") and callable(each := getattr(self, name))
        ]

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self.http.request(method, path, **options)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def prepare(self) -> None:
        """What its actions need."""
        self.call("POST", "/process/session", json={"sessionId": self.name})
        self.call("POST", "/git/init", json={"path": self.name})
        self.call("POST", "/git/config/user", json={"path": self.name, "name": "n", "email": "e@x"})

    def clean_up(self) -> None:
        self.call("DELETE", f"/process/session/{self.name}")
        self.call("DELETE", "/files", params={"path": self.name, "recursive": "true"})
        self.http.close()

    def do_transfer_a_file(self) -> None:
        content = self.random.randbytes(self.random.choice([0, 1, 1000, 70_000, MEGABYTE]))
        path = f"{self.name}/blob"
        self.call("POST", "/files/upload-v2", params={"path": path}, content=content)
        got = self.call("GET", "/files/download", params={"path": path}).content
        assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()

    def do_upload_several(self) -> None:
        files: dict[str, tuple[str | None, bytes]] = {}
        for number in range(3):
            files[f"files[{number}].path"] = (None, f"{self.name}/many-{number}".encode())
            files[f"files[{number}].file"] = ("x", str(number).encode() * 1000)
        self.call("POST", "/files/bulk-upload", files=files)
        for number in range(3):
            path = f"{self.name}/many-{number}"
            got = self.call("GET", "/files/download", params={"path": path}).content
            assert got == str(number).encode() * 1000

    def do_look_around(self) -> None:
        names = {
            each["name"] for each in self.call("GET", "/files", params={"path": self.name}).json()
        }
        assert ".git" in names
        self.call("GET", "/files/search", params={"path": self.name, "pattern": "*lob"})

    def do_execute(self) -> None:
        text = f"{self.name} {next(self.counter)}"
        answer = self.call("POST", "/process/execute", json={"command": f"printf '{text}'"}).json()
        assert (answer["exitCode"], answer["result"]) == (0, text)

    def do_execute_with_much_output(self) -> None:
        command = "seq 50000"
        answer = self.call("POST", "/process/execute", json={"command": command}).json()
        assert answer["result"] == "".join(f"{number}\n" for number in range(1, 50001))

    def do_session_command(self) -> None:
        text = f"{next(self.counter)}"
        path = f"/process/session/{self.name}/exec"
        answer = self.call("POST", path, json={"command": f"LAST={text}; echo $LAST"}).json()
        assert (answer["exitCode"], answer["output"]) == (0, f"{text}\n")

    def do_job(self) -> None:
        text = f"{self.name} {next(self.counter)}"
        job = self.call("POST", "/x/jobs", json={"command": f"echo '{text}'"}).json()["id"]
        done = self.call("GET", f"/x/jobs/{job}/wait", params={"timeout": 60}).json()
        assert (done["exitCode"], done["reason"]) == (0, "exited")
        output = self.call("GET", f"/x/jobs/{job}/output", params={"encoding": "text"}).json()
        assert "".join(each["data"] for each in output["pieces"]) == f"{text}\n"

    def do_commit(self) -> None:
        content = f"{next(self.counter)}".encode()
        params = {"path": f"{self.name}/tracked"}
        self.call("POST", "/files/upload-v2", params=params, content=content)
        self.call("POST", "/git/add", json={"path": self.name, "files": ["tracked"]})
        body = {"path": self.name, "message": "m", "author": "a", "email": "a@x"}
        commit = self.call("POST", "/git/commit", json=body).json()["hash"]
        history = self.call("GET", "/git/history", params={"path": self.name, "limit": 1}).json()
        assert history[0]["hash"] == commit

    def do_status(self) -> None:
        self.call("GET", "/git/status", params={"path": self.name})

    def do_proxy(self) -> None:
        path = f"/{self.name}/{next(self.counter)}"
        assert self.call("GET", f"/proxy/{self.application}{path}").text == path

    def do_small_things(self) -> None:
        self.call("GET", "/version")
        self.call("GET", "/system/metrics")
        self.call("GET", f"/port/{9999}/in-use")
        self.call("GET", "/computeruse/status")
        self.call("GET", "/process/session")
        self.call("GET", f"/api/sandbox/{self.name}")

    def do_ask_for_what_is_not_there(self) -> None:
        for path in ("/files/info?path=nothing", "/process/session/nothing", "/nothing"):
            assert self.http.get(path).status_code == 404


def go(clients: list[Client], seconds: float) -> tuple[int, list[BaseException]]:
    """Let every client do one thing after the other; how many were done, and what failed."""
    failures: list[BaseException] = []
    end = time.monotonic() + seconds
    done = [0] * len(clients)

    def work(number: int, client: Client) -> None:
        while time.monotonic() < end and not failures:
            try:
                client.random.choice(client.actions)()
            except BaseException as failure:
                failures.append(failure)
            done[number] += 1

    together(work, list(enumerate(clients)))
    return sum(done), failures


def together(function: Callable[..., None], arguments: list[tuple[Any, ...]]) -> None:
    threads = [threading.Thread(target=function, args=each) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
