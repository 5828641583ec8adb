"""Lists of sandboxes: filters, order and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from urllib.parse import unquote

from toolbox_e2b.control.control import state_of
from toolbox_e2b.control.models import Detail
from toolbox_e2b.control.models import ListQuery
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.settings import ENVD_VERSION

if TYPE_CHECKING:
    from toolbox_fleet.models.sandboxes import Sandbox

NEVER = "2199-01-01T00:00:00.000Z"
"""The end of a sandbox without one, as the field is required."""

OWN_LABELS = ("code-toolbox-language",)
"""Labels of the group ``fleet``, which are no metadata of the client."""


def page(sandboxes: list[Sandbox], query: ListQuery) -> tuple[list[Detail], str]:
    """Return a page of sandboxes, and the token of the next, empty after the last.

    Raises InvalidArgument.
    """
    if query.order not in ("asc", "desc"):
        raise InvalidArgument("order must be asc or desc")
    # By the id, too: several may have been created in the same moment.
    found = sorted(
        (sandbox for sandbox in sandboxes if _fits(sandbox, query)),
        key=_place,
        reverse=query.order == "desc",
    )
    # Times of equal form sort as text does.
    if query.next_token:
        found = [each for each in found if _is_after(_token(each), query)]
    rest = found[query.limit :]
    shown = found[: query.limit]
    return [detail(sandbox) for sandbox in shown], _token(shown[-1]) if rest else ""


def _place(sandbox: Sandbox) -> tuple[str, str]:
    return sandbox.created_at, sandbox.id


def _token(sandbox: Sandbox) -> str:
    # The place in the order and not a number: sandboxes come and go between two pages.
    return "_".join(_place(sandbox))


def _is_after(token: str, query: ListQuery) -> bool:
    return token > query.next_token if query.order == "asc" else token < query.next_token


def _fits(sandbox: Sandbox, query: ListQuery) -> bool:
    states = [state for state in query.state.split(",") if state]
    if states and state_of(sandbox) not in states:
        return False
    if query.template and query.template != (sandbox.snapshot or "base"):
        return False
    if query.started_after and sandbox.created_at < query.started_after:
        return False
    # Clients encode names and values twice. A value may be empty.
    pairs = parse_qsl(query.metadata, keep_blank_values=True)
    wanted = {unquote(name): unquote(value) for name, value in pairs}
    return all(sandbox.labels.get(name) == value for name, value in wanted.items())


def detail(sandbox: Sandbox, token: str = "", domain: str = "") -> Detail:
    """Return a sandbox as it is listed, or with ``token`` and ``domain`` as one is shown."""
    # Without a snapshot it was made of the fleet's default, which clients know by this name.
    template = sandbox.snapshot or "base"
    return Detail(
        template=template,
        alias=template,
        id=sandbox.id,
        client="toolbox",
        started_at=sandbox.created_at,
        end_at=sandbox.auto_destroy_at or NEVER,
        cpu_count=sandbox.cpu,
        memory=sandbox.memory * 1024,
        disk=sandbox.disk * 1024,
        state=state_of(sandbox) or "running",
        version=ENVD_VERSION,
        metadata={name: value for name, value in sandbox.labels.items() if name not in OWN_LABELS},
        token=token or None,
        domain=domain or None,
    )
