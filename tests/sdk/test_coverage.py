"""The published document has every operation that the official client can call."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import daytona_toolbox_api_client.api as client

from toolbox.testing import Service


def called_by_the_client() -> set[tuple[str, str]]:
    """``(method, path)`` of every operation of the generated client."""
    found = set()
    for module in pkgutil.iter_modules(client.__path__):
        source = inspect.getsource(importlib.import_module(f"{client.__name__}.{module.name}"))
        calls = re.findall(r"method='(\w+)',\s+resource_path='([^']+)'", source)
        found |= {(method, _anonymous(path)) for method, path in calls}
    return found


def _anonymous(path: str) -> str:
    """``path`` with its parameters' names left out, which are anybody's choice."""
    return re.sub(r"\{\w+\}", "{}", path)


def test_every_operation_of_the_client_is_in_the_document(service: Service) -> None:
    # AC-96
    paths = service.http.get("/openapi.json").json()["paths"]
    ours = {(method.upper(), _anonymous(path)) for path, item in paths.items() for method in item}
    called = called_by_the_client()
    assert len(called) > 100
    assert called - ours == set()
