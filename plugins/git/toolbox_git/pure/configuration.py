"""Configuration and stored credentials without git."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import quote
from urllib.parse import unquote
from urllib.parse import urlsplit

from dulwich.config import ConfigFile
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.variables import home_directory
from toolbox_git.models import CredentialsRequest
from toolbox_git.models import Scope
from toolbox_git.names import check_key
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text
from toolbox_git.repository import find
from toolbox_git.urls import Credentials


def config_path(scope: Scope, path: str, base: Path) -> Path:
    """The file of a scope. Raises BadRequest, RepositoryNotFound."""
    if scope == "system":
        return Path(os.environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig"))
    if scope == "local":
        if not path:
            raise BadRequest("scope 'local' needs the path of a repository")
        with Repo(str(find(path, base).path)) as repo:
            return Path(os.fsdecode(repo.commondir())) / "config"
    if named := os.environ.get("GIT_CONFIG_GLOBAL"):
        return Path(named)
    usual = home() / ".gitconfig"
    other = Path(os.environ.get("XDG_CONFIG_HOME") or home() / ".config") / "git" / "config"
    return other if other.exists() and not usual.exists() else usual


def home() -> Path:
    """The user's home."""
    return home_directory()


def _split(key: str) -> tuple[tuple[bytes, ...], bytes]:
    check_key(key)
    section, _, rest = to_bytes(key).partition(b".")
    subsection, dot, name = rest.rpartition(b".")
    return ((section.lower(), subsection) if dot else (section.lower(),)), name


def get(key: str, path: Path) -> str | None:
    """One value of a file, None if it isn't set."""
    section, name = _split(key)
    if not path.exists():
        return None
    config = ConfigFile.from_path(str(path))
    try:
        values = list(config.get_multivar(section, name))
    except KeyError:
        return None
    return to_text(values[-1]) if values else None


def set_value(key: str, value: str, path: Path) -> None:
    """Set the one value of ``key``; the rest of the file, comments too, stays as it is."""
    section, name = _split(key)
    text = path.read_bytes() if path.exists() else b""
    if get(key, path) is not None:
        config = ConfigFile.from_path(str(path))
        config.set(section, name, to_bytes(value))
        config.write_to_path(str(path))
        return
    if text and not text.endswith(b"\n"):
        text += b"\n"
    title = b"[" + section[0] + b"]"
    if len(section) == 2:
        escaped = section[1].replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        title = b"[" + section[0] + b' "' + escaped + b'"]'
    replace_file(path, text + title + b"\n\t" + name + b" = " + _quoted(to_bytes(value)) + b"\n")


def _quoted(value: bytes) -> bytes:
    for character, escape in (
        (b"\\", b"\\\\"),
        (b'"', b'\\"'),
        (b"\n", b"\\n"),
        (b"\t", b"\\t"),
        (b"\b", b"\\b"),
    ):
        value = value.replace(character, escape)
    return b'"' + value + b'"'


def replace_file(path: Path, text: bytes, mode: int = 0o644) -> None:
    """Write a file in one step; one that is there keeps its mode, and its link leads to it."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        mode = path.stat().st_mode & 0o7777
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".toolbox-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def store(body: CredentialsRequest) -> None:
    """Keep credentials where git's ``store`` helper looks for them."""
    host, protocol = body.host or "github.com", body.protocol or "https"
    configured = config_path("global", "", Path())
    helpers = []
    if configured.exists():
        config = ConfigFile.from_path(str(configured))
        try:
            helpers = list(config.get_multivar((b"credential",), b"helper"))
        except KeyError:
            pass
    if b"store" not in helpers:
        text = configured.read_bytes() if configured.exists() else b""
        if text and not text.endswith(b"\n"):
            text += b"\n"
        replace_file(configured, text + b"[credential]\n\thelper = store\n")
    path = home() / ".git-credentials"
    lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
    kept = [line for line in lines if _place(line) != (protocol, host)]
    user, secret = quote(body.username, safe=""), quote(body.password, safe="")
    kept.append(f"{protocol}://{user}:{secret}@{quote(host, safe=':')}")
    data = "".join(f"{line}\n" for line in kept)
    replace_file(path, data.encode("utf-8", "surrogateescape"), 0o600)


def _place(line: str) -> tuple[str, str]:
    parts = urlsplit(line)
    return parts.scheme, unquote(parts.netloc.rpartition("@")[2])


def stored_credentials(url: str) -> Credentials:
    """What has been stored for the host of ``url``."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return Credentials()
    xdg = Path(os.environ.get("XDG_CONFIG_HOME") or home() / ".config") / "git" / "credentials"
    for path in (home() / ".git-credentials", xdg):
        try:
            lines = path.read_text("utf-8", "surrogateescape").splitlines()
        except OSError:
            continue
        for line in lines:
            if _place(line) == (parts.scheme, parts.netloc.rpartition("@")[2]):
                name, _, secret = urlsplit(line).netloc.rpartition("@")[0].partition(":")
                return Credentials(unquote(name), unquote(secret))
    return Credentials()
