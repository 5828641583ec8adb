"""Whether the kernel has killed for lack of memory (cgroup v2 ``memory.events``, v1
``memory.oom_control``).
"""

from __future__ import annotations

from pathlib import Path

_FILES = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)


class OomWatch:
    """The kernel's count of processes of our control group it has killed."""

    def __init__(self) -> None:
        self._files = [*self._own_group(), *map(Path, _FILES)]
        self._seen = self._count()

    @staticmethod
    def _own_group() -> list[Path]:
        try:
            lines = Path("/proc/self/cgroup").read_text().splitlines()
        except OSError:
            return []
        for line in lines:
            if line.startswith("0::"):
                return [Path("/sys/fs/cgroup") / line[3:].lstrip("/") / "memory.events"]
        return []

    def _count(self) -> int:
        for file in self._files:
            try:
                lines = file.read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                name, _, number = line.partition(" ")
                if name == "oom_kill" and number.isdigit():
                    return int(number)
        return 0

    def killed(self) -> bool:
        """Whether the count has risen since the call before."""
        now = self._count()
        risen = now > self._seen
        self._seen = now
        return risen
