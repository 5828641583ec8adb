"""The answer of a proxy. Apart from the rest, for it alone needs Flask, which only the worker has:
the master that loads the plugins is smaller and quicker without it.
"""

from __future__ import annotations

from typing import Any

import flask
from werkzeug.datastructures import Headers


class Relayed(flask.Response):
    """An answer of which Flask, whose own kind it must be, changes nothing."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        return self.headers
