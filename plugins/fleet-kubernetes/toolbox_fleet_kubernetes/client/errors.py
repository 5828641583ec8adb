"""Failures of the API server, as errors of this service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import msgspec
from lightkube.core.exceptions import ApiError
from lightkube.core.exceptions import ConfigError
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported

from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable

LONGEST = 500
"""Characters of the API server's message that are passed on."""

AGAIN = {"Retry-After": "2"}


class NotThere(Exception):
    """The object is not there, or no longer."""


class AlreadyThere(Exception):
    """An object of this name is there already."""


class Outdated(Exception):
    """The object has been changed since it was read, or its kind's history is too short."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise NotThere, AlreadyThere, Outdated or a ToolboxError for what the client raises."""
    try:
        yield
    except ApiError as error:
        raise _of_status(error) from None
    except httpx2.HTTPStatusError as error:
        raise unavailable(f"status {error.response.status_code}") from None
    except (httpx2.HTTPError, httpx2.StreamError, OSError, ConfigError) as error:
        raise unavailable(str(error) or type(error).__name__) from None
    except msgspec.DecodeError as error:
        raise unavailable(f"an object could not be read: {error}") from None


def _of_status(error: ApiError) -> Exception:
    status = error.status
    code, reason = status.code or 0, status.reason or ""
    message = (status.message or reason or f"status {code}")[:LONGEST]
    match code:
        # A missing kind has the status of a missing object, and no reason of its own.
        case 404 if "could not find the requested resource" in message:
            return Unsupported(
                "the cluster lacks the resources of agent-sandbox (Sandbox, SandboxClaim, ...), or "
                "has them in another version than v1beta1"
            )
        case 404:
            return NotThere(message)
        case 409 if reason == "AlreadyExists":
            return AlreadyThere(message)
        case 409 | 410:
            return Outdated(message)
    return _refused(code, message)


def _refused(code: int, message: str) -> ToolboxError:
    match code:
        case 400 | 413 | 422:
            return InvalidValue(f"the cluster refuses the object: {message}")
        # A quota is told from missing rights by the text alone.
        case 403 if "exceeded quota" in message or "must specify" in message:
            return NoCapacity(f"the quota of the namespace: {message}", {"Retry-After": "10"})
        case 403 if "is being terminated" in message:
            return unavailable(message)
        case 403:
            return Refused(f"this control plane lacks rights in the cluster: {message}")
    return unavailable(message)


def unavailable(reason: str) -> Unavailable:
    """Return the error for a cluster that can't do what every cluster can."""
    return Unavailable(f"the cluster does not respond as it should: {reason}", AGAIN)
