"""One running language server: its life from initialize to exit, and what it tells unasked."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import toolbox
from toolbox.errors import ToolboxError
from toolbox.loop import Loop
from toolbox_lsp.connection import Connection
from toolbox_lsp.errors import FeatureMissing
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.process import ServerProcess
from toolbox_lsp.published import PublishedDiagnostics
from toolbox_lsp.settings import LanguageServerSpec
from toolbox_lsp.watchers import Watchers
from toolbox_lsp.watching import Changes

GRACE = 2.0
"""Seconds a server gets for shutdown, and again for exit, before it is ended by force."""
NOTICING = 5.0
"""Seconds a server that is asked for diagnostics has to take in that files have changed."""
RETRIES = 3
RETRY_DELAY = 0.1
CONTENT_MODIFIED = -32801
SERVER_CANCELLED = -32802

log = logging.getLogger("toolbox")

_DOCUMENTATION = ["markdown", "plaintext"]
CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "synchronization": {"didSave": True},
        # No snippets: the answer has no place to tell one from plain text.
        "completion": {
            "contextSupport": True,
            "completionItem": {"documentationFormat": _DOCUMENTATION, "preselectSupport": True},
        },
        "documentSymbol": {
            "hierarchicalDocumentSymbolSupport": False,
            "symbolKind": {"valueSet": list(range(1, 27))},
        },
        "hover": {"contentFormat": _DOCUMENTATION},
        "definition": {"linkSupport": True},
        "references": {},
        "rename": {"prepareSupport": False},
        "formatting": {},
        "publishDiagnostics": {"versionSupport": True},
        "diagnostic": {},
    },
    "workspace": {
        "didChangeWatchedFiles": {"dynamicRegistration": True, "relativePatternSupport": True},
        "diagnostics": {"refreshSupport": True},
        "symbol": {"symbolKind": {"valueSet": list(range(1, 27))}},
        "configuration": True,
        "workspaceFolders": True,
        "didChangeConfiguration": {},
        "workspaceEdit": {"documentChanges": True},
    },
    "window": {"workDoneProgress": True},
}
"""What we can do, LSP 3.17."""


class LanguageServer:
    """A process that speaks the Language Server Protocol. *Any thread.*

    Raises ServerFailed if it can't be started; it is of use after :meth:`initialize`.
    """

    def __init__(self, spec: LanguageServerSpec, root: Path, loop: Loop, timeout: float) -> None:
        self._spec = spec
        self._root = root
        self._timeout = timeout
        self._broken = ""
        self._initialized = False
        self.capabilities: dict[str, Any] = {}
        self.published = PublishedDiagnostics()
        self.revision = 0
        """How often it was told of files that have changed."""
        self._telling = threading.Lock()
        self._told = 0.0
        self._refreshed = 0
        self._watchers = Watchers(root)
        self._changes = Changes(root, self._watchers)
        self._process = ServerProcess(spec.command, root, loop)
        self.name = self._process.name
        self.pid = self._process.pid
        self._connection = Connection(*self._process.pipes(), loop, self, self.name)
        self._connection.start()

    @property
    def running(self) -> bool:
        """Whether it can be asked."""
        return not self._broken and self._process.running()

    def initialize(self, timeout: float) -> None:
        """Shake hands. Raises ServerFailed and ServerTimeout; then it is of no more use."""
        params = {
            "processId": os.getpid(),
            "clientInfo": {"name": "sandbox-toolbox", "version": toolbox.__version__},
            "rootPath": str(self._root),
            "rootUri": self._root.as_uri(),
            "workspaceFolders": self._folders(),
            "capabilities": CAPABILITIES,
            "initializationOptions": self._spec.initialization_options or None,
        }
        try:
            result = self._connection.request("initialize", params, timeout)
        except RequestRefused as error:
            raise ServerFailed(f"{self.name} can't be initialised: {error.message}") from None
        capabilities = result.get("capabilities") if isinstance(result, dict) else None
        if not isinstance(capabilities, dict):
            raise ServerFailed(f"{self.name} does not tell what it can do")
        self.capabilities = capabilities
        self.notify("initialized", {})
        if self._spec.settings:
            self.notify("workspace/didChangeConfiguration", {"settings": self._spec.settings})
        self._initialized = True

    def can(self, capability: str) -> bool:
        """Whether it announced ``capability``, as ``hoverProvider``."""
        # An empty object of options is as good as true.
        return self.capabilities.get(capability) not in (None, False)

    def demand(self, capability: str) -> None:
        """Raises FeatureMissing if it did not announce ``capability``."""
        if not self.can(capability):
            raise FeatureMissing(f"{self.name} has no {capability}")

    def request(self, method: str, params: Any) -> Any:
        """The result of a request. Raises as :meth:`Connection.request`.

        Asks again if the server says that it was only busy with a change.
        """
        for attempt in range(RETRIES):
            try:
                return self._connection.request(method, params, self._timeout)
            except RequestRefused as error:
                busy = error.rpc_code in (CONTENT_MODIFIED, SERVER_CANCELLED)
                if not busy or attempt == RETRIES - 1:
                    raise
                time.sleep(RETRY_DELAY)
        raise AssertionError("unreachable")

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._connection.notify(method, params)

    def tell_changes(self, *, thoroughly: bool = False) -> bool:
        """Tell what has changed on disk; false if there may be more than is known.

        ``thoroughly`` as of :meth:`Changes.take`.
        """
        with self._telling:
            changes = self._changes.take(thoroughly=thoroughly)
            if changes:
                self.notify("workspace/didChangeWatchedFiles", {"changes": changes})
                self.revision += 1
                self._told = time.monotonic()
                self._refreshed = self.published.refreshed
        return self._changes.whole

    def has_noticed(self, wait: float) -> bool:
        """Wait until it has taken in what it was told of files that have changed; whether it did.

        It says so by wanting to be asked again; one that never says it gets :data:`NOTICING`.
        """
        deadline = time.monotonic() + wait
        if not self.revision:
            return True
        late = self._told + NOTICING
        timeout = max(0.0, min(deadline, late) - time.monotonic())
        return self.published.wait_for_refresh(self._refreshed, timeout) or late <= time.monotonic()

    def close(self) -> None:
        """End it as the protocol says, by force if it takes too long; all of it is gone then."""
        if self._initialized and self.running:
            try:
                self._connection.request("shutdown", None, GRACE)
            except ToolboxError as error:
                log.info("%s did not shut down: %s", self.name, error.message)
        self.notify("exit", None)
        self._connection.close()
        if not self._process.wait(GRACE if self._initialized else 0):
            self._process.signal(signal.SIGTERM)
            self._process.wait(GRACE / 2)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.signal(signal.SIGKILL)
        self._connection.join(2 * GRACE)

    # The connection's peer

    def answer(self, method: str, params: Any) -> Any:
        match method:
            case "workspace/configuration":
                return [self._setting(item) for item in params["items"]]
            case "workspace/workspaceFolders":
                return self._folders()
            case "workspace/applyEdit":
                return {"applied": False, "failureReason": "nobody asked for it"}
            case "window/showDocument":
                return {"success": False}
            case "client/registerCapability":
                self._watchers.register(params)
                self._changes.note_places()
                return None
            case "client/unregisterCapability":
                self._watchers.unregister(params)
                return None
            case "workspace/diagnostic/refresh":
                self.published.refresh()
                return None
            case "window/showMessageRequest" | "window/workDoneProgress/create":
                return None
        if method.startswith("workspace/") and method.endswith("/refresh"):
            return None
        raise LookupError(method)

    def notice(self, method: str, params: Any) -> None:
        if method == "textDocument/publishDiagnostics":
            self.published.publish(params)

    def broken(self, reason: str) -> None:
        self._broken = self._broken or reason
        self._process.signal(signal.SIGKILL)

    def ended(self) -> str:
        how = self._process.finish(GRACE)
        self.published.end()
        if self._broken and self._process.killed:
            return f"{self.name} had to be ended: {self._broken}"
        return how

    def _folders(self) -> list[dict[str, str]]:
        return [{"uri": self._root.as_uri(), "name": self._root.name}]

    def _setting(self, item: dict[str, Any]) -> Any:
        """The part of the settings a server asks for: ``python.analysis`` is nested or flat."""
        section = item.get("section") or ""
        found: Any = self._spec.settings
        if not section or section in found:
            return found.get(section, found)
        for name in section.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found
