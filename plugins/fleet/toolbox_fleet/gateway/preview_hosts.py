"""Host names that lead to ports of sandboxes."""

from __future__ import annotations

import re

from toolbox.settings import SettingsError

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


class PreviewHosts:
    """The names of the setting ``preview_host``; empty for none. Raises SettingsError."""

    def __init__(self, template: str) -> None:
        scheme, mark, host = template.rpartition("://")
        self._scheme = scheme if mark else ""
        self._host = host.lower()
        if host and (host.count("{port}") != 1 or host.count("{sandbox}") != 1):
            raise SettingsError("fleet.preview_host must contain {port} and {sandbox}, each once")
        self._pattern = self._compiled()

    def _compiled(self) -> re.Pattern[str]:
        name = self._host.partition(":")[0]
        pattern = re.escape(name).replace(re.escape("{port}"), r"(?P<port>[0-9]{1,5})")
        return re.compile(pattern.replace(re.escape("{sandbox}"), rf"(?P<sandbox>{_LABEL})"))

    def __bool__(self) -> bool:
        return bool(self._host)

    def url(self, scheme: str, sandbox: str, port: int) -> str:
        """Return the URL of a port; ``sandbox`` is an id or a signed token."""
        host = self._host.replace("{port}", str(port)).replace("{sandbox}", sandbox.lower())
        return f"{self._scheme or scheme}://{host}"

    def target(self, host: str) -> tuple[str, int] | None:
        """Return sandbox, or signed token, and port that the header ``Host`` names, or None."""
        name = host.partition(":")[0].lower().removesuffix(".")
        found = self._pattern.fullmatch(name) if self._host else None
        return (found["sandbox"], int(found["port"])) if found else None
