"""Keys of the WSGI environment under which the service keeps what it knows of a request.

Written by the application and by :class:`toolbox.request.Body`, read by observers.
"""

OPERATION = "toolbox.operation"
"""``<group>.<operation>``."""

AUTH = "toolbox.auth"
"""The name of the credential that let the request in, such as ``token``."""

USER = "toolbox.user"
"""The name of the user who sent the request, empty if the authenticator knows none."""

ERROR = "toolbox.error"
"""The code of the error that was returned."""

REQUEST_ID = "toolbox.request_id"

BODY = "toolbox.body"
"""The request's :class:`toolbox.request.Body`: its count of bytes received."""


def environ_key(header: str) -> str:
    """Return the key of a header of the request (PEP 3333)."""
    key = header.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
