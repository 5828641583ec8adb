"""Clients that cost little beside what they measure."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

TOKEN = "bench"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def request(port: int, data: bytes, patience: float = 10) -> bytes:
    """One answer, on a connection of its own, if something comes in so many seconds."""
    with socket.create_connection(("127.0.0.1", port), patience) as sock:
        sock.sendall(data)
        answer = b""
        while more := sock.recv(65536):
            answer += more
        return answer


def http(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of a request on a kept connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Load:
    """What a number of clients saw."""

    rate: float
    """Requests a second."""
    p50: float
    p99: float
    """Seconds."""


def load(port: int, data: bytes, clients: int, seconds: float) -> Load:
    """Send ``data`` on ``clients`` connections again and again; every answer must be a 200."""
    poll = select.epoll()
    sockets = {}
    for _ in range(clients):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(sock, select.EPOLLIN)
        sockets[sock.fileno()] = sock
    sent, buffers, times = {}, dict.fromkeys(sockets, b""), []
    end = time.perf_counter() + seconds
    began = time.perf_counter()
    for fd, sock in sockets.items():
        sent[fd] = time.perf_counter()
        sock.sendall(data)
    while time.perf_counter() < end:
        for fd, _ in poll.poll(1):
            buffers[fd] += sockets[fd].recv(65536)
            if not _complete(buffers[fd]):
                continue
            now = time.perf_counter()
            times.append(now - sent[fd])
            buffers[fd], sent[fd] = b"", now
            sockets[fd].sendall(data)
    took = time.perf_counter() - began
    for sock in sockets.values():
        sock.close()
    times.sort()
    return Load(len(times) / took, times[len(times) // 2], times[len(times) * 99 // 100])


def _complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)
