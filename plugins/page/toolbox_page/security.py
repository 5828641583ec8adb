"""The headers that restrict what a browser does with the page."""

from __future__ import annotations

from typing import Any

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    # The terminal makes style sheets for its size and its colors; they carry the nonce.
    "style-src": "'self' 'nonce-{nonce}'",
    # It sets 24-bit colors as attributes, which no nonce covers. They can load nothing.
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""Content Security Policy, Level 3: nothing from other origins, no inline script, no frame."""


def headers(nonce: str) -> dict[str, str]:
    """Return the headers of the page."""
    policy = "; ".join(f"{name} {value}" for name, value in POLICY.items())
    return {
        "Cache-Control": "no-store",  # A nonce must not be used twice.
        "Content-Security-Policy": policy.format(nonce=nonce),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def missing_slash(environ: dict[str, Any]) -> str | None:
    """Return the redirect target for a request for the prefix without a slash after it, or None.

    The page names its files relative to itself, so that it works below any prefix.
    """
    prefix: str = environ.get("SCRIPT_NAME", "")
    raw = str(environ.get("RAW_URI", "/")).partition("?")[0]
    # Only the last part of the prefix, so that proxies in front may have theirs before it.
    return f"{prefix.rpartition('/')[2]}/" if prefix and not raw.endswith("/") else None
