"""The command ``toolbox sandboxes``, as its own process, against a real service."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_fleet.cli.showing import age
from toolbox_fleet.cli.table import columns
from toolbox_fleet.cli.table import table

from toolbox.testing import TOKEN
from toolbox.testing import Service


def run(
    service: Service | str, *arguments: str, token: str = TOKEN, **environ: str
) -> subprocess.CompletedProcess[str]:
    url = service if isinstance(service, str) else service.url
    inherited = {name: value for name, value in os.environ.items() if "TOOLBOX" not in name}
    return subprocess.run(
        [sys.executable, "-m", "toolbox", "sandboxes", *arguments],
        env={
            **inherited,
            "TOOLBOX_CONFIG": os.devnull,
            "TOOLBOX_URL": url,
            "TOOLBOX_TOKEN": token,
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


SINGLE = '[fleet]\nbackend = "single"\n'


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Service(tmp_path_factory.mktemp("single"), settings=SINGLE)
    yield running
    running.stop()


def test_the_only_sandbox_is_listed(single: Service) -> None:
    for arguments in ((), ("list",), ("list", "--state", "started")):
        result = run(single, *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        head, row = result.stdout.splitlines()
        assert head.split()[:3] == ["NAME", "STATE", "AGE"]
        assert row.split()[:2] == ["local", "started"]
    result = run(single, "--state", "stopped")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "no sandboxes\n")
    (listed,) = json.loads(run(single, "--json").stdout)
    assert (listed["id"], listed["state"]) == ("local", "started")


def test_refusals_are_told_for_each(single: Service) -> None:
    result = run(single, "stop", "one", "two")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "toolbox: one: this machine is the only sandbox: it can't be stopped",
        "toolbox: two: this machine is the only sandbox: it can't be stopped",
    ]
    result = run(single, "start", "one", "not/an id", "two")
    assert result.returncode == 1
    assert result.stdout.splitlines() == ["one: started", "two: started"]
    assert result.stderr == "toolbox: not/an id: sandbox not found: none has this id or name\n"


def test_nobody_means_all_by_naming_none(single: Service) -> None:
    for arguments in ((), ("one", "--all"), ("one", "--label", "a=b")):
        result = run(single, "delete", *arguments)
        assert result.returncode == 2
        assert result.stderr.endswith(
            "error: name sandboxes, or choose them with --all or --label; not both\n"
        )


def test_who_may_not_is_told_in_one_line(single: Service) -> None:
    result = run(single, token="wrong")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"toolbox: the token is not that of {single.url}: check TOOLBOX_TOKEN or --token-file\n"
    )
    result = run(single, "delete", "--all", token="")
    assert result.returncode == 2
    assert result.stderr == (
        f"toolbox: {single.url} requires a token: set TOOLBOX_TOKEN or --token-file\n"
    )


def test_the_token_may_be_in_a_file(single: Service, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\nmore\n")
    assert run(single, "--token-file", str(file), token="wrong").returncode == 0
    result = run(single, "--token-file", str(tmp_path / "none"))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"toolbox: --token-file {tmp_path}/none: No such file or directory\n"


def test_a_service_that_is_not_there_is_told_in_one_line(make_service: Any) -> None:
    service = make_service()
    service.stop()
    result = run(service)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"toolbox: no service at {service.url}: Connection refused;"
        " start one with `toolbox serve`, or name another with --url or TOOLBOX_URL\n"
    )


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://h:99999", "http://h/a b", "h"])
def test_an_address_that_is_none_is_told_in_one_line(url: str) -> None:
    result = run("http://127.0.0.1:1", "--url", url)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"toolbox: {url!r} is not a URL such as http://127.0.0.1:2280\n"


def test_a_service_without_the_group_is_told_in_one_line(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(settings='[plugins]\ndisable = ["fleet"]\n')
    for arguments in ((), ("create",), ("stop", "one"), ("delete", "--all")):
        result = run(service, *arguments)
        assert result.returncode == 2, result
        assert result.stderr == (
            f"toolbox: the service at {service.url} does not serve the group fleet\n"
        )


def test_below_a_prefix(make_service: Callable[..., Service]) -> None:
    service = make_service(settings=f'{SINGLE}[server]\npath_prefix = "/box"\n')
    assert "local" in run(f"{service.url}/box/").stdout


def test_a_table_fits_the_terminal(single: Service) -> None:
    master, slave = pty.openpty()
    try:
        os.set_blocking(master, False)
        environ = {**os.environ, "TOOLBOX_URL": single.url, "TOOLBOX_TOKEN": TOKEN}
        subprocess.run(
            [sys.executable, "-m", "toolbox", "sandboxes"],
            env={**environ, "TOOLBOX_CONFIG": os.devnull, "COLUMNS": "60"},
            stdout=slave,
            check=True,
            timeout=120,
        )
        lines = os.read(master, 10_000).decode().splitlines()
    finally:
        os.close(master)
        os.close(slave)
    assert lines[1].startswith("local  started")
    assert max(map(len, lines)) <= 60 and lines[1].endswith("\u2026")


def test_tables() -> None:
    rows = [
        ("NAME", "EMPTY", "LABELS"),
        ("one", "", "a=b"),
        ("two\x1b[2J\n", "", "\u6f22\u5b57" * 20),
    ]
    lines = table(rows, 40)
    assert lines[0].split() == ["NAME", "LABELS"]
    assert all(columns(line) <= 40 for line in lines)
    assert "two\\x1b[2J\\n" in lines[2] and "\x1b" not in lines[2]
    assert "\u6f22\u5b57" * 20 in table(rows, None)[2]
    # Narrower than what is useful: too wide rather than unreadable.
    assert "LABELS" in table(rows, 1)[0]


def test_ages() -> None:
    assert age("2020-01-01T00:00:00.000Z").endswith("d")
    assert age("2999-01-01T00:00:00.000Z") == "0s"
    assert age("yesterday") == ""
