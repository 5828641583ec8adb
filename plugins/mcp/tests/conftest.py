"""Fixtures for the tests of the group ``mcp``."""

from __future__ import annotations

import pytest

from toolbox.testing import Service

from .client import McpClient


@pytest.fixture
def mcp(service: Service) -> McpClient:
    """A client of a service with every group."""
    return McpClient(service)
