"""Fixtures for every test of the repository, the plugins' too."""

from __future__ import annotations

pytest_plugins = ["toolbox.testing"]
