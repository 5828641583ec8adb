"""Which shell is taken, by real files."""

from __future__ import annotations

from pathlib import Path

import pytest
from toolbox_process import shells
from toolbox_process.shells import find_shell


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
