"""Frameworks for Node.js. Their SDKs are of 0.143 and 0.192."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolbox.testing import Service

from .conftest import sandboxes

Program = Callable[..., Any]


def test_computesdk(node: Program, fleet: Service) -> None:
    got = node("computesdk")
    assert got["ran"] == ["given b\n/usr\n", 3]
    assert got["text"] == "hällo\n"
    assert got["entries"] == [["a.txt", "file", 7]]
    assert got["there"] == [True, False, False]
    assert got["path"] == "/"
    assert (got["listed"], got["again"], got["snapshots"]) == (True, True, True)
    assert got["missing"] is None
    fleet.wait_for(lambda: sandboxes(fleet) == [], "the deletion")


def test_langchain(node: Program, fleet: Service) -> None:
    got = node("langchain")
    assert got["ran"] == ["first\ngiven\n", 3]
    assert got["up"] == [{"path": "dir/b.bin", "error": None}]
    assert got["lengths"] == [256, 256]
    assert got["missing"] == "file_not_found"
    assert (got["edited"], got["read"], got["found"]) == (None, True, "/tmp/first/c.txt\n")
    assert got["host"] == "again\n"
    assert (got["late"], got["gone"]) == ("COMMAND_TIMEOUT", "SANDBOX_NOT_FOUND")
    fleet.wait_for(lambda: sandboxes(fleet) == [], "the deletion")


def test_mastra(node: Program, fleet: Service) -> None:
    got = node("mastra")
    assert got["ran"] == ["given\n", "bad\n", 3]
    assert got["here"] == "/usr\n"
    assert got["late"] == [124, True]
    assert got["told"] == "word\ngot-word\n"  # with the echo of the input
    assert got["killed"] == [True, 137]
    assert got["info"] == ["daytona", True]
    assert (got["reconnected"], got["up"]) == (True, "up\n")
    assert got["replaced"] == "replaced\n"
    fleet.wait_for(lambda: sandboxes(fleet) == [], "the deletion")
