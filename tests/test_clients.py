"""F-E10, AC-90: the Go SDK before 0.188 takes no field that it doesn't know."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated
from typing import Any

import msgspec
import pytest

from toolbox.http.client_versions import encoder
from toolbox.http.client_versions import since
from toolbox.testing import Service


class Inner(msgspec.Struct, rename="camel", omit_defaults=True):
    """A field of 0.188 among others."""

    an_old: str = ""
    a_new: Annotated[str, since(0, 188)] = ""


class Outer(msgspec.Struct):
    """Structs in every place they can have."""

    one: Inner
    many: list[Inner]
    named: dict[str, Inner]
    older: Annotated[int, since(0, 184)] = 1


def headers(version: str, source: str = "sdk-go") -> dict[str, str]:
    return {"X-Daytona-Source": source, "X-Daytona-SDK-Version": version}


def told(version: str, source: str = "sdk-go") -> Any:
    environ = {
        f"HTTP_{k.upper().replace('-', '_')}": v for k, v in headers(version, source).items()
    }
    each = Inner("a", "b")
    return msgspec.json.decode(encoder(environ)(Outer(each, [each], {"x": each, "y": Inner()})))


def expected(inner: dict[str, str], **more: int) -> dict[str, Any]:
    return {"one": inner, "many": [inner], "named": {"x": inner, "y": {}}, **more}


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("0.188.0", "sdk-go"),
        ("v1.0.0", "sdk-go"),
        ("0.187.0", "sdk-python"),
        ("dev", "sdk-go"),
        ("", "sdk-go"),
    ],
)
def test_who_takes_any_field_gets_all(version: str, source: str) -> None:
    assert told(version, source) == expected({"anOld": "a", "aNew": "b"}, older=1)


def test_what_is_newer_than_a_strict_client_is_left_out() -> None:
    assert told("0.187.9") == told("v0.184.0-rc1") == expected({"anOld": "a"}, older=1)
    assert told("0.183.0") == told("0.20.0", "SDK-Go") == expected({"anOld": "a"})


STATUS = {"currentBranch", "fileStatus", "branchPublished", "ahead", "behind"}
FILE = {"name", "size", "mode", "modTime", "isDir", "owner", "group", "permissions"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with more files than are listed at once."""
    path = tmp_path_factory.mktemp("many")
    for number in range(1100):
        (path / str(number)).touch()
    subprocess.run(["git", "init", "-q", path], check=True)
    return path


@pytest.mark.parametrize(
    ("version", "status", "branches", "file"),
    [
        ("0.100.0", set(), set(), set()),
        ("0.187.0", set(), set(), {"modifiedAt"}),  # It demands that: its models require it.
        ("0.188.0", {"detached", "upstream"}, {"current"}, {"modifiedAt", "path"}),
    ],
)
def test_answers_have_what_the_go_sdk_knows(
    service: Service, many: Path, version: str, status: set[str], branches: set[str], file: set[str]
) -> None:
    def get(path: str, query: Path = many) -> Any:
        params = {"path": str(query)}
        answer = service.http.get(path, params=params, headers=headers(version))
        assert answer.status_code == 200
        return answer.json()

    assert set(get("/git/status")) == STATUS | status
    assert set(get("/git/branches")) == {"branches"} | branches
    assert set(get("/files/info")) == FILE | file
    listed = get("/files")
    assert len(listed) == 1101
    assert all(set(each) == FILE | file for each in listed)
    assert all(set(each) == FILE | file for each in get("/files", many / ".git"))
    assert ("kvm" in get("/api/sandbox/x")) == (version == "0.188.0")


def test_half_a_surrogate_pair_can_be_answered() -> None:
    # F-C8
    answer = encoder({})({"a\ud83d": [Inner("\udc00b"), "\ud83d\ude00"]})
    assert answer.decode() == '{"a\ufffd":[{"anOld":"\ufffdb"},"\U0001f600"]}'
