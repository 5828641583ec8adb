"""A plugin that brings a group of a name that is taken."""

from __future__ import annotations

from greeter import group

from toolbox import hookimpl
from toolbox.group import Group


@hookimpl
def toolbox_group() -> Group:
    """Bring it again."""
    return group
