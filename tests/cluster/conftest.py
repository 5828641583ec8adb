"""Tests on a cluster: a real API server, etcd and controllers, and pods that are real services.

There is no container engine: a stand-in for scheduler, kubelet and garbage collector runs each pod
as a process. ``fixtures`` has ``cluster`` and ``namespace``, for tests elsewhere, too.
"""

from __future__ import annotations

from .fixtures import cluster
from .fixtures import namespace

__all__ = ["cluster", "namespace"]
