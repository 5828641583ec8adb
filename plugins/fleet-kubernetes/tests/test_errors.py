"""The API server's refusals are errors that clients understand."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import Status
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.errors import translated

from toolbox.errors import Unavailable


def refusal(code: int, reason: str, message: str) -> ApiError:
    return ApiError(status=Status(code=code, reason=reason, message=message))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal(404, "NotFound", 'sandboxes.agents.x-k8s.io "x" not found'), NotThere),
        (
            refusal(404, "NotFound", "the server could not find the requested resource"),
            Unsupported,
        ),
        (refusal(409, "AlreadyExists", "it is there"), AlreadyThere),
        (refusal(409, "Conflict", "the object has been modified"), Outdated),
        (refusal(410, "Expired", "too old resource version"), Outdated),
        (refusal(403, "Forbidden", "exceeded quota: few, requested: pods=1"), NoCapacity),
        (refusal(403, "Forbidden", 'User "x" cannot create resource "secrets"'), Refused),
        (refusal(422, "Invalid", "metadata.annotations: Too long"), InvalidValue),
        (refusal(429, "TooManyRequests", "later"), Unavailable),
        (refusal(500, "InternalError", "etcdserver: request timed out"), Unavailable),
        (httpx2.ConnectError("refused"), Unavailable),
        (httpx2.ReadTimeout("slow"), Unavailable),
    ],
)
def test_a_failure_has_its_type(error: Exception, expected: type[Any]) -> None:
    with pytest.raises(expected), translated():
        raise error


def test_a_client_knows_when_to_try_again() -> None:
    with pytest.raises(Unavailable) as raised, translated():
        raise httpx2.ConnectError("refused")
    assert "Retry-After" in raised.value.headers
