"""Serving one request: ``handle_request`` of gunicorn's worker, without what no setting of ours
uses.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from gunicorn.http import wsgi
from gunicorn.util import close_graceful

from toolbox.serving.exchange.environs import Environs
from toolbox.serving.exchange.responses import WholeResponse


class Exchange:
    """A request of ``conn`` and its response."""

    def __init__(self, worker: Any, request: Any, conn: Any, environs: Environs) -> None:
        self.began = time.monotonic()
        self.complete = False
        """True once the whole response is sent."""
        self.environ: dict[str, Any] = {}
        self.response: Any = None
        self._worker = worker
        self._request = request
        self._conn = conn
        self._environs = environs

    def run(self) -> bool:
        """Call the application and send the response; report whether the connection is kept."""
        worker = self._worker
        try:
            worker.cfg.pre_request(worker, self._request)
            self._make()
            self._respond()
        except OSError:
            raise
        except (Exception, SystemExit):
            if self.response is not None and self.response.headers_sent:
                # Another response on the same connection would corrupt this one.
                worker.log.exception("Error handling request")
                close_graceful(self._conn.sock)
                raise StopIteration from None
            raise
        finally:
            try:
                worker.cfg.post_request(worker, self._request, self.environ, self.response)
            except Exception:
                worker.log.exception("Exception in post_request hook")
        self.complete = True
        return not self.response.should_close()

    def _make(self) -> None:
        worker, request, conn = self._worker, self._request, self._conn
        # The ends of a Unix socket have paths, which gunicorn makes a host and a port of.
        is_tcp = isinstance(conn.client, tuple)
        if is_tcp and getattr(request, "is_plain", False) and not self._environs.is_mounted:
            self.response = WholeResponse(request, conn.sock, worker.cfg)
            self.environ = self._environs.make(request, conn, self.response)
        else:
            self.response, self.environ = wsgi.create(
                request, conn.sock, conn.client, conn.server, worker.cfg, WholeResponse
            )
            self.environ["wsgi.multithread"] = True
        worker.nr += 1
        if worker.nr >= worker.max_requests:  # Only an operator's own gunicorn sets it.
            worker.alive = False
        if not worker.alive or not worker.cfg.keepalive:
            self.response.force_close()

    def _respond(self) -> None:
        worker, response = self._worker, self.response
        # Only for gunicorn's own access log; ours has records.
        began = datetime.now() if worker.log.access_log_enabled else None
        body = worker.wsgi(self.environ, response.start_response)
        try:
            if isinstance(body, self.environ["wsgi.file_wrapper"]):
                response.write_file(body)
            else:
                for part in body:
                    response.write(part)
            response.close()
        finally:
            if began is not None:
                worker.log.access(response, self._request, self.environ, datetime.now() - began)
            if hasattr(body, "close"):
                body.close()
