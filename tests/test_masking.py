"""Secrets are in no log and in no error (AC-93)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from toolbox.masking import Mask
from toolbox.testing import TOKEN
from toolbox.testing import Service


def test_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = Mask(["KEY", "ABSENT", "SHORT", "LONGER"], lambda: ["a-token", ""])
    monkeypatch.setenv("KEY", 'quo"ted\\key')
    monkeypatch.setenv("SHORT", "a")
    monkeypatch.setenv("LONGER", "a-token-and-more")
    assert mask("a-token") == "***"
    assert mask("see a-token-and-more, a-token") == "see ***, ***"
    assert mask('is quo"ted\\key') == "is ***"
    assert mask(r'{"x": "quo\"ted\\key"}') == '{"x": "***"}', "as JSON writes it"
    assert mask(repr(["quo\"ted\\key'"])) == """['***\\'']""", "as Python writes it"
    assert mask("banana") == "banana", "what is too short would be found everywhere"
    monkeypatch.setenv("KEY", "another")
    assert mask("another") == "***", "it is looked up anew"


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_not_written(toy_service: Callable[..., Service], form: str) -> None:
    # AC-93
    log = f'format = "{form}"\naccess = true\naudit = "-"\nmask = ["A_SECRET"]'
    service = toy_service(
        "faulty",
        settings=f"[log]\n{log}\n",
        env={"A_SECRET": "swordfish", "TOOLBOX_SIGNING_KEY": "a-signing-key"},
    )
    assert service.http.get("/faulty/bug").status_code == 500
    for secret in (TOKEN, "a-signing-key", "swordfish"):
        assert service.http.get(f"/no/{secret}").status_code == 404
    refused = service.http.get("/faulty/refused/swordfish").json()
    assert refused["message"] == "*** is refused"
    service.stop()
    written = service.log()
    assert "the secret is ***" in written, "in a traceback"
    assert written.count("/no/***") >= 3, "in a path"
    for secret in (TOKEN, "a-signing-key", "swordfish"):
        assert secret not in written
