"""Plugins that were renamed, in settings that still have the former name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from toolbox.packaging import bundle
from toolbox.settings import SettingsError

FORMER = "salutation = greeter:local.polite"


@pytest.fixture
def renamed(site: Any) -> Any:
    shutil.copy(os.path.join(os.path.dirname(__file__), "plugins", "greeter.py"), site.directory)
    site.register("greeter", "greeter", "toy-greeter", FORMER)
    site.add("loud")  # Another backend for the same group.
    return site


def command(
    site: Any, *arguments: str, settings: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    file = site.directory / "toolbox.toml"
    file.write_text(settings)
    return subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env={**os.environ, **site.env, "TOOLBOX_CONFIG": str(file), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def config(site: Any, settings: str = "", **environ: str) -> dict[str, tuple[Any, str]]:
    """Return value and source of each setting in force."""
    done = command(site, "config", settings=settings, **environ)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(" = ")
        value, _, source = rest.rpartition("  # ")
        found[name] = (json.loads(value), source.removeprefix(str(site.directory)))
    assert not any(name.startswith("salutation") for name in found)
    return found


FILE = "/toolbox.toml"


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        ("[salutation]", ("polite", FILE)),
        ('[salutation]\nbackend = "local"', ("polite", FILE)),
        ('[salutation]\nbackend = "loud"', ("loud", FILE)),
        ('[salutation]\nbackend = "local"\n[greeter]\nbackend = "loud"', ("loud", FILE)),
        ('[salutation]\n[greeter.polite]\nword = "x"', ("polite", FILE)),
        ("", ("polite", "default")),
    ],
)
def test_a_section_with_the_former_name(
    renamed: Any, settings: str, backend: tuple[str, str]
) -> None:
    assert config(renamed, settings)["greeter.backend"] == backend


def test_options_of_the_former_backend(renamed: Any) -> None:
    found = config(renamed, '[salutation.local]\nword = "Hi"')
    assert found["greeter.polite.word"] == ("Hi", FILE)
    both = '[salutation.local]\nword = "Hi"\n[greeter.polite]\nword = "Ho"'
    assert config(renamed, both)["greeter.polite.word"] == ("Ho", FILE)


def test_the_environment_may_have_it(renamed: Any) -> None:
    name = "TOOLBOX__SALUTATION__LOCAL__WORD"
    found = config(renamed, **{name: "Hi"})
    assert found["greeter.polite.word"] == ("Hi", f"environment {name}")
    assert found["greeter.backend"][0] == "polite"


def test_it_is_noticed(renamed: Any) -> None:
    done = command(renamed, "config", "--check", settings="[salutation]\n")
    assert done.returncode == 0
    assert "[salutation] is now [greeter]" in done.stderr


def test_mistakes_in_it_are_refused(renamed: Any) -> None:
    for settings, problem in (
        ("[salutation]\nfoo = 1", "unknown option greeter.foo"),
        ('[salutation]\nbackend = "polit"', "did you mean 'polite'?"),
        ("salutation = 1", "unknown section [salutation]"),
        ("greeter = 1\n[salutation]", "greeter must be a table"),
        ("[salutations]", "unknown section [salutations]"),
    ):
        done = command(renamed, "config", "--check", settings=settings)
        assert done.returncode == 2
        assert problem in done.stderr


def plugins(site: Any, settings: str) -> dict[str, str]:
    done = command(site, "plugins", "--json", settings=settings)
    assert done.returncode == 0, done.stderr
    return {report["name"]: report["status"] for report in json.loads(done.stdout)}


def test_plugins_are_enabled_and_disabled_by_it(renamed: Any) -> None:
    found = plugins(renamed, '[plugins]\nenable = ["salutation", "greeter"]')
    assert [name for name, status in found.items() if status == "enabled"] == ["greeter"]
    found = plugins(renamed, '[plugins]\ndisable = ["salutation"]\n')
    assert found["greeter"] == "disabled"


def test_an_installed_plugin_keeps_its_name(renamed: Any) -> None:
    renamed.add("lifecycle", name="salutation")
    found = plugins(renamed, '[plugins]\nenable = ["salutation"]')
    assert (found["salutation"], found["greeter"]) == ("enabled", "disabled")


def test_the_group_fleet_has_a_former_name(site: Any) -> None:
    found = config(site, '[standalone]\nbackend = "local"\n')
    assert found["fleet.backend"] == ("single", FILE)
    found = config(site, "[standalone]\n", TOOLBOX__FLEET__BACKEND="local")
    assert found["fleet.backend"][0] == "local"
    assert plugins(site, '[plugins]\ndisable = ["standalone"]')["fleet"] == "disabled"


def test_bundles_are_made_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[str] = []

    def stop(names: list[str]) -> None:
        wanted[:] = names
        raise SettingsError("enough")

    monkeypatch.setattr(bundle, "_refuse_editable", stop)

    def distributions(*groups: str) -> list[str]:
        with pytest.raises(SettingsError, match="enough"):
            bundle.make_bundle(groups, "unused")
        return wanted[1:]

    assert distributions("standalone") == ["sandbox-toolbox-fleet"]
    assert distributions("standalone", "files", "fleet") == [
        "sandbox-toolbox-fleet",
        "sandbox-toolbox-files",
    ]
    every = distributions()
    assert "sandbox-toolbox-fleet" in every and "sandbox-toolbox-standalone" not in every
    assert len(every) == len(set(every)) > 2
