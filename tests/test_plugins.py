from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.application.core_routes import group as core_group
from toolbox.plugins.conformance import lacking
from toolbox.plugins.discovery import _wrong_sections
from toolbox.plugins.forgotten import forgotten_operations
from toolbox.serving.bootstrap import load
from toolbox.settings import Values
from toolbox.testing import Service

ToyService = Callable[..., Service]


def report(service: Service, name: str) -> dict[str, Any]:
    plugins: list[dict[str, Any]] = service.http.get("/plugins").json()["plugins"]
    return next(plugin for plugin in plugins if plugin["name"] == name)


def command(site: Any, *arguments: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    file = site.directory / "toolbox.toml"
    file.write_text(settings)
    environ = {**os.environ, **site.env, "TOOLBOX_CONFIG": str(file)}
    return subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_whole_new_group(toy_service: ToyService) -> None:
    service = toy_service("greeter")
    assert service.http.get("/greet/Ada").json() == {"text": "Good day Ada"}
    assert report(service, "greeter") == {
        "name": "greeter",
        "status": "enabled",
        "distribution": "toy-greeter",
        "version": "1.0",
        "group": "greeter",
        "backend": "polite",
        "backends": [{"name": "polite", "plugin": "greeter"}],
    }


def test_another_backend_for_a_group_of_another_plugin(toy_service: ToyService) -> None:
    service = toy_service("greeter", "loud", settings='[greeter]\nbackend = "loud"\n')
    assert service.http.get("/greet/Ada").json() == {"text": "HELLO ADA"}
    assert report(service, "greeter")["backend"] == "loud"
    assert report(service, "greeter")["backends"][1] == {
        "name": "loud",
        "summary": "for the hard of hearing",
        "plugin": "loud",
        "missing": ["a-program-that-is-nowhere"],
    }


def test_a_backend_gets_its_settings(toy_service: ToyService) -> None:
    service = toy_service("greeter", settings='[greeter.polite]\nword = "Hi"\n')
    assert service.http.get("/greet/Ada").json() == {"text": "Hi Ada"}


def test_a_plugin_that_cannot_be_imported_is_reported_and_left_out(toy_service: ToyService) -> None:
    service = toy_service("greeter", "broken")
    assert service.http.get("/greet/Ada").status_code == 200
    failed = report(service, "broken")
    assert failed["status"] == "failed"
    assert failed["reason"] == "ImportError: this plugin needs a library that is not there"
    assert "broken.py" in service.log()


def test_a_misspelt_hook_is_an_error(toy_service: ToyService) -> None:
    failed = report(toy_service("misspelt"), "misspelt")
    assert failed["status"] == "failed"
    assert "toolbox_gruop" in failed["reason"]


def test_the_second_plugin_of_one_name_fails(site: Any, make_service: Any) -> None:
    site.add("greeter", distribution="toy-a")
    site.add("loud", name="greeter", distribution="toy-b")
    service = make_service(env=site.env)
    plugins = service.http.get("/plugins").json()["plugins"]
    named = [plugin for plugin in plugins if plugin["name"] == "greeter"]
    assert sorted(plugin["status"] for plugin in named) == ["enabled", "failed"]
    failed = next(plugin for plugin in named if plugin["status"] == "failed")
    assert "another installed plugin has the name 'greeter'" in failed["reason"]


def test_the_second_group_of_one_name_fails(toy_service: ToyService) -> None:
    service = toy_service("greeter", "twin")
    assert service.http.get("/greet/Ada").status_code == 200
    failed = report(service, "twin")
    assert failed["status"] == "failed"
    assert "the group name 'greeter' is taken" in failed["reason"]


def test_a_disabled_plugin_is_not_imported(toy_service: ToyService, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    env = {"TRACE_FILE": str(trace)}
    settings = '[plugins]\ndisable = ["tracer", "not-installed"]\n[tracer]\nx = 1\n'
    service = toy_service("greeter", "tracer", env=env, settings=settings)
    assert report(service, "tracer")["status"] == "disabled"
    assert not trace.exists()
    assert "'not-installed', which is not installed" in service.log()


def test_only_what_is_enabled_is_imported(toy_service: ToyService, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    env = {"TRACE_FILE": str(trace)}
    service = toy_service("greeter", "tracer", env=env, settings='[plugins]\nenable=["greeter"]')
    assert report(service, "tracer")["status"] == "disabled"
    assert not trace.exists()
    assert service.http.get("/greet/Ada").status_code == 200


@pytest.mark.parametrize(
    ("toys", "settings", "problem"),
    [
        (["greeter"], '[plugins]\nenable = ["ghost"]', "names 'ghost', which is not installed"),
        (["greeter"], '[plugins]\nenable = ["greter"]', "did you mean 'greeter'?"),
        (["broken"], '[plugins]\nenable = ["broken"]', "plugin 'broken' can't be used: Import"),
        (["greeter"], '[plugins]\nenable=["greeter"]\ndisable=["greeter"]', "both name 'greeter'"),
        (["greeter"], '[greeter]\nbackend = "polit"', "did you mean 'polite'?"),
        (["greeter"], "[greeter]\nbackend = 1", "no backend 1"),
        (["greeter"], "[greeter.polite]\nwrod = 1", "unknown option greeter.polite.wrod"),
        (["greeter"], "[greeter]\nfoo = 1", "unknown option greeter.foo"),
        (["greeter"], "[greter]\nfoo = 1", "unknown section [greter]; did you mean 'greeter'?"),
        (["greeter"], "greeter = 1", "greeter must be a table"),
    ],
)
def test_settings_that_name_what_is_not_there_are_refused_in_one_line(
    site: Any, toys: list[str], settings: str, problem: str
) -> None:
    for toy in toys:
        site.add(toy)
    result = command(site, "serve", "--port", "0", settings=settings)
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 2
    assert last.startswith("toolbox: ")
    assert problem in last
    if "broken" not in toys:
        assert "Traceback" not in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_the_command_shows_what_is_installed(site: Any) -> None:
    for toy in ("greeter", "loud", "broken"):
        site.add(toy)
    shown = command(site, "plugins").stdout
    assert "greeter        1.0        enabled" in shown
    assert "  * polite" in shown
    assert "    loud         for the hard of hearing (missing: a-program-that-is-nowhere)" in shown
    assert "broken         1.0        failed: ImportError: this plugin needs" in shown


def test_the_command_shows_settings_with_their_sources(site: Any) -> None:
    site.add("greeter")
    shown = command(site, "config", settings='[greeter.polite]\nword = "Hi"\n').stdout
    file = site.directory / "toolbox.toml"
    assert f'greeter.polite.word = "Hi"  # {file}' in shown
    assert 'greeter.backend = "polite"  # default' in shown
    assert "server.port = 2280  # default" in shown


def test_the_command_checks_a_settings_file(site: Any) -> None:
    site.add("greeter")
    good, bad = site.directory / "good.toml", site.directory / "bad.toml"
    good.write_text('[greeter.polite]\nword = "Hi"\n')
    bad.write_text("[greeter.polite]\nword = 1\n")
    result = command(site, "config", "--check", str(good))
    assert (result.returncode, result.stdout) == (0, f"{good}: ok\n")
    result = command(site, "config", "--check", str(bad))
    assert result.returncode == 2
    assert result.stderr == (f"toolbox: {bad}: greeter.polite.word: Expected `str`, got `int`\n")


def test_the_command_shows_why_a_backend_is_idle(site: Any) -> None:
    settings = "[metrics]\nenabled = false\n"
    shown = command(site, "plugins", settings=settings).stdout.splitlines()
    (line,) = [line for line in shown if line.startswith("metrics ")]
    assert line.endswith(" enabled, idle: set [metrics] enabled = true to collect metrics")
    shown = command(site, "plugins", settings="[metrics]\nenabled = true\n").stdout.splitlines()
    (line,) = [line for line in shown if line.startswith("metrics ")]
    assert line.endswith(" enabled")


FORGETFUL = {
    "__init__": "",
    "main": """
        from toolbox.group import Group
        from forgetful import early, included

        group = Group("forgetful", backend=object, default_backend="none")
        group.include(included.operations, early.operations)
        early.operations.get("/forgetful/late")(early.late)
        """,
    "included": """
        from toolbox.group import Operations

        operations = Operations()

        @operations.get("/forgetful/served")
        def served(backend: object) -> None: ...
        """,
    "early": """
        from toolbox.group import Operations

        operations = Operations()

        @operations.get("/forgetful/first")
        def first(backend: object) -> None: ...

        def late(backend: object) -> None: ...
        """,
    "below.__init__": "",
    "below.forgotten": """
        from toolbox.group import Operations

        operations = Operations()

        @operations.get("/forgetful/lost")
        def lost(backend: object) -> None: ...
        """,
    "script": "raise SystemExit('a script was imported')",
}


def test_operations_that_no_group_serves_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FORGETFUL.items():
        file = tmp_path / "forgetful" / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    group = importlib.import_module("forgetful.main").group
    found = forgotten_operations("forgetful", group)
    assert found == ["forgetful.below.forgotten:lost", "forgetful.early:late"]
    assert len(forgotten_operations("forgetful")) == 4


def test_no_operation_of_ours_is_forgotten() -> None:
    registry = load(os.devnull)[2]
    assert len(registry.served) > 5
    for served in registry.served:
        package = registry.manager.get_plugin(served.plugin).__name__
        assert forgotten_operations(package, served.group) == []
    assert forgotten_operations("toolbox", core_group) == []


def test_hooks_around_the_application_and_its_life(toy_service: ToyService, tmp_path: Path) -> None:
    (tmp_path / "go").write_text("now")
    service = toy_service("lifecycle", env={"LIFECYCLE_DIR": str(tmp_path)})
    service.wait_for(lambda: service.http.get("/readyz").status_code == 200, "readiness")
    assert service.http.get("/teapot").status_code == 418
    assert service.stop() == 0
    assert (tmp_path / "stopped").read_text() == "yes"


def test_while_a_hook_starts_requests_are_told_so(toy_service: ToyService, tmp_path: Path) -> None:
    # AC-95
    service = toy_service("lifecycle", "greeter", env={"LIFECYCLE_DIR": str(tmp_path)})
    for path in ("/readyz", "/greet/x"):
        response = service.http.get(path)
        assert response.status_code == 503
        assert response.json()["code"] == "SERVICE_UNAVAILABLE"
        assert response.json()["message"] == "the service is starting"
        assert response.headers["retry-after"]
    assert service.http.get("/healthz").status_code == 200
    with service.client(None) as client:
        assert client.get("/greet/x").status_code == 401
    (tmp_path / "go").write_text("now")
    service.wait_for(lambda: service.http.get("/readyz").status_code == 200, "readiness")
    assert service.http.get("/greet/x").status_code == 200


def test_a_start_hook_that_fails_is_told(toy_service: ToyService, tmp_path: Path) -> None:
    (tmp_path / "go").write_text("fail")
    service = toy_service("lifecycle", env={"LIFECYCLE_DIR": str(tmp_path)})
    service.wait_for(lambda: "failed" in service.http.get("/readyz").text, "the failure")
    assert "RuntimeError: told to fail" in service.log()


INCOMPLETE = {
    "absent": "it lacks word(reader, times)",
    "short": "it lacks word(reader, times)",
    "greedy": "it lacks word(reader, times)",
    "heir": "it lacks word(reader, times)",
    "abstract": "it lacks word(reader, times)",
    "limitless": "it lacks limit",
    "shelfless": "it lacks shelf.list()",
    "broken": "'broken' can't be made: ValueError: there is",
}


@pytest.mark.parametrize("backend", INCOMPLETE)
def test_an_incomplete_backend_is_refused_at_the_start(site: Any, backend: str) -> None:
    # F-D7: it started, and each call of what it lacks was answered 500
    site.add("half")
    settings = f'[half]\nbackend = "{backend}"\n'
    result = command(site, "serve", "--port", "0", settings=settings)
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if line.startswith("toolbox: ")]
    assert len(lines) == 1
    assert "half.backend: " in lines[0] and f"{backend!r} " in lines[0]
    assert lines[0].endswith(INCOMPLETE[backend])
    assert "Starting" not in result.stdout
    if backend != "broken":
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("missing", "AttributeError: module 'half' has no attribute 'Missing'"),
        ("elsewhere", "ModuleNotFoundError: No module named 'half.elsewhere'"),
    ],
)
def test_a_backend_that_cannot_be_imported_is_refused_at_the_start(
    site: Any, backend: str, reason: str
) -> None:
    # F-D7: the service started without the group, though the settings name its backend
    site.add("half")
    settings = f'[half]\nbackend = "{backend}"\n'
    result = command(site, "serve", "--port", "0", settings=settings)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"half.backend: {backend!r} can't be imported: {reason}" in line


def test_a_complete_backend_is_one_however_it_is_made(toy_service: ToyService) -> None:
    # F-D7
    service = toy_service("half")
    assert service.http.get("/half/Ada").json() == "fine"


def test_every_backend_of_ours_has_all_of_its_protocol() -> None:
    # F-D7
    registry = load(os.devnull)[2]
    groups = {served.group.name: served.group for served in registry.served}
    backends = [backend for some in registry.hook.toolbox_backends() for backend in some]
    assert len(backends) >= len(groups) > 5
    for backend in backends:
        with contextlib.suppress(ImportError):  # computeruse's pynput wants a display.
            assert lacking(backend.load(), groups[backend.group].backend) == []


def test_settings_of_a_group_that_is_left_out_are_no_mistake() -> None:
    # An image with fewer groups has the same settings file.
    values = Values()
    values.merge({"fleet": {"backend": "single"}}, "file")
    assert list(_wrong_sections(values, [], ["process"])) == []
    values.merge({"fleets": {"backend": "single"}}, "file")
    (problem,) = _wrong_sections(values, [], ["process"])
    assert problem.startswith("file: unknown section [fleets]")
