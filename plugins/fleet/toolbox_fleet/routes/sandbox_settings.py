"""Settings of sandboxes: intervals, labels, network, secrets, activity; and their metrics."""

from __future__ import annotations

import time

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox_fleet.backend import CanIsolateNetwork
from toolbox_fleet.backend import CanPause
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasMetrics
from toolbox_fleet.backend import HasSecrets
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.metrics import Metrics
from toolbox_fleet.models.metrics import MetricsQuery
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import Labels
from toolbox_fleet.models.sandboxes import LastActivity
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.sandboxes import SandboxSecrets
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import check_labels
from toolbox_fleet.names import check_text
from toolbox_fleet.plane import plane_of
from toolbox_fleet.routes.abilities import able
from toolbox_fleet.routes.presenting import present
from toolbox_fleet.routes.sandboxes import CHANGED
from toolbox_fleet.routes.sandboxes import ONE
from toolbox_fleet.times import format_time
from toolbox_fleet.times import parse_time

operations = Operations()

SET = (*CHANGED, InvalidValue)

LONGEST = 5_000_000
"""Minutes of an interval at most: nine years."""


@operations.post(f"{ONE}/autostop/{{minutes}}", errors=SET)
def set_autostop_interval(
    backend: FleetBackend, sandbox_id: str, minutes: float, request: RequestInfo
) -> Sandbox:
    """Set the minutes without activity after which a sandbox is stopped; 0 for never."""
    changes = Changes(auto_stop_interval=_minutes(minutes))
    return _change(backend, sandbox_id, changes, request)


@operations.post(f"{ONE}/autopause/{{minutes}}", errors=SET)
def set_autopause_interval(
    backend: FleetBackend, sandbox_id: str, minutes: float, request: RequestInfo
) -> Sandbox:
    """Set the minutes without activity after which a sandbox is paused; 0 for never."""
    changes = Changes(auto_pause_interval=_minutes(minutes))
    if minutes:
        able(backend, CanPause)
    return _change(backend, sandbox_id, changes, request)


@operations.post(f"{ONE}/autoarchive/{{minutes}}", errors=SET)
def set_autoarchive_interval(
    backend: FleetBackend, sandbox_id: str, minutes: float, request: RequestInfo
) -> Sandbox:
    """Set the minutes in the state ``stopped`` after which a sandbox is archived; 0 for never."""
    changes = Changes(auto_archive_interval=_minutes(minutes))
    return _change(backend, sandbox_id, changes, request)


@operations.post(f"{ONE}/autodelete/{{minutes}}", errors=SET)
def set_autodelete_interval(
    backend: FleetBackend, sandbox_id: str, minutes: float, request: RequestInfo
) -> Sandbox:
    """Set the minutes in the state ``stopped`` after which a sandbox is deleted; -1 for never."""
    changes = Changes(auto_delete_interval=_minutes(max(minutes, -1), least=-1))
    return _change(backend, sandbox_id, changes, request)


@operations.post(f"{ONE}/ttl/{{minutes}}", errors=SET)
def set_ttl(
    backend: FleetBackend, sandbox_id: str, minutes: float, request: RequestInfo
) -> Sandbox:
    """Delete a sandbox in so many minutes from now, in any state; 0 for never."""
    # The record has the end, not the minutes: the time counts from now.
    end = format_time(time.time() + 60 * _minutes(minutes)) if minutes else None
    return _change(backend, sandbox_id, Changes(auto_destroy_at=end), request)


@operations.put(f"{ONE}/labels", errors=SET)
def replace_labels(backend: FleetBackend, sandbox_id: str, body: Labels) -> Labels:
    """Replace all labels of a sandbox."""
    check_labels(body.labels)
    return Labels(backend.change(sandbox_id, Changes(labels=body.labels)).labels)


@operations.post(f"{ONE}/public/{{is_public}}", errors=SET)
def update_public_status(
    backend: FleetBackend, sandbox_id: str, is_public: str, request: RequestInfo
) -> Sandbox:
    """Open the preview URLs of a sandbox to everybody (``true``), or not (``false``)."""
    if is_public not in ("true", "false"):
        raise InvalidValue("the end of the path must be true or false")
    changes = Changes(public=is_public == "true")
    return _change(backend, sandbox_id, changes, request)


@operations.post(f"{ONE}/last-activity", status=201, errors=SET)
def update_last_activity(
    backend: FleetBackend, sandbox_id: str, body: LastActivity | None = None
) -> None:
    """Note an activity of a sandbox, which postpones what happens without one."""
    # A time in the future would keep a sandbox for ever.
    given = body.last_activity_at if body else None
    moment = min(parse_time(given), time.time()) if given else None
    changed = backend.change(sandbox_id, Changes(last_activity_at=format_time(moment)))
    plane_of(backend).changed(changed)


@operations.post(f"{ONE}/network-settings", errors=(*SET, Unsupported))
def update_network_settings(
    backend: FleetBackend, sandbox_id: str, body: NetworkSettings, request: RequestInfo
) -> Sandbox:
    """Change what a sandbox may reach."""
    check_text(networkAllowList=body.network_allow_list, domainAllowList=body.domain_allow_list)
    # First, so that a missing sandbox is 404 whatever is asked for.
    sandbox = backend.sandbox(sandbox_id)
    changed = able(backend, CanIsolateNetwork).set_network(sandbox.id, body)
    return present(backend, changed, request)


@operations.put(f"{ONE}/secrets", errors=(*SET, NoSuchResource, Unsupported))
def update_sandbox_secrets(
    backend: FleetBackend, sandbox_id: str, body: SandboxSecrets, request: RequestInfo
) -> Sandbox:
    """Replace the secrets of a sandbox."""
    for secret in body.secrets:
        check_environment(secret)
    changed = able(backend, HasSecrets).set_secrets(sandbox_id, body.secrets)
    return present(backend, changed, request)


@operations.get(f"{ONE}/telemetry/metrics", errors=(NoSuchSandbox, InvalidValue, Unsupported))
def get_sandbox_metrics(backend: FleetBackend, sandbox_id: str, query: MetricsQuery) -> Metrics:
    """Return the resources that a sandbox used in a range of time."""
    start, end = parse_time(query.start), parse_time(query.end)
    if start > end:
        raise InvalidValue("from is after to")
    series = able(backend, HasMetrics).metrics(sandbox_id, start, end)
    wanted = query.metric_names
    return Metrics([one for one in series if not wanted or one.metric_name in wanted])


def _change(
    backend: FleetBackend, sandbox_id: str, changes: Changes, request: RequestInfo
) -> Sandbox:
    changed = backend.change(sandbox_id, changes)
    # Whatever was due by the old intervals may be due at another time now.
    plane_of(backend).changed(changed)
    return present(backend, changed, request)


def _minutes(given: float, least: int = 0) -> int:
    # The client's intervals are numbers, so 1.0 is one minute; there are no parts of a minute.
    if not least <= given <= LONGEST or given != int(given):
        raise InvalidValue(f"an interval is a whole number of minutes, {least} to {LONGEST}")
    return int(given)
