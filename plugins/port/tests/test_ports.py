"""The listening ports, through the service."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from daytona_toolbox_api_client import ApiClient
from daytona_toolbox_api_client import Configuration
from daytona_toolbox_api_client import PortApi
from toolbox_port import listening
from toolbox_port.listening import Listener

from toolbox.testing import TOKEN
from toolbox.testing import Service


@pytest.fixture
def client(service: Service) -> Iterator[PortApi]:
    """The generated client, whose models are strict."""
    with ApiClient(Configuration(host=service.url), "Authorization", f"Bearer {TOKEN}") as client:
        yield PortApi(client)


def preview_port() -> socket.socket:
    """Return a socket bound to a free port from 3000 to 9999."""
    for port in range(9999, 2999, -1):
        sock = socket.socket()
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            sock.close()
            continue
        return sock
    raise AssertionError("no port is free")


def test_listening_ports_are_listed_at_once(client: PortApi) -> None:
    with contextlib.ExitStack() as stack:
        four = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        six = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        every = stack.enter_context(
            socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        )
        opened = {sock.getsockname()[1] for sock in (four, six, every)}
        ports = client.get_ports().ports
        assert ports is not None
        assert opened <= set(ports)
        assert ports == sorted(set(ports))
    assert not opened & set(client.get_ports().ports or [])


def test_a_port_of_both_families_is_listed_once(client: PortApi) -> None:
    with socket.create_server(("127.0.0.1", 0)) as four:
        port = four.getsockname()[1]
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            assert (client.get_ports().ports or []).count(port) == 1


def test_the_services_own_port_is_not_listed(client: PortApi, service: Service) -> None:
    assert service.port not in (client.get_ports().ports or [])


def test_a_port_that_is_bound_or_connected_is_not_listed(client: PortApi) -> None:
    with socket.socket() as bound, socket.create_server(("127.0.0.1", 0)) as listener:
        bound.bind(("127.0.0.1", 0))
        with socket.create_connection(listener.getsockname()) as connected:
            ports = client.get_ports().ports or []
            assert bound.getsockname()[1] not in ports
            assert connected.getsockname()[1] not in ports
            assert listener.getsockname()[1] in ports


def test_in_use_is_right_at_once_and_touches_nothing(client: PortApi) -> None:
    with preview_port() as sock:
        port = sock.getsockname()[1]
        assert client.is_port_in_use(port).is_in_use is False
        sock.listen()
        assert client.is_port_in_use(port).is_in_use is True
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.accept()
    assert client.is_port_in_use(port).is_in_use is False


@pytest.mark.parametrize(
    "port",
    ["2999", "10000", "0", "-1", "65536", "abc", "80@host", "3000.0", "%2B3000", "٣٠٠٠", "3e3"],
)
def test_in_use_is_for_ports_from_3000_to_9999(service: Service, port: str) -> None:
    answer = service.http.get(f"/port/{port}/in-use")
    assert answer.status_code == 400
    body = answer.json()
    assert (body["statusCode"], body["code"]) == (400, "BAD_REQUEST")
    assert (body["source"], body["method"]) == ("DAYTONA_DAEMON", "GET")


def test_the_ends_of_the_range_may_be_asked_for(client: PortApi) -> None:
    assert client.is_port_in_use(3000).is_in_use in (True, False)
    assert client.is_port_in_use(9999).is_in_use in (True, False)


def test_every_operation_is_in_the_document(service: Service) -> None:
    # AC-96
    paths = service.http.get("/openapi.json").json()["paths"]
    for path in ("/port", "/port/{port}/in-use", "/x/ports/events", "/x/ports/{port}/wait"):
        assert "get" in paths[path]
    methods = {"get", "post", "put", "patch", "delete", "head", "options", "trace"}
    # It accepts more, but a document can't have others (OpenAPI 3.1, 4.8.9).
    assert set(paths["/proxy/{port}/{path}"]) == methods


def test_the_kernels_addresses_are_read() -> None:
    def table(address: str) -> str:
        return f"head\n   0: {address}:0BB8 0:0 0A 0:0 00:0 0 1000 0 4711 1 0 100 0 0 10 0\n"

    def kernels(family: socket.AddressFamily, address: str) -> str:
        packed = socket.inet_pton(family, address)
        return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))

    for family, address in (
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "2001:db8::1:2"),
        (socket.AF_INET6, "::ffff:192.0.2.1"),
    ):
        text = table(kernels(family, address))
        assert list(listening._parse(text, family)) == [Listener(3000, address, 4711)]
        assert list(listening._parse(text.replace(" 0A ", " 01 "), family)) == []
