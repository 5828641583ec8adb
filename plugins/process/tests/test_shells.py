"""Which shell is taken, by real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toolbox_process.engine import shells
from toolbox_process.engine.shells import find_shell


def program(path: Path, mode: int = 0o755) -> str:
    path.touch()
    path.chmod(mode)
    return str(path)


def test_the_order_of_shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are listed and can be run, then ``$SHELL``, then ``sh``."""
    zsh, bash, dash = (tmp_path / name for name in ("zsh", "bash", "dash"))
    listed = tmp_path / "shells"
    monkeypatch.setattr(shells, "LIST", listed)
    monkeypatch.setattr(shells, "PREFERRED", (str(zsh), str(bash)))
    monkeypatch.setenv("SHELL", program(dash))
    assert find_shell("") == str(dash), "there is no list"
    listed.write_text(f"# comment\n#{zsh}\n{bash}\n")
    assert find_shell("") == str(dash), "what is listed isn't there"
    program(bash, 0o644)
    assert find_shell("") == str(dash), "nor can it be run"
    program(bash)
    program(zsh)
    assert find_shell("") == str(bash)
    listed.write_text(f"{bash}\n{zsh}\n")
    shells._read_list.cache_clear()
    assert find_shell("") == str(zsh)
    assert find_shell(str(dash)) == str(dash), "the one configured wins"
    listed.unlink()
    for odd in ("", "/usr/bin/python3", str(tmp_path / "no" / "sh")):
        monkeypatch.setenv("SHELL", odd)
        assert find_shell("") in ("/bin/sh", "/usr/bin/sh")


def test_the_shell_is_chosen_once(make_service: Any, tmp_path: Path) -> None:
    """F-C18: what is installed or named later changes nothing."""
    first, second = tmp_path / "dash", tmp_path / "bash"
    for path, name in ((first, "one"), (second, "two")):
        program(path)
        path.write_text(f'#!/bin/sh\nexport CHOSEN={name}\nexec /bin/sh "$@"\n')
    settings = '[plugins]\nenable = ["process", "server"]\n'
    env = {"SHELL": str(first)}
    service = make_service(settings=settings, env=env, wrapper=without_list(tmp_path))
    body = {"command": "echo $CHOSEN"}
    assert service.http.post("/process/execute", json=body).json()["result"] == "one\n"
    service.http.post("/env", json={"set": {"SHELL": str(second)}}).raise_for_status()
    (tmp_path / "shells").write_text("/bin/bash\n/usr/bin/bash\n/bin/zsh\n/usr/bin/zsh\n")
    assert service.http.post("/process/execute", json=body).json()["result"] == "one\n"
    service.http.post("/process/session", json={"sessionId": "s"})
    answer = service.http.post("/process/session/s/exec", json=body).json()
    assert answer["output"] == "one\n"
    first.unlink()
    assert service.http.post("/process/execute", json=body).json()["exitCode"] == 0


def without_list(tmp_path: Path) -> tuple[str, ...]:
    """A program that runs another where ``/etc/shells`` is ours, and empty at first."""
    listed = tmp_path / "shells"
    listed.touch()
    mount = f'mount --bind {listed} /etc/shells && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mount, "sh")
