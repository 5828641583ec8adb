"""Results that fit a model: waited for, with both ends of the output and its totals."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.testing import eventually

from toolbox.testing import Service

NEW = {"X-Daytona-SDK-Version": "0.226.1"}
OLD = {"X-Daytona-SDK-Version": "0.20.0"}
MARKED = {"X-Daytona-SDK-Version": "0.100.0"}


def run(service: Service, command: str, query: str = "preview=8,8", **more: Any) -> Any:
    """Run a job to its end, in one request."""
    answer = service.http.post(f"/x/jobs?wait=50&{query}", json={"command": command, **more})
    assert answer.status_code == 201, answer.text
    assert answer.json()["done"]
    return answer.json()


def ends(preview: Any) -> tuple[str, str, int]:
    parts = preview["headBytes"] + preview["omitted"] + preview["tailBytes"]
    assert parts == preview["bytes"], preview
    return preview["head"], preview["tail"], preview["omitted"]


def test_one_call_for_a_short_command(service: Service) -> None:
    info = run(service, "echo one two three; sleep 0.2; echo wrong >&2; exit 3")
    assert (info["exitCode"], info["reason"]) == (3, "exited")
    assert info["duration"] >= 0.2
    assert ends(info["stdout"]) == ("one two three\n", "", 0)
    assert ends(info["stderr"]) == ("wrong\n", "", 0)
    assert ends(info["output"]) == ("one two ", "e\nwrong\n", 4)
    later = service.http.get(f"/x/jobs/{info['id']}?preview=3,0").json()
    assert ends(later["stdout"]) == ("one", "", 11)
    assert "stdout" not in service.http.get(f"/x/jobs/{info['id']}").json()
    waited = service.http.get(f"/x/jobs/{info['id']}/wait?preview=0,3").json()
    assert ends(waited["stderr"]) == ("", "ng\n", 3)


def test_a_job_that_still_runs(service: Service) -> None:
    answer = service.http.post(
        "/x/jobs?wait=0.3&preview=9,9", json={"command": "echo begun; sleep 1000"}
    )
    info = answer.json()
    assert (answer.status_code, info["done"], info["exitCode"]) == (201, False, None)
    eventually(
        lambda: (
            ends(service.http.get(f"/x/jobs/{info['id']}?preview=9,9").json()["output"])
            == ("begun\n", "", 0)
        ),
        "the output",
    )
    service.http.delete(f"/x/jobs/{info['id']}")


def test_bytes_that_are_no_text(service: Service) -> None:
    """NUL stays, what isn't UTF-8 is replaced and told; base64 has every byte."""
    command = r"printf 'a\000\377z'; printf '\303\244' >&2"
    info = run(service, command)
    assert ends(info["stdout"]) == ("a\0\ufffdz", "", 0)
    assert (info["stdout"]["replaced"], info["stderr"]["replaced"]) == (True, False)
    exact = run(service, command, "preview=2,1&encoding=base64")["stdout"]
    assert base64.b64decode(exact["head"]) + base64.b64decode(exact["tail"]) == b"a\0z"
    assert (exact["omitted"], exact["replaced"]) == (1, False)


@pytest.mark.parametrize("head", range(8))
def test_no_cut_goes_through_a_character(service: Service, head: int) -> None:
    text = "aé€😀" * 3
    info = run(service, f"printf %s {text}", f"preview={head},{head}")
    before, after, omitted = ends(info["stdout"])
    assert text.startswith(before)
    assert text.endswith(after)
    assert not info["stdout"]["replaced"]
    assert len(before.encode()) > head - 4
    assert len(after.encode()) > head - 4
    assert omitted <= len(text.encode())


def test_streams_that_alternate(service: Service) -> None:
    code = "import os\nfor n in range(3000): os.write(1, b'o%04d' % n); os.write(2, b'e%04d' % n)"
    info = run(service, f'python3 -c "{code}"', "preview=10,10")
    assert ends(info["stdout"]) == ("o0000o0001", "o2998o2999", 15000 - 20)
    assert ends(info["stderr"]) == ("e0000e0001", "e2998e2999", 15000 - 20)
    assert info["output"]["bytes"] == 30000


def memory(service: Service) -> int:
    """Bytes of the worker that are in memory."""
    (worker,) = service.workers()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_much_output_in_little_memory(service: Service) -> None:
    before = memory(service)
    size = 1 << 30
    # No line of it is UTF-8.
    flood = f"yes \"$(printf '\\377\\376x')\" | head -c {size}"
    info = run(service, f"echo first; {flood}; echo last; echo e >&2")
    assert info["stdout"]["bytes"] == size + 11
    assert ends(info["stdout"])[:2] == ("first\n\ufffd\ufffd", "\ufffdx\nlast\n")
    assert ends(info["stderr"]) == ("e\n", "", 0)
    assert info["exitCode"] == 0
    assert memory(service) - before < 64 << 20
    answer = service.http.get(f"/x/jobs/{info['id']}?preview=1000000,1000000")
    assert answer.json()["output"]["omitted"] == size + 13 - 2_000_000


def test_what_is_no_longer_kept_is_among_what_is_omitted(
    make_service: Callable[..., Service],
) -> None:
    settings = "[process.local]\noutput_memory = 4096\noutput_limit = 1048576\n"
    service = make_service(settings=settings)
    size = 3 << 20
    info = run(service, f"echo first; head -c {size} /dev/zero; echo last", "preview=999999,999999")
    head, tail, omitted = ends(info["stdout"])
    assert head.startswith("first\n")
    assert tail.endswith("last\n")
    assert omitted > size - (1 << 20) - 100
    # All of it would fit, but not all is kept.
    everything = run(service, "head -c 1900000 /dev/zero", "preview=1000000,1000000")["output"]
    assert everything["bytes"] == 1900000
    assert everything["omitted"] > 0
    assert ends(everything)[2] == everything["omitted"]


