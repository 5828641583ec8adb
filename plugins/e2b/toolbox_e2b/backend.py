"""The Protocol of a backend of the group ``e2b``."""

from __future__ import annotations

from typing import Protocol

from toolbox_e2b.connect.protocol import HasStreams
from toolbox_e2b.control.protocol import HasControl
from toolbox_e2b.engines import InfoEngine
from toolbox_e2b.filesystem.protocol import HasFiles
from toolbox_e2b.process.protocol import HasProcesses


class E2bBackend(HasProcesses, HasFiles, HasControl, HasStreams, Protocol):
    """Holds what E2B's wire knows and the groups below don't: pids, tags and watchers.

    What a group that is not served would do raises NotSupported.
    """

    @property
    def info(self) -> InfoEngine:
        """The backend of the group ``info``. Raises NotSupported."""
