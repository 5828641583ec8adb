from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from toolbox.settings import CoreSettings
from toolbox.settings import ServerSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import core_settings
from toolbox.settings import read_values


def read(
    tmp_path: Path,
    text: str = "",
    environ: dict[str, str] | None = None,
    overrides: dict[tuple[str, ...], Any] | None = None,
) -> tuple[CoreSettings, Values]:
    file = tmp_path / "toolbox.toml"
    file.write_text(text)
    values = read_values(file, environ or {}, overrides or {})
    return core_settings(values), values


def test_the_defaults_hold_where_nothing_is_set(tmp_path: Path) -> None:
    settings, values = read(tmp_path)
    assert settings == CoreSettings()
    assert values.source(("server", "port")) == "default"


def test_later_sources_win_and_are_remembered(tmp_path: Path) -> None:
    settings, values = read(
        tmp_path,
        '[server]\nhost = "127.0.0.2"\nport = 1\nthreads = 8\n',
        {"TOOLBOX__SERVER__PORT": "2", "TOOLBOX__SERVER__THREADS": "9", "OTHER": "x"},
        {("server", "threads"): "10"},
    )
    assert (settings.server.host, settings.server.port, settings.server.threads) == (
        "127.0.0.2",
        2,
        10,
    )
    assert values.source(("server", "host")) == str(tmp_path / "toolbox.toml")
    assert values.source(("server", "port")) == "environment TOOLBOX__SERVER__PORT"
    assert values.source(("server", "threads")) == "command line"


def test_the_environment_can_carry_every_kind_of_value(tmp_path: Path) -> None:
    settings, _ = read(
        tmp_path,
        environ={
            "TOOLBOX__SERVER__PIN_CORE": "false",
            "TOOLBOX__WEBSOCKET__PING_INTERVAL": "1.5",
            "TOOLBOX__PLUGINS__DISABLE": '["a", "b"]',
            "TOOLBOX__SERVER__PATH_PREFIX": "/x",
        },
    )
    assert settings.server.pin_core is False
    assert settings.websocket.ping_interval == 1.5
    assert settings.plugins.disable == ["a", "b"]
    assert settings.server.path_prefix == "/x"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[server]\nprot = 1\n", "unknown option server.prot; did you mean 'port'?"),
        ("[server]\nport = 'x'\n", "server.port: Expected `int`"),
        ("[server]\nport = 65536\n", "server.port: Expected `int` <= 65535"),
        ("[server]\nport = -1\n", "server.port: Expected `int` >= 0"),
        ("server = 1\n", "server must be a table"),
        ("[server]\npath_prefix = 'x'\n", "server.path_prefix"),
        ("[auth]\nmode = 'open'\n", "auth.mode: Invalid enum value 'open'"),
        ("[plugins]\ndisable = 'git'\n", "plugins.disable: Expected `array`"),
        ("[plugins]\ndisable = [1]\n", "plugins.disable"),
        ("[server\n", "not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "toolbox.toml"))
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOOLBOX__SERVER__PORT", "x"), ("TOOLBOX__PLUGINS__ENABLE", "[x"), ("TOOLBOX__SERVER", "x")],
)
def test_what_is_wrong_in_the_environment_is_said_with_its_name(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"environment {name}"):
        read(tmp_path, environ={name: value})


@pytest.mark.parametrize("kind", ["missing", "directory", "binary"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "settings.toml"
    if kind == "directory":
        file.mkdir()
    elif kind == "binary":
        file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        read_values(file, {}, {})
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        read_values(None, {"TOOLBOX_CONFIG": str(file)}, {})


def test_a_value_below_a_value_is_refused() -> None:
    values = Values()
    values.merge({"server": {"port": 1}}, "a file")
    with pytest.raises(SettingsError, match=r"server\.port is a value"):
        values.set(("server", "port", "x"), 1, "environment X")


def test_a_section_leaves_out_what_belongs_to_others() -> None:
    values = Values()
    values.merge({"server": {"port": 1, "other": {"x": 1}}}, "a file")
    section = values.section(("server",), ServerSettings, skip=frozenset({"other"}))
    assert section == ServerSettings(port=1)


class Picky(msgspec.Struct):
    """Settings whose defaults alone won't do."""

    one: str = ""
    two: str = ""

    def __post_init__(self) -> None:
        if not self.one and not self.two:
            raise ValueError("one of 'one' and 'two' must be set")


class Required(msgspec.Struct):
    """Settings with an option that has no default."""

    name: str


@pytest.mark.parametrize(("kind", "problem"), [(Picky, "must be set"), (Required, "`name`")])
def test_a_section_without_values_may_lack_some(kind: type[msgspec.Struct], problem: str) -> None:
    with pytest.raises((SettingsError, msgspec.ValidationError), match=problem):
        Values().section(("group",), kind)
