from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from werkzeug.datastructures import MultiDict

from toolbox.auth import signing
from toolbox.auth.factory import make_auth
from toolbox.auth.signing import check_signature
from toolbox.auth.signing import scheme_of
from toolbox.auth.signing import sign
from toolbox.errors import Unauthorized
from toolbox.settings import AuthSettings
from toolbox.settings import SettingsError
from toolbox.testing import TOKEN
from toolbox.testing import Service

KEY = "a-signing-key"
LATER = 4_000_000_000


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("vault")
    site = directory / "site"
    shutil.copytree(Path(__file__).parent / "plugins", site)
    info = site / "toy_signed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-signed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toolbox.plugins]\nvault = signed\n")
    env = {"PYTHONPATH": str(site), "TOOLBOX_SIGNING_KEY": KEY}
    service = Service(directory, settings='[plugins]\nenable = ["vault"]\n', env=env)
    yield service
    service.stop()


def signed(path: str, method: str = "GET", expires: int = LATER, key: str = KEY) -> dict[str, str]:
    signature = sign(key, "vault", method, path, expires)
    return {"path": path, "expires": str(expires), "signature": signature}


@pytest.fixture
def anonymous(vault: Service) -> Iterator[httpx.Client]:
    with vault.client(None) as client:
        yield client


def test_the_signature_is_the_one_the_sdks_make() -> None:
    assert sign("key", "files", "GET", "/a b/é", 0) == (
        "v1_Sj1aTCgnRBJXy4Fu-baspoMNBW1zwiJh1Zz8-TUtAwY"
    )


@pytest.mark.parametrize("path", ["/file", "relative", "/a b&c=d?e#f%20", "日本語", ""])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_signed_url_needs_no_token(anonymous: httpx.Client, method: str, path: str) -> None:
    answer = anonymous.request(method, "/vault", params=signed(path, method))
    assert (answer.status_code, answer.json()) == (200, {"path": path})
    never = anonymous.request(method, "/vault", params=signed(path, method, expires=0))
    assert never.status_code == 200


def test_a_signature_for_get_is_good_for_head(anonymous: httpx.Client) -> None:
    assert anonymous.head("/vault", params=signed("/file")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/other"},
        {"expires": str(LATER + 1)},
        {"expires": "0"},
        {"expires": ""},
        {"expires": "-1"},
        {"expires": "x"},
        {"expires": "\u0661"},
        {"expires": "9" * 5000},
        {"signature": ""},
        {"signature": "v1_"},
        {"signature": "é"},
        signed("/file", "POST"),
        signed("/file", key="another"),
        signed("/file", expires=1),
    ],
)
def test_nothing_of_a_signed_url_can_be_changed(
    anonymous: httpx.Client, change: dict[str, str]
) -> None:
    answer = anonymous.get("/vault", params={**signed("/file"), **change})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert answer.json()["source"] == "DAYTONA_DAEMON"


def test_the_path_that_is_used_is_the_one_that_is_signed(anonymous: httpx.Client) -> None:
    # F-B8
    query = signed("/file")
    for name, value in (("path", "/other"), ("Path", "/other"), ("expires", "0")):
        for both in ([*query.items(), (name, value)], [(name, value), *query.items()]):
            answer = anonymous.get("/vault", params=both)  # type: ignore[arg-type]
            assert answer.status_code == 400


def test_only_operations_that_say_so_can_be_signed(anonymous: httpx.Client) -> None:
    assert anonymous.get("/vault/closed", params=signed("/file")).status_code == 401
    assert anonymous.get("/plugins", params=signed("/file")).status_code == 401


def test_the_token_still_counts(vault: Service) -> None:
    query = {**signed("/file"), "signature": "v1_wrong"}
    assert vault.http.get("/vault", params=query).status_code == 200
    with vault.client("wrong") as client:
        assert client.get("/vault", params=signed("/file")).status_code == 401


def test_the_document_tells_of_signatures(vault: Service) -> None:
    paths = vault.http.get("/openapi.json").json()["paths"]
    assert {"signature": []} in paths["/vault"]["get"]["security"]
    assert "security" not in paths["/vault/closed"]["get"]


def test_a_signature_ends_at_its_second(monkeypatch: pytest.MonkeyPatch) -> None:
    query = signed("/file", expires=100)
    monkeypatch.setattr(time, "time", lambda: 100.0)
    check_signature(KEY, "vault", "GET", query)
    monkeypatch.setattr(time, "time", lambda: 100.1)
    with pytest.raises(Unauthorized, match="expired"):
        check_signature(KEY, "vault", "GET", query)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []
    monkeypatch.setattr(signing.hmac, "compare_digest", lambda *both: compared.append(both))
    with pytest.raises(Unauthorized):
        check_signature(KEY, "vault", "GET", signed("/file"))
    assert len(compared) == 1


def test_without_a_key_no_signature_is_right() -> None:
    auth = make_auth(AuthSettings(), "127.0.0.1", {"TOOLBOX_TOKEN": TOKEN})
    with pytest.raises(Unauthorized):
        auth.authenticate_signed(scheme_of("vault"), "GET", MultiDict(signed("/file", key="")))


@pytest.mark.parametrize("mode", ["token", "init"])
def test_the_key_comes_from_a_file_or_the_environment_and_leaves_it(
    tmp_path: Path, mode: str
) -> None:
    file = tmp_path / "key"
    file.write_text("from-the-file\n")
    settings = AuthSettings(mode=mode, signing_key_file=str(file))  # type: ignore[arg-type]
    environ: dict[str, str] = {}
    auth = make_auth(settings, "127.0.0.1", environ)
    auth.authenticate_signed(
        scheme_of("vault"), "GET", MultiDict(signed("/file", key="from-the-file"))
    )
    environ = {"TOOLBOX_SIGNING_KEY": KEY}
    auth = make_auth(settings, "127.0.0.1", environ)
    auth.authenticate_signed(scheme_of("vault"), "GET", MultiDict(signed("/file")))
    assert environ == {}


def test_a_key_file_that_can_not_be_used_is_refused(tmp_path: Path) -> None:
    make: Callable[[], object] = lambda: make_auth(  # noqa: E731
        AuthSettings(signing_key_file=str(tmp_path / "key")), "127.0.0.1", {}
    )
    with pytest.raises(SettingsError, match=r"auth\.signing_key_file"):
        make()
    (tmp_path / "key").touch()
    with pytest.raises(SettingsError, match="the first line is empty"):
        make()
