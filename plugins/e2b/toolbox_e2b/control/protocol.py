"""The control plane, as a backend offers it."""

from __future__ import annotations

from typing import Protocol

from toolbox_e2b.control.control import Control


class HasControl(Protocol):
    """The part of a backend that the operations of the control plane need."""

    @property
    def control(self) -> Control:
        """The control plane."""

    def domain_for(self, host: str) -> str:
        """Return the domain below which a client that asked for ``host`` reaches sandboxes."""
