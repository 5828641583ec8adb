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
"""What is spoken; ``ext::`` and its like run any program."""

_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST_LIKE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?/")
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")

_LONG = 4


class Credentials(msgspec.Struct, frozen=True):
    """A user name and a password or token; both empty if there are none."""

    username: str = ""
    password: str = ""

    def __bool__(self) -> bool:
        return bool(self.username and self.password)

    def __repr__(self) -> str:
        return "Credentials(...)"


def scheme_of(url: str) -> str:
    """The protocol of ``url``: ``file`` for a path, ``ssh`` for ``host:path``."""
    if match := _SCHEME.match(url):
        return match[1].lower()
    colon = url.find(":")
    return "ssh" if 0 < colon < (url + "/").find("/") else "file"


def check_url(url: str) -> None:
    """Raises BadRequest for a URL that could be taken as an option or runs a program."""
    if url.startswith("-") or _HELPER.match(url) or "\n" in url or "\r" in url:
        raise BadRequest("this is no URL of a repository")
    if scheme_of(url) not in PROTOCOLS:
        raise BadRequest(f"the protocol {scheme_of(url)!r} is not supported")


def complete_url(url: str, base: Path) -> str:
    """``url`` as it is meant: ``host.name/path`` is ``https://``, a path starts in ``base``."""
    check_url(url)
    if scheme_of(url) != "file" or url.startswith("file://"):
        return url
    path = base / url
    if not path.exists() and _HOST_LIKE.match(url):
        return f"https://{url}"
    return str(path)


def split_credentials(
    url: str, username: str | None, password: str | None
) -> tuple[str, Credentials]:
    """``url`` without credentials, which would be kept in the repository, and those to use.

    Raises AuthenticationFailed if user name and password are meant for SSH.
    """
    credentials = Credentials(username or "", password or "")
    if scheme_of(url) == "ssh" and credentials:
        raise AuthenticationFailed("SSH takes keys; user name and password are for HTTP")
    if scheme_of(url) not in ("http", "https"):
        return url, Credentials()
    parts = urlsplit(url)
    if "@" in parts.netloc:
        userinfo, _, host = parts.netloc.rpartition("@")
        url = parts._replace(netloc=host).geturl()
        name, _, secret = userinfo.partition(":")
        credentials = credentials or Credentials(unquote(name), unquote(secret))
    return url, credentials


def origin_of(url: str) -> str:
    """``https://host:port`` of an HTTP URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def redact(text: str, credentials: Credentials) -> str:
    """``text`` without the credentials, in clear or as in a URL, and without any in URLs.

    A user's name and a short password are only replaced as words of their own: of a text without
    every ``u`` it could be told what was there.
    """
    for secret in (credentials.password, credentials.username):
        for form in sorted({secret, quote(secret, safe="")}, key=len, reverse=True):
            if secret is credentials.password and len(form) >= _LONG:
                text = text.replace(form, "***")
            elif form:
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "***", text)
    return _USERINFO.sub("", text)
