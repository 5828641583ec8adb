"""A backend whose sandboxes are services that a test has started: a file lists them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.sandboxes import State
from toolbox_fleet.plane import Plane
from toolbox_fleet.single.backend import SingleFleet
from toolbox_fleet.single.settings import SingleSettings

from toolbox import hookimpl
from toolbox.lifecycle import Context
from toolbox.plugins import BackendSpec
from toolbox.plugins import NoSettings


class Listed(msgspec.Struct):
    """One sandbox in the file."""

    port: int
    token: str
    state: State = "started"
    public: bool = False
    at_root: bool = False
    accepts_callers: bool = False
    own_network: bool = False
    auto_pause_interval: int = 0


class ListedFleet(SingleFleet):
    def __init__(self, settings: NoSettings, context: Context) -> None:
        super().__init__(SingleSettings(), context)
        self._file = Path(os.environ["LISTED"])
        self.plane = Plane(self, context)

    def _listed(self) -> dict[str, Listed]:
        return msgspec.convert(json.loads(self._file.read_text()), dict[str, Listed])

    def sandbox(self, key: str) -> Sandbox:
        found = self._listed().get(key)
        if found is None:
            raise NoSuchSandbox("sandbox not found: none has this id or name")
        return msgspec.structs.replace(
            self._record,
            id=key,
            name=key,
            state=found.state,
            public=found.public,
            auto_pause_interval=found.auto_pause_interval,
        )

    def sandboxes(self) -> Iterable[Sandbox]:
        return [self.sandbox(key) for key in self._listed()]

    def upstream(self, key: str) -> Upstream:
        found = self._listed()[key]
        if found.state != "started":
            raise WrongState("not now")
        return Upstream(
            host="127.0.0.1",
            port=found.port,
            token=found.token,
            at_root=found.at_root,
            accepts_callers=found.accepts_callers,
            own_network=found.own_network,
        )

    def delete(self, key: str) -> Sandbox:
        sandbox = self.sandbox(key)
        old = sandbox.state
        sandbox = msgspec.structs.replace(sandbox, state="destroying")
        self.plane.report(Event(kind="state", sandbox=sandbox, old=old, new="destroying"))
        return sandbox


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    target = "listed:ListedFleet"
    return [BackendSpec(group="fleet", name="listed", target=target, summary="listed in a file")]
