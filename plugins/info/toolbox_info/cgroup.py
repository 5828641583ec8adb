"""What the control group may use: the core's reader, by the name it has had here."""

from __future__ import annotations

from toolbox.cgroup import CgroupV1
from toolbox.cgroup import CgroupV2
from toolbox.cgroup import Machine
from toolbox.cgroup import Usage
from toolbox.cgroup import find_accounting

__all__ = ["CgroupV1", "CgroupV2", "Machine", "Usage", "find_accounting"]
