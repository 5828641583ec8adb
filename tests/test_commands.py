"""The subcommands of ``toolbox`` that plugins add."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any


def command(site: Any, *arguments: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    file = site.directory / "toolbox.toml"
    file.write_text(settings)
    return subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env={**os.environ, **site.env, "TOOLBOX_CONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_plugin_adds_a_command(site: Any) -> None:
    site.add("commander")
    result = command(site, "salute", "--", "Ada")
    assert (result.returncode, result.stdout) == (2, "Ahoy -- Ada\n")
    assert command(site, "salute", "Ada").returncode == 0
    assert "Salute somebody." in command(site, "--help").stdout


def test_no_command_of_the_core_is_replaced(site: Any) -> None:
    site.add("commander")
    assert "Salute instead" not in command(site, "serve", "--help").stdout
    result = command(site, "salute")
    assert "plugin commander: the command 'serve' is taken" in result.stderr


def test_a_disabled_plugin_has_no_commands(site: Any) -> None:
    site.add("commander")
    settings = '[plugins]\ndisable = ["commander"]\n'
    result = command(site, "salute", settings=settings)
    assert result.returncode == 2
    assert "invalid choice: 'salute'" in result.stderr
    assert "Salute" not in command(site, "--help", settings=settings).stdout


def test_a_broken_plugin_takes_no_command_away(site: Any) -> None:
    for toy in ("broken", "commander"):
        site.add(toy)
    result = command(site, "salute", "Ada")
    assert (result.returncode, result.stdout) == (0, "Ahoy Ada\n")
    assert "plugin broken has no commands: this plugin needs" in result.stderr


def test_wrong_settings_are_told_but_keep_nobody_from_help(site: Any) -> None:
    site.add("commander")
    wrong = "[server]\nport = []\n"
    result = command(site, "salute", settings=wrong)
    assert (result.returncode, result.stdout) == (2, "")
    assert "server.port" in result.stderr and "Traceback" not in result.stderr
    result = command(site, "--help", settings=wrong)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Serve until stopped" in result.stdout


def test_the_commands_of_the_core_import_no_plugin(site: Any) -> None:
    site.add("broken")
    result = command(site, "bundle", "--help")
    assert (result.returncode, result.stderr) == (0, "")
