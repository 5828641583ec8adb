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
from toolbox.settings.variables import home_directory
from toolbox_git.models import CredentialsRequest
from toolbox_git.models import Scope
from toolbox_git.names import check_key
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text
from toolbox_git.repository import find
from toolbox_git.urls import Credentials


def config_path(scope: Scope, path: str, base: Path) -> Path:
    """Return the configuration file of a scope (git-config(1), FILES).

    Raises BadRequest, RepositoryNotFound.
    """
    if scope == "system":
        return Path(os.environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig"))
    if scope == "local":
        if not path:
            raise BadRequest("scope 'local' requires the path of a repository")
        with Repo(str(find(path, base).path)) as repo:
            return Path(os.fsdecode(repo.commondir())) / "config"
    if named := os.environ.get("GIT_CONFIG_GLOBAL"):
        return Path(named)
    usual = home() / ".gitconfig"
    other = Path(os.environ.get("XDG_CONFIG_HOME") or home() / ".config") / "git" / "config"
    return other if other.exists() and not usual.exists() else usual


def home() -> Path:
    """Return the user's home directory."""
    return home_directory()


def _split(key: str) -> tuple[tuple[bytes, ...], bytes]:
    check_key(key)
    section, _, rest = to_bytes(key).partition(b".")
    subsection, dot, name = rest.rpartition(b".")
    return ((section.lower(), subsection) if dot else (section.lower(),)), name


def get(key: str, path: Path) -> str | None:
    """Return one value of a file; None if it isn't set."""
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
    """Replace all values of ``key`` by one; the rest of the file stays, comments included."""
    section, name = _split(key)
    text = path.read_bytes() if path.exists() else b""
    # dulwich drops comments when it writes a file: a new key is appended instead.
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
    """Write a file atomically. An existing one keeps its mode; symbolic links are followed."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        mode = path.stat().st_mode & 0o7777
    # In the same directory, since a rename works within one file system only.
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
    """Store credentials where git's ``store`` helper finds them (git-credential-store(1))."""
    host, protocol = body.host or "github.com", body.protocol or "https"
    _enable_store()
    path = home() / ".git-credentials"
    # Lines that aren't ours are kept byte for byte: other programs write to the file as well.
    lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
    kept = [line for line in lines if _scheme_and_host(line) != (protocol, host)]
    user, secret = quote(body.username, safe=""), quote(body.password, safe="")
    kept.append(f"{protocol}://{user}:{secret}@{quote(host, safe=':')}")
    data = "".join(f"{line}\n" for line in kept)
    replace_file(path, data.encode("utf-8", "surrogateescape"), 0o600)


def _enable_store() -> None:
    """Make ``store`` a credential helper of the user, unless it is one."""
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


def _scheme_and_host(line: str) -> tuple[str, str]:
    parts = urlsplit(line)
    return parts.scheme, unquote(parts.netloc.rpartition("@")[2])


def stored_credentials(url: str) -> Credentials:
    """Return the credentials stored for the host of ``url``; empty if there are none."""
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
            if _scheme_and_host(line) == (parts.scheme, parts.netloc.rpartition("@")[2]):
                name, _, secret = urlsplit(line).netloc.rpartition("@")[0].partition(":")
                return Credentials(unquote(name), unquote(secret))
    return Credentials()
