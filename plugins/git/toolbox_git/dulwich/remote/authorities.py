"""The certificate authorities of HTTPS remotes."""

from __future__ import annotations

import importlib.util
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

_BUNDLE = "/etc/pki/tls/certs/ca-bundle.crt"
"""The file of Fedora and its relatives, of which other builds of OpenSSL know nothing."""


def chosen_authorities(environ: Mapping[str, str]) -> str | None:
    """Return the file of the user's choice, which precedes every setting (git-config(1))."""
    return environ.get("GIT_SSL_CAINFO") or None


def further_authorities() -> str | None:
    """Return a file for machines where OpenSSL finds no authorities: theirs, else certifi's."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return None
    if os.access(_BUNDLE, os.R_OK):
        return _BUNDLE
    # Not a dependency: an image that is built has its own. The standalone build brings it.
    found = importlib.util.find_spec("certifi")
    return str(Path(found.origin).with_name("cacert.pem")) if found and found.origin else None
