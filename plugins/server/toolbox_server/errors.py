"""Errors of the group ``server``."""

from __future__ import annotations

from toolbox.errors import BadRequest


class InvalidVariable(BadRequest):
    """A name or value that no process can have in its environment."""
