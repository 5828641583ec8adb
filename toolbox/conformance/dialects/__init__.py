"""The tables of each dialect. To add one, write its module and name it here."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from toolbox.conformance.cases import Table
from toolbox.conformance.dialects import agentsandbox
from toolbox.conformance.dialects import e2b
from toolbox.conformance.dialects import e2b_files
from toolbox.conformance.dialects import files
from toolbox.conformance.dialects import git
from toolbox.conformance.dialects import mcp
from toolbox.conformance.dialects import mcp_tools
from toolbox.conformance.dialects import process
from toolbox.conformance.dialects import pty
from toolbox.conformance.dialects import sessions
from toolbox.conformance.dialects import swerex

DIALECTS: Mapping[str, Sequence[Table]] = {
    "agentsandbox": agentsandbox.TABLES,
    "daytona": (*process.TABLES, *sessions.TABLES, *pty.TABLES, *files.TABLES, *git.TABLES),
    "e2b": (*e2b.TABLES, *e2b_files.TABLES),
    "mcp": (*mcp.TABLES, *mcp_tools.TABLES),
    "swerex": swerex.TABLES,
}
