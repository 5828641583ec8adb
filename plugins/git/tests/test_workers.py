"""The processes that run dulwich, and the authorities they trust."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import certifi
import msgspec
import pytest
from toolbox_git.dulwich.messages import Task
from toolbox_git.dulwich.remote import authorities
from toolbox_git.dulwich.workers.pool import WorkerPool

from toolbox.errors import ToolboxError


def test_a_worker_that_cannot_start_is_an_error_not_a_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = WorkerPool()
    with pytest.raises(ToolboxError, match=r"a git worker can't start \(status 1\)"):
        pool.run(Task("status", "/", {}, msgspec.Raw(b"\xc0")), 60)
    pool.close()


def test_bundled_authorities_are_for_machines_that_have_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(authorities, "_BUNDLE", str(tmp_path / "none"))
    # OpenSSL's own variables: the directories are those of another machine.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    bundled = authorities.further_authorities()
    assert bundled == certifi.where()
    assert ssl.create_default_context(cafile=bundled).cert_store_stats()["x509_ca"] > 50
    (tmp_path / "01234567.0").write_text("one of this machine")
    assert authorities.further_authorities() is None