def test_a_job_that_leaves_something_behind(service: Service) -> None:
    """Its end is waited for, not that of what it has forked."""
    info = run(service, "sleep 1000 & echo started")
    assert ends(info["stdout"]) == ("started\n", "", 0)
    service.http.delete(f"/x/jobs/{info['id']}")


def test_a_client_that_leaves_before_the_end(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    """As long as it waits it has the only place; once it has left, that is free, and the job goes
    on.
    """
    service = make_service(settings="[process]\nmax_waiting = 1\n")
    body = b'{"command": "sleep 1000"}'
    head = (
        f"POST /x/jobs?wait=3600 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    def jobs() -> Any:
        return service.http.get("/x/jobs").json()["jobs"]

    def start(command: str) -> int:
        return service.http.post("/x/jobs?wait=50", json={"command": command}).status_code

    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head.encode() + body)
        eventually(jobs, "the start")
        # Without a place nothing is started.
        assert start(f"touch {tmp_path}/started") == 503
        assert not (tmp_path / "started").exists()
    eventually(lambda: start("true") == 201, "the place")
    job = next(job for job in jobs() if job["command"] == "sleep 1000")
    assert not job["done"]
    service.http.delete(f"/x/jobs/{job['id']}")


@pytest.mark.parametrize("preview", ["1", "1,2,3", "-1,2", "a,b", "1,9999999", "1, 2", "²,1"])
def test_previews_that_are_none(service: Service, preview: str, tmp_path: Path) -> None:
    body = {"command": f"touch {tmp_path}/started"}
    answers = [
        service.http.post("/x/jobs?wait=9", params={"preview": preview}, json=body),
        service.http.post(
            "/process/execute", headers=[(b"X-Toolbox-Preview", preview.encode())], json=body
        ),
    ]
    assert [answer.status_code for answer in answers] == [400, 400], answers[0].text
    assert not (tmp_path / "started").exists()


def test_execute_by_header(service: Service) -> None:
    """The body has its documented members, shortened; headers have the totals."""
    body = {"command": "seq 1000; echo wrong >&2"}
    answer = service.http.post("/process/execute", headers={"X-Toolbox-Preview": "4,4"}, json=body)
    assert set(answer.json()) == {"exitCode", "result"}
    head, _, rest = answer.json()["result"].partition("\n[... 3891 bytes left out ...]\n")
    where = f"/x/jobs/{answer.headers['X-Toolbox-Job']}/output"
    assert (head, rest) == ("1\n2\n", f"[of 3899: {where}]\nong\n")
    assert answer.headers["X-Toolbox-Output"] == where
    assert answer.headers["X-Toolbox-Output-Bytes"] == "3899"
    assert answer.headers["X-Toolbox-Truncated"] == "3891"
    assert service.http.get(where).json()["nextOffset"] == 3899
    separate = service.http.post(
        "/process/execute",
        headers={"X-Toolbox-Preview": "4,4", "X-Toolbox-Streams": "separate"},
        json=body,
    )
    assert separate.json()["stdout"].startswith("1\n2\n\n[... 3885 bytes left out")
    assert separate.json()["stderr"] == "wrong\n"
    assert separate.headers["X-Toolbox-Stdout-Bytes"] == "3893"
    assert separate.headers["X-Toolbox-Stderr-Bytes"] == "6"
    code = service.http.post(
        "/process/code-run",
        headers={"X-Toolbox-Preview": "2,2"},
        json={"code": "print('x' * 100)", "language": "python"},
    )
    assert code.json()["result"].startswith("xx\n[... 97 bytes left out")
    plain = service.http.post("/process/execute", json=body)
    assert "X-Toolbox-Output-Bytes" not in plain.headers
    assert len(plain.json()["result"]) == 3899


def test_session_commands_by_header(service: Service) -> None:
    service.http.post("/process/session", json={"sessionId": "shortened"})
    path = "/process/session/shortened"
    asked = {"X-Toolbox-Preview": "4,4"}
    body = {"command": "seq 1000; echo wrong >&2"}
    answer = service.http.post(f"{path}/exec", headers={**NEW, **asked}, json=body)
    result = answer.json()
    assert result["stdout"].startswith("1\n2\n\n[... 3885 bytes left out ...]\n")
    assert result["stdout"].endswith("\n000\n"[1:])
    assert result["stderr"] == "wrong\n"
    assert answer.headers["X-Toolbox-Stdout-Bytes"] == "3893"
    logs = f"{path}/command/{result['cmdId']}/logs"
    assert service.http.get(logs, headers={**NEW, **asked}).json()["stdout"] == result["stdout"]
    answer = service.http.get(logs, headers={**OLD, **asked})
    assert answer.headers["X-Toolbox-Truncated"] == "3891"
    assert answer.text.startswith("1\n2\n\n[... 3891 bytes left out")
    marked = service.http.get(logs, headers={**MARKED, **asked}).content
    assert marked.startswith(b"\1\1\1" + b"1\n2\n" + b"\2\2\2\n[... 3891 bytes")
    assert marked.endswith(b"\2\2\2ong\n")
    answer = service.http.post(f"{path}/exec", headers={**OLD, **asked}, json=body)
    assert answer.headers["X-Toolbox-Truncated"] == "3891"
    assert answer.json()["output"].startswith("1\n2\n\n[... 3891 bytes left out")
    service.http.delete(path)
