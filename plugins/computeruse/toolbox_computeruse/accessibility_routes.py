"""The operations on the accessibility tree."""

from __future__ import annotations

from toolbox.group import Operations
from toolbox_computeruse.accessibility.accessibility import check_scope
from toolbox_computeruse.accessibility.models import AccessibilityTree
from toolbox_computeruse.accessibility.models import FindRequest
from toolbox_computeruse.accessibility.models import Found
from toolbox_computeruse.accessibility.models import InvokeRequest
from toolbox_computeruse.accessibility.models import NodeRequest
from toolbox_computeruse.accessibility.models import TreeQuery
from toolbox_computeruse.accessibility.models import ValueRequest
from toolbox_computeruse.accessibility.nodes import parse_id
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.errors import A11yActionNotSupported
from toolbox_computeruse.errors import A11yFailed
from toolbox_computeruse.errors import A11yInvalidRequest
from toolbox_computeruse.errors import A11yInvalidScope
from toolbox_computeruse.errors import A11yNodeNotFound
from toolbox_computeruse.errors import A11yNoRoot
from toolbox_computeruse.errors import A11yUnavailable
from toolbox_computeruse.models import Done

operations = Operations()

TREE_ERRORS = (A11yInvalidScope, A11yInvalidRequest, A11yNoRoot, A11yUnavailable, A11yFailed)
NODE_ERRORS = (
    A11yInvalidRequest,
    A11yActionNotSupported,
    A11yNodeNotFound,
    A11yUnavailable,
    A11yFailed,
)


@operations.get("/computeruse/a11y/tree", errors=TREE_ERRORS)
def get_accessibility_tree(backend: ComputerUseBackend, query: TreeQuery) -> AccessibilityTree:
    """Return the accessibility tree of the active program, one program, or all.

    ``truncated`` is set if it exceeds 20,000 nodes, 200 levels or 20 seconds.
    """
    scope = check_scope(query.scope)
    max_depth = -1 if query.max_depth == "" else query.max_depth
    tree = backend.accessibility.tree(scope, query.pid, max_depth)
    return AccessibilityTree(tree.root, tree.truncated)


@operations.post("/computeruse/a11y/find", errors=TREE_ERRORS)
def find_accessibility_nodes(backend: ComputerUseBackend, body: FindRequest) -> Found:
    """Find nodes by role, name and states, all of which must match."""
    return backend.accessibility.find(body, check_scope(body.scope))


@operations.post("/computeruse/a11y/node/focus", errors=NODE_ERRORS)
def focus_accessibility_node(backend: ComputerUseBackend, body: NodeRequest) -> Done:
    """Give a node the keyboard focus."""
    backend.accessibility.focus(parse_id(body.id))
    return Done()


@operations.post("/computeruse/a11y/node/invoke", errors=NODE_ERRORS)
def invoke_accessibility_node(backend: ComputerUseBackend, body: InvokeRequest) -> Done:
    """Perform an action of a node, such as pressing a button; by default its first one."""
    backend.accessibility.invoke(parse_id(body.id), body.action or "")
    return Done()


@operations.post("/computeruse/a11y/node/value", errors=NODE_ERRORS)
def set_accessibility_node_value(backend: ComputerUseBackend, body: ValueRequest) -> Done:
    """Set the text or number of a node."""
    backend.accessibility.set_value(parse_id(body.id), body.value or "")
    return Done()
