"""The backend ``local``: the backends of the other groups of this service."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from toolbox.handover.parcel import Parcel
from toolbox.lifecycle import Context
from toolbox.settings import NoSettings
from toolbox.threads import Gate
from toolbox_e2b.control.control import Control
from toolbox_e2b.engines import FilesEngine
from toolbox_e2b.engines import InfoEngine
from toolbox_e2b.engines import files_of
from toolbox_e2b.engines import info_of
from toolbox_e2b.errors import Exhausted
from toolbox_e2b.filesystem.watchers import Watchers
from toolbox_e2b.process.handover import FORMAT
from toolbox_e2b.process.handover import State
from toolbox_e2b.process.processes import Processes
from toolbox_e2b.settings import E2bSettings


class LocalE2b:
    """See :class:`toolbox_e2b.backend.E2bBackend`."""

    handover_format = FORMAT

    def __init__(self, settings: NoSettings, context: Context) -> None:
        group: E2bSettings = context.group_settings
        self._context = context
        # Each stream has a thread.
        self._streams = Gate(group.max_streams, lambda: _too_many(group.max_streams))
        self.stopping = context.stopping
        self.processes = Processes(context)
        if context.parcel is not None and "e2b" in context.parcel.contents:
            state = msgspec.msgpack.decode(context.parcel.contents["e2b"], type=State)
            self.processes.restore(state)
        self._domain = group.domain
        self.control = Control(context, group.template)
        self.watchers = Watchers(context, group.max_watchers)

    @property
    def files(self) -> FilesEngine:
        return files_of(self._context)

    @property
    def info(self) -> InfoEngine:
        return info_of(self._context)

    def domain_for(self, host: str) -> str:
        if self._domain:
            return self._domain
        # The control plane's own name tells it: api.<domain>.
        return host.removeprefix("api.") if host.startswith("api.") else ""

    def enter_stream(self) -> Callable[[], object]:
        self._streams.enter()
        return self._streams.leave

    def hand_over(self, parcel: Parcel) -> bytes:
        """Let go of what runs. A :class:`toolbox.plugins.capabilities.HandsOver`."""
        self.close()
        return msgspec.msgpack.encode(self.processes.export())

    def close(self) -> None:
        """Stop watching; processes are ended by their own group."""
        self.watchers.close()


def _too_many(limit: int) -> Exhausted:
    return Exhausted(f"too many streams (limit {limit})")
