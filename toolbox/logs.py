"""What is written to standard error: one line for each thing that happened."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from toolbox.settings import LogSettings

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

access_log = logging.getLogger("toolbox.access")


def configure(settings: LogSettings) -> None:
    """Send the service's log to standard error."""
    logging.basicConfig(format=FORMAT, level=logging.WARNING)
    logging.getLogger("toolbox").setLevel(settings.level.upper())
    access_log.setLevel("INFO" if settings.access else "WARNING")


class GunicornLogger(Logger):
    """gunicorn's own log in our format, and our access line for each request."""

    error_fmt = FORMAT

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        if access_log.isEnabledFor(logging.INFO):
            # The path is quoted, so that no name can forge a line, and the query, which may hold
            # a token or a signature, is left out.
            access_log.info(
                "%s %s %r %s out=%s %.1fms",
                environ.get("REMOTE_ADDR", "-"),
                environ.get("REQUEST_METHOD", "-"),
                environ.get("PATH_INFO", "-"),
                str(resp.status).split(" ", 1)[0],
                getattr(resp, "sent", 0),
                request_time.total_seconds() * 1000,
            )
