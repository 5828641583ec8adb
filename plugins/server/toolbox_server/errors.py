"""What can go wrong in the group ``server``."""

from __future__ import annotations

from toolbox.errors import BadRequest


class InvalidVariable(BadRequest):
    """No process could be started with such a name or value in its environment."""
