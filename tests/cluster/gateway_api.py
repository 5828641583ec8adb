"""The custom resources of the Gateway API, from its Go module."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from . import programs

MODULE = "sigs.k8s.io/gateway-api@v1.4.1"


def http_routes() -> Path:
    """Return the file of the resource HTTPRoute. Raises programs.Unavailable."""
    done = subprocess.run(
        [programs.find_go(), "mod", "download", "-json", MODULE],
        cwd="/",  # A module that is around would be asked, too.
        capture_output=True,
        text=True,
        timeout=240,
    )
    found = json.loads(done.stdout)
    if "Dir" not in found:
        raise programs.Unavailable(found["Error"])
    standard = Path(found["Dir"]) / "config" / "crd" / "standard"
    return standard / "gateway.networking.k8s.io_httproutes.yaml"
