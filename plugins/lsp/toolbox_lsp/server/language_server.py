"""A running language server, from ``initialize`` to ``exit``."""

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
from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox_lsp.errors import FeatureMissing
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.server.capabilities import CAPABILITIES
from toolbox_lsp.server.connection import Connection
from toolbox_lsp.server.process import ServerProcess
from toolbox_lsp.server.published import PublishedDiagnostics
from toolbox_lsp.settings import LanguageServerSpec
from toolbox_lsp.watch.changes import DiskChanges
from toolbox_lsp.watch.watchers import Watchers

GRACE = 2.0
"""Seconds a server gets for ``shutdown``, and again to exit, before it is killed."""
REFRESH_TIMEOUT = 5.0
"""Seconds within which a server requests a refresh after files have changed, if it does at all."""
ATTEMPTS = 3
"""Attempts at a request that the server refuses because a document has just changed."""
RETRY_DELAY = 0.1
"""Seconds between two of them."""
CONTENT_MODIFIED = -32801
SERVER_CANCELED = -32802

log = logging.getLogger("toolbox")


class LanguageServer:
    """A process that speaks the Language Server Protocol. *Any thread.*

    Raises ServerFailed if it can't be started. Call :meth:`initialize` first.
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
        """Number of notifications of changed files that were sent to it."""
        self._sending = threading.Lock()
        self._sent_at = 0.0
        self._refreshed_before = 0
        self._watchers = Watchers(root)
        self._changes = DiskChanges(root, self._watchers)
        self._process = ServerProcess(spec.command, root, loop)
        self.name = self._process.name
        self.pid = self._process.pid
        self._connection = Connection(*self._process.pipes(), loop, self, self.name)
        self._connection.start()

    @property
    def running(self) -> bool:
        """True while it accepts requests."""
        return not self._broken and self._process.running()

    def initialize(self, timeout: float) -> None:
        """Perform the handshake. Raises ServerFailed and ServerTimeout: it is unusable then."""
        params = {
            # Servers exit when this process does.
            "processId": os.getpid(),
            "clientInfo": {"name": "sandbox-toolbox", "version": toolbox.__version__},
            # Deprecated by rootUri, but some servers know only this.
            "rootPath": str(self._root),
            "rootUri": self._root.as_uri(),
            "workspaceFolders": self._folders(),
            "capabilities": CAPABILITIES,
            "initializationOptions": self._spec.initialization_options or None,
        }
        try:
            result = self._connection.request("initialize", params, timeout)
        except RequestRefused as error:
            raise ServerFailed(f"{self.name} can't be initialized: {error.message}") from None
        capabilities = result.get("capabilities") if isinstance(result, dict) else None
        if not isinstance(capabilities, dict):
            raise ServerFailed(f"{self.name} announced no capabilities")
        self.capabilities = capabilities
        self.notify("initialized", {})
        # For servers that don't pull them by workspace/configuration.
        if self._spec.settings:
            self.notify("workspace/didChangeConfiguration", {"settings": self._spec.settings})
        self._initialized = True

    def can(self, capability: str) -> bool:
        """Report whether it announced ``capability``, such as ``hoverProvider``."""
        # An empty object of options means the same as true (LSP 3.17).
        return self.capabilities.get(capability) not in (None, False)

    def demand(self, capability: str) -> None:
        """Raise FeatureMissing unless it announced ``capability``."""
        if not self.can(capability):
            raise FeatureMissing(f"{self.name} has no {capability}")

    def request(self, method: str, params: Any) -> Any:
        """Send a request; return its result. Raises as :meth:`Connection.request`.

        Retries if the server refuses because a document has just changed.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self._connection.request(method, params, self._timeout)
            except RequestRefused as error:
                busy = error.rpc_code in (CONTENT_MODIFIED, SERVER_CANCELED)
                if not busy or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(RETRY_DELAY)
        raise AssertionError("unreachable")

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._connection.notify(method, params)

    def send_changes(self, *, thorough: bool = False) -> bool:
        """Notify the server of changes on disk; return False if some may have been missed.

        ``thorough`` as of :meth:`DiskChanges.take`.
        """
        # One thread at a time: a request must not overtake changes that it depends on.
        with self._sending:
            changes = self._changes.take(thorough=thorough)
            if changes:
                self.notify("workspace/didChangeWatchedFiles", {"changes": changes})
                self.revision += 1
                self._sent_at = awake()
                self._refreshed_before = self.published.refreshed
        return self._changes.complete

    def wait_for_refresh(self, wait: float) -> bool:
        """Wait until it has processed the latest changed files; report whether it did in time.

        Its sign is a refresh request; a server without one gets :data:`REFRESH_TIMEOUT` seconds.
        """
        deadline = awake() + wait
        # Nothing has changed since it started.
        if not self.revision:
            return True
        late = self._sent_at + REFRESH_TIMEOUT
        timeout = max(0.0, min(deadline, late) - awake())
        return self.published.wait_for_refresh(self._refreshed_before, timeout) or late <= awake()

    def close(self) -> None:
        """Shut it down by the protocol, or kill it if that takes too long; wait until it exits."""
        if self._initialized and self.running:
            try:
                self._connection.request("shutdown", None, GRACE)
            except ToolboxError as error:
                log.info("%s did not shut down: %s", self.name, error.message)
        # Even if shutdown failed: a server may still honor it.
        self.notify("exit", None)
        self._connection.close()
        if not self._process.wait(GRACE if self._initialized else 0):
            self._process.signal(signal.SIGTERM)
            self._process.wait(GRACE / 2)
        self.kill()

    def kill(self) -> None:
        """Kill it and wait until it exits."""
        self._process.signal(signal.SIGKILL)
        self._connection.join(2 * GRACE)

    # The connection's peer

    def respond(self, method: str, params: Any) -> Any:
        match method:
            case "workspace/configuration":
                return [self._setting(item) for item in params["items"]]
            case "workspace/workspaceFolders":
                return self._folders()
            # Servers propose edits in responses; files are written only on a client's request.
            case "workspace/applyEdit":
                return {"applied": False, "failureReason": "not requested"}
            case "window/showDocument":
                return {"success": False}
            case "client/registerCapability":
                self._watchers.register(params)
                # Now, for later changes to be found by comparison.
                self._changes.add_outside()
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

    def notified(self, method: str, params: Any) -> None:
        if method == "textDocument/publishDiagnostics":
            self.published.publish(params)

    def broken(self, reason: str) -> None:
        self._broken = self._broken or reason
        self._process.signal(signal.SIGKILL)

    def ended(self) -> str:
        # Reaps the process first: its status is part of the message.
        how = self._process.finish(GRACE)
        self.published.end()
        if self._broken and self._process.killed:
            return f"{self.name} was killed: {self._broken}"
        return how

    def _folders(self) -> list[dict[str, str]]:
        return [{"uri": self._root.as_uri(), "name": self._root.name}]

    def _setting(self, item: dict[str, Any]) -> Any:
        """Return a section of the settings; ``python.analysis`` may be nested or flat."""
        section = item.get("section") or ""
        found: Any = self._spec.settings
        if not section or section in found:
            return found.get(section, found)
        for name in section.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found
