"""The choice of a server for a language, and the errors when it is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_lsp.catalog import Catalog
from toolbox_lsp.errors import LanguageUnsupported
from toolbox_lsp.errors import ServerNotInstalled
from toolbox_lsp.settings import LanguageServerSpec

from toolbox.testing import Service

MakeService = Callable[..., Service]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let exactly these programs be on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(*names: str) -> None:
        for name in names:
            (tmp_path / name).touch(0o755)

    return install


def details(service: Service) -> dict[str, str]:
    plugins = service.http.get("/plugins").json()["plugins"]
    found: dict[str, str] = next(each for each in plugins if each["name"] == "lsp")["details"]
    return found


def start(service: Service, language: str) -> httpx.Response:
    return service.http.post("/lsp/start", json={"languageId": language, "pathToProject": "."})


@pytest.mark.parametrize(
    ("language", "program"),
    [
        ("python", "pylsp"),
        ("typescript", "typescript-language-server"),
        ("javascript", "typescript-language-server"),
        ("go", "gopls"),
        ("rust", "rust-analyzer"),
        ("c", "clangd"),
        ("cpp", "clangd"),
        ("java", "jdtls"),
    ],
)
def test_built_in_entries(programs: Callable[..., None], language: str, program: str) -> None:
    catalog = Catalog({})
    with pytest.raises(ServerNotInstalled, match=f"{program}.* not found on PATH; to install: "):
        catalog.find(language)
    programs(program)
    assert catalog.find(language).command[0] == program
    assert catalog.find(language).extensions


def test_the_first_installed_one_is_taken(programs: Callable[..., None]) -> None:
    catalog = Catalog({})
    for program in ("jedi-language-server", "pyright-langserver", "basedpyright-langserver"):
        programs(program)
        assert catalog.find("python").command[0] == program
    assert catalog.servers()["python"] == "basedpyright-langserver"


def test_settings_overlay_the_ready_entry(programs: Callable[..., None]) -> None:
    programs("pylsp", "other")
    own = Catalog({"python": LanguageServerSpec(command=["other"], settings={"a": 1})})
    assert own.find("python").command == ["other"]
    assert own.find("python").extensions == [".py", ".pyi"]
    assert own.find("python").install == ""
    partly = Catalog({"python": LanguageServerSpec(settings={"a": 1})})
    assert partly.find("python").command == ["pylsp"]
    assert partly.find("python").settings == {"a": 1}


def test_a_language_without_server(programs: Callable[..., None]) -> None:
    with pytest.raises(LanguageUnsupported, match="did you mean 'python'"):
        Catalog({}).find("phyton")
    with pytest.raises(LanguageUnsupported) as caught:
        Catalog({}).find("klingon")
    assert str(caught.value).count("'python'") == str(caught.value).count("python") == 1
    # Settings without a command are not enough for a language that is not known.
    with pytest.raises(LanguageUnsupported):
        Catalog({"zig": LanguageServerSpec(extensions=[".zig"])}).find("zig")


def test_what_is_missing_is_known_before_first_use(make_service: MakeService) -> None:
    service = make_service(env={"PATH": str(Path(sys.executable).parent)})
    assert details(service)["python"] == "pylsp"
    hint = "gopls not found on PATH; to install: go install golang.org/x/tools/gopls@latest"
    assert details(service)["go"] == f"missing: {hint}"
    answer = start(service, "go")
    assert (answer.status_code, answer.json()["code"]) == (500, "LSP_SERVER_NOT_INSTALLED")
    assert answer.json()["message"] == f"no language server for go is installed: {hint}"
    assert answer.json()["source"] == "DAYTONA_DAEMON"


def test_unknown_languages_are_refused(make_service: MakeService) -> None:
    answer = start(make_service(), "klingon")
    assert (answer.status_code, answer.json()["code"]) == (400, "LSP_LANGUAGE_UNSUPPORTED")


def test_another_plugin_adds_a_server(make_service: MakeService, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "toy_zig-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-zig\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[toolbox_lsp.servers]\nzig = toy_zig:ZIG\nodd = toy_zig:ODD\nbad = toy_zig:NONE\n"
    )
    toy = Path(__file__).with_name("toy_server.py")
    command = [sys.executable, str(toy), "journal"]
    (site / "toy_zig.py").write_text(
        "from toolbox_lsp.settings import LanguageServerSpec\n"
        f"ZIG = LanguageServerSpec(command={command}, extensions=['.zig'])\nODD = 'zig'\n"
    )
    service = make_service(env={"PYTHONPATH": str(site)})
    assert details(service)["zig"] == sys.executable
    assert start(service, "zig").status_code == 200
    # Those that can't be used are said to be so, and the others are not affected.
    assert start(service, "odd").json()["code"] == "LSP_LANGUAGE_UNSUPPORTED"
    assert (
        "can't load the language server for odd: toy_zig:ODD is not a LanguageServerSpec"
        in service.log()
    )
    assert "language server for bad" in service.log()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("[lsp.servers.zig]\ncomand = ['zls']", "comand"),
        ("[lsp.servers.zig]\ncommand = 'zls'", "command"),
        ("[lsp]\nrequest_timeout = 0", "request_timeout"),
    ],
)
def test_wrong_settings_are_refused(make_service: MakeService, settings: str, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        make_service(settings=settings)


def test_settings_from_the_environment(make_service: MakeService) -> None:
    environ: dict[str, Any] = {"TOOLBOX__LSP__SERVERS__ZIG__COMMAND": '["true"]'}
    service = make_service(env=environ)
    assert details(service)["zig"] == "true"
    answer = start(service, "zig")
    assert answer.status_code == 500
    assert answer.json()["message"] == "true exited (exit status 0)"
