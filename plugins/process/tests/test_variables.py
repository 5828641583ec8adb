"""F-E7, F-E8: variables and the working directory are taken by one rule, wherever a program is
started.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket

from toolbox.testing import Service

ODD = {"1A": "1", "A-B": "2", "\u00e9": "3", "a b": "4", "-u": "5", "X.y[0]": "6"}
"""Names that no shell has for its own variables, and every environment may hold."""

WRONG = ["", "=", "A=B", "A\0B", "A\nB", "A\r"]

PRINT = f"import os, json; print(json.dumps({{n: os.environ.get(n) for n in {list(ODD)}}}))"


def pty(service: Service, name: str, envs: dict[str, str]) -> websocket.WebSocket:
    data = base64.urlsafe_b64encode(json.dumps(envs).encode()).decode().rstrip("=")
    path = f"/process/pty/create-connect?id={name}"
    return service.websocket(path, subprotocols=[f"X-Daytona-Pty-Envs~{data}"])


def interpret(service: Service, body: Any) -> tuple[str, int]:
    """What code in the default interpreter prints, and the code its socket is closed with."""
    ws = service.websocket("/process/interpreter/execute")
    ws.send(json.dumps(body))
    text = ""
    while True:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            ws.close()
            return text, int.from_bytes(data[:2], "big")
        if opcode == websocket.ABNF.OPCODE_TEXT:
            text += json.loads(data)["text"] if b'"stdout"' in data else ""


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A command that prints the odd variables: by Python, as shells can't name them."""
    file = tmp_path / "print.py"
    file.write_text(PRINT)
    return f"{sys.executable} {file}"


def test_any_name_an_environment_may_hold(service: Service, script: str, tmp_path: Path) -> None:
    """F-E7."""
    http = service.http
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = http.post("/process/execute", json={"command": script, "envs": ODD}).json()
    assert json.loads(done["result"]) == ODD
    body = {"code": PRINT, "language": "python", "envs": {**ODD, **path}}
    assert json.loads(http.post("/process/code-run", json=body).json()["result"]) == ODD
    output = tmp_path / "job"
    job = {"command": f"{script} > {output}", "envs": ODD}
    started = http.post("/x/jobs", json=job).json()["id"]
    http.get(f"/x/jobs/{started}/wait")
    assert json.loads(output.read_text()) == ODD
    assert json.loads(interpret(service, {"code": PRINT, "envs": ODD})[0]) == ODD
    output = tmp_path / "pty"
    ws = pty(service, "odd", ODD)
    ws.send(f"{script} > {output}.new && mv {output}.new {output}; exit\n")
    service.wait_for(output.exists, "the terminal")
    ws.close()
    assert json.loads(output.read_text()) == ODD


def test_the_service_own_variables(make_service: Any, script: str) -> None:
    """F-E7: ``POST /env`` takes the same names, and everything started later has them."""
    service = make_service(settings='[plugins]\nenable = ["process", "server"]\n')
    assert service.http.post("/env", json={"set": ODD}).status_code < 300
    done = service.http.post("/process/execute", json={"command": script}).json()
    assert json.loads(done["result"]) == ODD
    service.http.post("/process/session", json={"sessionId": "s"})
    body = {"command": script}
    headers = {"X-Daytona-SDK-Version": "0.226.1"}
    done = service.http.post("/process/session/s/exec", json=body, headers=headers).json()
    assert json.loads(done["stdout"]) == ODD


@pytest.mark.parametrize("name", WRONG)
def test_what_no_environment_can_hold(service: Service, name: str) -> None:
    """F-E7: refused everywhere."""
    envs = {name: "x"}
    answers: list[httpx.Response] = [
        service.http.post("/process/execute", json={"command": "true", "envs": envs}),
        service.http.post(
            "/process/code-run", json={"code": "1", "language": "python", "envs": envs}
        ),
        service.http.post("/x/jobs", json={"command": "true", "envs": envs}),
        service.http.post("/process/pty", json={"id": "wrong", "envs": envs}),
        service.http.post("/env", json={"set": envs}),
    ]
    assert [each.status_code for each in answers] == [400] * len(answers)
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        pty(service, "wrong", envs)
    assert interpret(service, {"code": "print(1)", "envs": envs}) == ("", 1008)


def test_code_run_takes_cwd(service: Service) -> None:
    """F-E8."""
    code = "import os; print(os.getcwd())"
    for language, text in (("python", code), ("javascript", "console.log(process.cwd())")):
        body = {"code": text, "language": language, "cwd": "/usr"}
        answer = service.http.post("/process/code-run", json=body).json()
        assert answer == {"exitCode": 0, "result": "/usr\n"}
    body = {"code": code, "language": "python", "cwd": "/no/such/directory"}
    answer = service.http.post("/process/code-run", json=body).json()
    assert answer["exitCode"] == -1
    assert "No such file or directory" in answer["result"]
    wrong = service.http.post("/process/code-run", json={**body, "cwd": "a\0b"})
    assert wrong.status_code == 400


def test_a_terminal_has_no_other_one_s_size(make_service: Any, tmp_path: Path) -> None:
    """A program that finds a size in its environment heeds no change of its terminal's."""
    size = {"LINES": "24", "COLUMNS": "80"}
    service = make_service(env=size)
    output = tmp_path / "output"
    show = f"env | grep -E '^(LINES|COLUMNS)=' | sort > {output}.new; mv {output}.new {output}"

    def shown(**options: Any) -> list[str]:
        job = service.http.post("/x/jobs?wait=60", json={"command": show, **options}).json()
        assert job["exitCode"] == 0
        return output.read_text().splitlines()

    assert shown(pty={}) == []
    assert shown(pty={}, envs=size) == ["COLUMNS=80", "LINES=24"]
    # On no terminal they may be meant.
    assert shown() == ["COLUMNS=80", "LINES=24"]
    output.unlink()
    ws = service.websocket("/process/pty/create-connect?id=sized")
    ws.send(f"{show}\n")
    service.wait_for(output.exists, "the terminal")
    ws.close()
    assert output.read_text() == ""
