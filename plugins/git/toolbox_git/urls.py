"""URLs of remotes, and the credentials for them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote
from urllib.parse import unquote
from urllib.parse import urlsplit

import msgspec

from toolbox.errors import BadRequest
from toolbox_git.errors import AuthenticationFailed

PROTOCOLS = ("file", "git", "http", "https", "ssh")
"""The protocols allowed; ``ext::`` and similar ones run any program (gitremote-helpers(7))."""

_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST_LIKE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?/")
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")

_LONG = 4
"""Characters from which a password is redacted within words as well."""


class Credentials(msgspec.Struct, frozen=True):
    """A user name and a password or token; both empty without credentials."""

    username: str = ""
    password: str = ""

    def __bool__(self) -> bool:
        return bool(self.username and self.password)

    def __repr__(self) -> str:
        return "Credentials(...)"


def scheme_of(url: str) -> str:
    """Return the protocol of ``url``: ``file`` for a path, ``ssh`` for ``host:path``."""
    if match := _SCHEME.match(url):
        return match[1].lower()
    colon = url.find(":")
    return "ssh" if 0 < colon < (url + "/").find("/") else "file"


def check_url(url: str) -> None:
    """Raise BadRequest for a URL that git would take for an option or that runs a program."""
    if url.startswith("-") or _HELPER.match(url) or "\n" in url or "\r" in url:
        raise BadRequest("this is not the URL of a repository")
    if scheme_of(url) not in PROTOCOLS:
        raise BadRequest(f"the protocol {scheme_of(url)!r} is not supported")


def complete_url(url: str, base: Path) -> str:
    """Return ``url`` in full: ``host.name/path`` becomes ``https://``, a path is made absolute.

    Raises BadRequest as :func:`check_url`.
    """
    check_url(url)
    if scheme_of(url) != "file" or url.startswith("file://"):
        return url
    path = base / url
    # Users write "github.com/owner/name"; a directory of that name takes precedence.
    if not path.exists() and _HOST_LIKE.match(url):
        return f"https://{url}"
    return str(path)


def split_credentials(
    url: str, username: str | None, password: str | None
) -> tuple[str, Credentials]:
    """Return ``url`` without credentials, and the credentials to use.

    Git would store those of the URL in the repository. Raises AuthenticationFailed if a user name
    and password are given for SSH.
    """
    credentials = Credentials(username or "", password or "")
    if scheme_of(url) == "ssh" and credentials:
        raise AuthenticationFailed("SSH requires a key; user name and password work for HTTP only")
    if scheme_of(url) not in ("http", "https"):
        return url, Credentials()
    parts = urlsplit(url)
    if "@" in parts.netloc:
        userinfo, _, host = parts.netloc.rpartition("@")
        url = parts._replace(netloc=host).geturl()
        name, _, secret = userinfo.partition(":")
        # Those of the request take precedence over those in the URL.
        credentials = credentials or Credentials(unquote(name), unquote(secret))
    return url, credentials


def origin_of(url: str) -> str:
    """Return the origin of an HTTP URL: ``https://host:port``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def redact(text: str, credentials: Credentials) -> str:
    """Return ``text`` without ``credentials``, plain or URL-encoded, and without those in URLs.

    User names and short passwords are replaced as whole words only: a text in which every ``u``
    is replaced would reveal that the password is ``u``.
    """
    # The longer form first: the shorter may be a part of it.
    for secret in (credentials.password, credentials.username):
        for form in sorted({secret, quote(secret, safe="")}, key=len, reverse=True):
            if secret is credentials.password and len(form) >= _LONG:
                text = text.replace(form, "***")
            elif form:
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", text)
    return _USERINFO.sub("", text)
