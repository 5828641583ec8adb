"""The table of methods in ``docs/clients.rst`` has each that reaches the control plane."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import daytona
import docutils.core
import pytest
from docutils import nodes

PAGE = Path(__file__).parents[3] / "docs" / "clients.rst"
SOURCES = ("daytona", "sandbox", "snapshot", "volume", "secret", "warm_pool")
OWN_APIS = {"info", "server", "system", "toolbox"}
"""Those of a sandbox, which the control plane only relays."""

ELSEWHERE = {
    "_experimental_create_snapshot",
    "_experimental_fork",
    "create_lsp_server",
    "get_metrics_latest",
    "get_user_home_dir",
    "get_user_root_dir",
    "get_work_dir",
    "update_env",
}
"""Methods of the TypeScript SDK that reach the sandbox itself, or are old names of others."""
INTERNAL = {
    "apply_state",
    "build_analytics_telemetry_api",
    "call_with_resolved_id",
    "check_state_waiter",
    "constructor",
    "ensure_signing_key",
    "ensure_subscribed",
    "ensure_toolbox_proxy_url",
    "handle_event",
    "process_sandbox_dto",
    "refresh_data_safe",
    "remove_state_waiter",
    "subscribe_to_events",
    "wait_for_snapshot_complete",
    "wait_for_state",
}
"""Private methods of the TypeScript SDK: JavaScript doesn't tell."""
OTHER_NAMES = {
    "get_signed_preview_url": "create_signed_preview_url",
    "wait_until_started": "wait_for_sandbox_start",
    "wait_until_stopped": "wait_for_sandbox_stop",
}
"""Methods that the TypeScript SDK has under other names than the Python SDK."""

LIST = """
import * as sdk from '@daytona/sdk'
const client = new sdk.Daytona({ apiKey: 'none', apiUrl: 'http://127.0.0.1:9' })
const classes = { '': sdk.Daytona, sandbox: sdk.Sandbox, snapshot: client.snapshot.constructor,
    volume: client.volume.constructor, secret: client.secret.constructor,
    warm_pool: client.warmPool.constructor }
for (const [name, each] of Object.entries(classes))
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(each.prototype)))
        if (typeof value === 'function') console.log(`${name || 'daytona'}.${key}`)
process.exit()
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def listed() -> set[str]:
    """Return the methods that the page lists, as ``sandbox.stop``."""
    document = docutils.core.publish_doctree(PAGE.read_text())
    for table in document.findall(nodes.table):
        head = next(table.findall(nodes.thead)).astext().split("\n\n")
        if "Method" in head:
            cells = (next(row.findall(nodes.entry)) for row in table.findall(nodes.row))
            found = [literal.astext() for cell in cells for literal in cell.findall(nodes.literal)]
            assert len(found) == len(set(found))
            return set(found)
    raise AssertionError("the page has no table of methods")


def functions(kind: str) -> Iterator[tuple[str, dict[str, Function]]]:
    """Yield the module and the methods of each class of the SDK ``kind``."""
    for module in SOURCES:
        source = Path(daytona.__file__).parent / kind / f"{module}.py"
        for node in ast.parse(source.read_text()).body:
            if isinstance(node, ast.ClassDef):
                yield (
                    module,
                    {each.name: each for each in node.body if isinstance(each, Function)},
                )


def calls(function: Function) -> Iterator[tuple[str, str]]:
    """Yield the object and the method of each call: ``("self", "refresh_data")``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            yield name, node.attr


def reaches(function: Function, known: set[str]) -> bool:
    """Report whether a method uses an API of the control plane, or a method that does."""
    for owner, name in calls(function):
        if owner.endswith("_api") and owner.strip("_").removesuffix("_api") not in OWN_APIS:
            return True
        if owner in ("self", "sandbox") and name in known:
            return True
    return False


def reaching(kind: str) -> set[str]:
    """Return the public methods of the SDK ``kind`` that reach the control plane."""
    found = set()
    for module, methods in functions(kind):
        known: set[str] = {"start", "stop", "delete"} if module == "daytona" else set()
        while True:
            more = {name for name, each in methods.items() if reaches(each, known)} - known
            if not more:
                break
            known |= more
        public = {name for name in known & set(methods) if not name.startswith("_")}
        # A helper of two classes, which no program calls.
        public.discard("process_image_context")
        found |= {f"{module}.{name}" for name in public}
    return found


@pytest.mark.parametrize("kind", ["_sync", "_async"])
def test_the_table_is_complete(kind: str) -> None:
    found = reaching(kind)
    assert len(found) > 50
    assert found == listed()


def test_the_table_has_what_typescript_has(typescript_sdk: Path) -> None:
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", LIST],
        cwd=typescript_sdk,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = set()
    for line in done.stdout.split():
        module, _, name = line.partition(".")
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        if name not in ELSEWHERE | INTERNAL:
            found.add(f"{module}.{OTHER_NAMES.get(name, name)}")
    assert len(found) > 50
    # Python's has it only in the sandbox.
    assert found - listed() == {"daytona.fork"}
