"""Programs of the launchers on this machine."""

from __future__ import annotations

from pathlib import Path

from toolbox.handover.adopted import processes
from toolbox.handover.parcel import Parcel
from toolbox.linux.procfs import stat_fields
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Launcher
from toolbox_process.handover.models import ChildState
from toolbox_process.launchers.child import LocalChild
from toolbox_process.launchers.plain import PlainLauncher
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.launchers.wrapped import WrappedChild
from toolbox_process.linux.bounds import Bounds
from toolbox_process.linux.groups import Group
from toolbox_process.linux.marks import Mark


def can_hand_over(launcher: Launcher) -> bool:
    """Report whether the programs of a launcher can be handed over: those of our own can."""
    return isinstance(launcher, PlainLauncher)


def pack_child(child: Child, parcel: Parcel) -> ChildState | None:
    """Let go of a program, and return its state; None if only its launcher knows it."""
    if not isinstance(child, LocalChild):
        return None
    standing = child.standing()
    pid = child.process.pid
    started = 0
    if standing.status is None:
        started = int(stat_fields(pid)[19])
        parcel.pids.add(pid)
    device = standing.device
    return ChildState(
        pid=pid,
        started=started,
        status=standing.status,
        mark=(child.mark.job_id, child.mark.number, child.mark.since),
        terminal=parcel.add(device.fd) if device else -1,
        slave=parcel.add(device.slave) if device and device.slave >= 0 else -1,
        init=standing.init,
        applied=dict(child.applied),
        groups={name: str(path) for name, path in standing.groups.items()},
    )


def unpack_child(launcher: Launcher, state: ChildState, parcel: Parcel) -> LocalChild:
    """Return the program. Raises TypeError if the launcher is not one of ours any more."""
    if not isinstance(launcher, PlainLauncher):
        raise TypeError("the launcher was replaced by one that knows no programs of others")
    process = processes.adopt(state.pid, state.started, state.status)
    device = None
    if state.terminal >= 0:
        slave = parcel.take(state.slave) if state.slave >= 0 else -1
        device = PtyDevice.of(parcel.take(state.terminal), slave)
    mark, host = Mark(*state.mark), launcher.host
    child = (
        WrappedChild(host, process, mark, device, state.init)
        if state.init
        else LocalChild(host, process, mark, device)
    )
    if state.applied:
        group = Group({name: Path(path) for name, path in state.groups.items()})
        child.bind(Bounds(state.applied, (), group, host.groups))
    return child
