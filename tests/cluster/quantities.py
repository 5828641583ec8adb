"""Quantities of resources, as Kubernetes writes them."""

from __future__ import annotations

import re

_BINARY = {f"{prefix}i": 1024.0**power for power, prefix in enumerate("KMGTPE", 1)}
_DECIMAL = {prefix: 1000.0**power for power, prefix in enumerate("kMGTPE", 1)}
_UNITS = {"": 1.0, "m": 0.001, **_BINARY, **_DECIMAL}


def quantity(text: str) -> float:
    """Return the number of ``500m``, ``4Gi``, ``2``."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)", text)
    assert found is not None, text
    return float(found[1]) * _UNITS[found[2]]
