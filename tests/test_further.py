"""``[server] also``: further addresses, on which the service is the same."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import websocket

from toolbox.settings import ServerSettings
from toolbox.settings import SettingsError
from toolbox.settings.addresses import TcpAddress
from toolbox.settings.addresses import UnixAddress
from toolbox.settings.addresses import all_hosts
from toolbox.settings.addresses import parse_address
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

MakeService = Callable[..., Service]
AUTH = {"Authorization": f"Bearer {TOKEN}"}


def also(*addresses: str) -> tuple[str, ...]:
    return tuple(f"--also={address}" for address in addresses)


def further_ports(service: Service) -> list[int]:
    service.wait_for(lambda: "Also listening" in service.log(), "the announcement")
    return [int(port) for port in re.findall(r"Also listening on \S+:(\d+)$", service.log(), re.M)]


def unix_client(path: Path, token: str | None = TOKEN) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.HTTPTransport(uds=str(path))
    return httpx.Client(
        transport=transport, base_url="http://x:77", headers=headers, timeout=DEADLINE
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8888", TcpAddress("0.0.0.0", 8888)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:65535", TcpAddress("::1", 65535)),
        ("unix:/run/x.sock", UnixAddress("/run/x.sock")),
        ("unix:x", UnixAddress("x")),
    ],
)
def test_addresses(text: str, address: object) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "*", "8888", ":8888", "host:", "host:x", "host:65536", "host:-1", "host:+1", "host:٣"],
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.also: "):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["::1:80", "[::1]", "[]:80", "[host]:80", "host:1:2", "unix:", "unix:a\0b"]
)
def test_addresses_that_could_be_misread_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.also: "):
        parse_address(text)


def test_a_path_longer_than_the_kernel_takes_is_refused() -> None:
    assert parse_address("unix:" + "x" * 107)
    with pytest.raises(SettingsError, match="1 to 107 bytes"):
        parse_address("unix:" + "x" * 108)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        all_hosts(ServerSettings(also=["x", "a:1", "y"]))
    assert len(caught.value.problems) == 2


def test_every_address_serves_all_groups_with_the_same_token(
    make_service: MakeService, tmp_path: Path
) -> None:
    path = tmp_path / "service.sock"
    service = make_service(*also("127.0.0.1:0", "127.0.0.2:0", f"unix:{path}"))
    first, second = further_ports(service)
    body = {"command": "echo hello"}
    for url in (f"http://127.0.0.1:{first}", f"http://127.0.0.2:{second}"):
        assert httpx.get(f"{url}/healthz", timeout=DEADLINE).status_code == 200
        assert httpx.get(f"{url}/plugins", timeout=DEADLINE).status_code == 401
        response = httpx.post(f"{url}/process/execute", json=body, headers=AUTH, timeout=DEADLINE)
        assert response.json()["result"] == "hello\n"
    with unix_client(path) as client:
        assert client.post("/process/execute", json=body).json()["result"] == "hello\n"
        data = os.urandom(3_000_000)
        file = str(service.work_dir / "data")
        put = client.post("/files/upload", params={"path": file}, files={"file": data})
        assert put.status_code == 200
        assert client.get("/files/download", params={"path": file}).content == data
    with unix_client(path, None) as stranger:
        assert stranger.get("/plugins").status_code == 401
    assert f"Also listening on unix:{path}\n" in service.log()
    assert service.stop() == 0
    assert not path.exists()


def test_a_terminal_over_a_unix_socket(make_service: MakeService, tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    service = make_service(*also(f"unix:{path}"))
    service.wait_for(path.exists, "the socket")
    service.http.post("/process/pty", json={"id": "t"}).raise_for_status()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(path))
        header = [f"Authorization: Bearer {TOKEN}"]
        client = websocket.create_connection(
            "ws://x/process/pty/t/connect", socket=sock, header=header
        )
        client.send("echo a$((6*7))b\n")
        seen = ""
        while "a42b" not in seen:
            received = client.recv()
            seen += received if isinstance(received, str) else received.decode()


def test_they_survive_a_worker(make_service: MakeService, tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    service = make_service(*also("127.0.0.1:0", f"unix:{path}"))
    (port,) = further_ports(service)
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    service.wait_for(lambda: service.workers() not in ([], [worker]), "another worker")
    url = f"http://127.0.0.1:{port}/plugins"
    assert httpx.get(url, headers=AUTH, timeout=DEADLINE).status_code == 200
    with unix_client(path) as client:
        assert client.get("/plugins").status_code == 200
    # Without its file, too, the service ends well.
    path.unlink()
    assert service.stop() == 0


def test_a_socket_left_over_is_replaced_but_no_other_file_and_none_in_use(
    make_service: MakeService, tmp_path: Path
) -> None:
    path = tmp_path / "service.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    service = make_service(*also(f"unix:{path}"))
    with unix_client(path) as client:
        assert client.get("/plugins").status_code == 200
    file = tmp_path / "precious"
    file.write_text("kept")
    taken = f"127.0.0.1:{service.port}"
    for address in (f"unix:{path}", f"unix:{file}", taken):
        with pytest.raises(AssertionError, match=f"can't listen on {address}: Address already"):
            make_service(*also(address))
    with pytest.raises(AssertionError, match="unix:/nowhere/x: No such file or directory"):
        make_service(*also("unix:/nowhere/x"))
    assert file.read_text() == "kept"
    with unix_client(path) as client:
        assert client.get("/plugins").status_code == 200


def test_a_path_in_the_settings_is_relative_to_the_work_directory(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(settings=f'[server]\nwork_dir = "{tmp_path}"\nalso = ["unix:s"]\n')
    with unix_client(tmp_path / "s") as client:
        assert client.get("/plugins").status_code == 200
    assert service.stop() == 0
    assert not (tmp_path / "s").exists()


def test_a_further_address_that_others_reach_needs_a_token(make_service: MakeService) -> None:
    with pytest.raises(AssertionError, match=r"0\.0\.0\.0 can be reached .* a token is needed"):
        make_service(*also("127.0.0.1:0", "0.0.0.0:0"), token=None)
