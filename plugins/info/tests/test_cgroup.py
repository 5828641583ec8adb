"""Reading control groups, from trees of files as the kernel lays them out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from toolbox.linux.cgroup import CgroupV1
from toolbox.linux.cgroup import CgroupV2
from toolbox.linux.cgroup import Machine
from toolbox.linux.cgroup import find_accounting

MIB = 1024 * 1024
CORES = os.cpu_count() or 1
TICKS = os.sysconf("SC_CLK_TCK")

PROC = {
    "proc/meminfo": "MemTotal:       16384 kB\nMemFree:         4096 kB\nMemAvailable:    8192 kB\n"
    "Cached:          2048 kB\nHugePages_Total:     0\n",
    "proc/stat": f"cpu  {TICKS} {TICKS} {TICKS} 999999 888888 {TICKS} {TICKS} 777777 1 1\n"
    "cpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n",
}
CONTAINER_V2 = {
    **PROC,
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory\n",
    "sys/fs/cgroup/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
    "sys/fs/cgroup/memory.max": f"{8 * MIB}\n",
    "sys/fs/cgroup/memory.current": f"{5 * MIB}\n",
    "sys/fs/cgroup/memory.stat": f"anon {3 * MIB}\nfile {2 * MIB}\nfile_mapped 7\n",
}
SERVICE_V2 = {
    **PROC,
    "proc/self/cgroup": "0::/app.slice/box.service\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 9000000\n",
    "sys/fs/cgroup/app.slice/cpu.max": "25000 100000\n",
    "sys/fs/cgroup/app.slice/cpu.stat": "usage_usec 5000000\n",
    "sys/fs/cgroup/app.slice/memory.max": f"{4 * MIB}\n",
    "sys/fs/cgroup/app.slice/memory.current": f"{3 * MIB}\n",
    "sys/fs/cgroup/app.slice/memory.stat": f"file {MIB}\n",
    "sys/fs/cgroup/app.slice/box.service/cpu.max": "max 100000\n",
    "sys/fs/cgroup/app.slice/box.service/cpu.stat": "usage_usec 1500000\n",
    "sys/fs/cgroup/app.slice/box.service/memory.max": f"{6 * MIB}\n",
    "sys/fs/cgroup/app.slice/box.service/memory.current": f"{2 * MIB}\n",
    "sys/fs/cgroup/app.slice/box.service/memory.stat": "file 4096\n",
}
CONTAINER_V1 = {
    **PROC,
    "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n2:cpuset:/docker/abc\n"
    "1:name=systemd:/docker/abc:x\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{8 * MIB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{5 * MIB}\n",
    "sys/fs/cgroup/memory/memory.stat": f"cache {MIB}\nrss 5\ntotal_cache {2 * MIB}\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "75000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpuacct/cpuacct.usage": "1250000000\n",
}

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Lay out a tree of files; where it is."""

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def without(files: dict[str, str], *endings: str) -> dict[str, str]:
    return {name: text for name, text in files.items() if not name.endswith(endings)}


def test_v2_container(tree: Tree) -> None:
    found = find_accounting(tree(CONTAINER_V2))
    assert isinstance(found, CgroupV2)
    usage = found.usage()
    assert usage.cpu_limit == 0.5
    assert found.cpu_seconds() == 2.5
    assert usage.memory_total == 8 * MIB
    assert (usage.memory_used, usage.memory_cache) == (5 * MIB, 2 * MIB)


def test_v2_limits_above_count_but_usage_is_our_own(tree: Tree) -> None:
    found = find_accounting(tree(SERVICE_V2))
    usage = found.usage()
    assert usage.cpu_limit == 0.25, "set on the slice, while the service itself says max"
    assert usage.memory_total == 4 * MIB, "the slice's is the lower one"
    assert (usage.memory_used, usage.memory_cache) == (2 * MIB, 4096)
    assert found.cpu_seconds() == 1.5


def test_v2_without_limits_is_limited_by_the_machine(tree: Tree) -> None:
    unlimited = {"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"}
    usage = find_accounting(tree({**CONTAINER_V2, **unlimited})).usage()
    assert (usage.cpu_limit, usage.memory_total) == (CORES, 16 * MIB)
    assert usage.memory_used == 5 * MIB


def test_v2_limits_above_the_machine_are_none(tree: Tree) -> None:
    huge = {
        "sys/fs/cgroup/cpu.max": "99900000 100000\n",
        "sys/fs/cgroup/memory.max": f"{1 << 60}\n",
    }
    usage = find_accounting(tree({**CONTAINER_V2, **huge})).usage()
    assert (usage.cpu_limit, usage.memory_total) == (CORES, 16 * MIB)


def test_v2_cpuset_limits_cores(tree: Tree) -> None:
    unlimited = {"sys/fs/cgroup/cpu.max": "max 100000\n"}
    cpuset = {"sys/fs/cgroup/cpuset.cpus.effective": "0\n"}
    assert find_accounting(tree({**CONTAINER_V2, **unlimited, **cpuset})).usage().cpu_limit == 1


@pytest.mark.parametrize("text", ["", "\n", "x-y", "0-", "1-2-3", "-", "99-"])
def test_a_cpuset_that_makes_no_sense_is_none(tree: Tree, text: str) -> None:
    files = without(CONTAINER_V2, "cpu.max")
    found = find_accounting(tree({**files, "sys/fs/cgroup/cpuset.cpus.effective": text}))
    assert 1 <= found.usage().cpu_limit <= CORES


def test_v2_root_group_is_the_machine(tree: Tree) -> None:
    files = without(CONTAINER_V2, "cpu.max", "memory.max", "memory.current", "memory.stat")
    found = find_accounting(tree(files))
    usage = found.usage()
    assert (usage.cpu_limit, usage.memory_total) == (CORES, 16 * MIB)
    assert (usage.memory_used, usage.memory_cache) == (12 * MIB, 2 * MIB)
    assert found.cpu_seconds() == 2.5


def test_v2_memory_is_accounted_by_the_nearest_group_that_can(tree: Tree) -> None:
    files = without(
        SERVICE_V2,
        "box.service/memory.max",
        "box.service/memory.current",
        "box.service/memory.stat",
    )
    found = find_accounting(tree(files))
    usage = found.usage()
    assert (usage.memory_used, usage.memory_cache) == (3 * MIB, MIB)
    assert found.cpu_seconds() == 1.5, "which is still our own"
    assert usage.cpu_limit == 0.25


@pytest.mark.parametrize("path", ["/elsewhere/on/the/host", "/../../other", "/app.slice/../.."])
def test_v2_a_path_that_leads_nowhere_is_the_mount(tree: Tree, path: str) -> None:
    found = find_accounting(tree({**CONTAINER_V2, "proc/self/cgroup": f"0::{path}\n"}))
    assert found.usage().memory_used == 5 * MIB
    assert found.cpu_seconds() == 2.5


def test_v1_container(tree: Tree) -> None:
    found = find_accounting(tree(CONTAINER_V1))
    assert isinstance(found, CgroupV1)
    usage = found.usage()
    assert usage.cpu_limit == 0.75
    assert found.cpu_seconds() == 1.25
    assert usage.memory_total == 8 * MIB
    assert (usage.memory_used, usage.memory_cache) == (5 * MIB, 2 * MIB)


def test_v1_without_limits_is_limited_by_the_machine(tree: Tree) -> None:
    unlimited = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    }
    usage = find_accounting(tree({**CONTAINER_V1, **unlimited})).usage()
    assert (usage.cpu_limit, usage.memory_total) == (CORES, 16 * MIB)


def test_v1_each_hierarchy_has_its_own_path(tree: Tree) -> None:
    files = {
        **CONTAINER_V1,
        "proc/self/cgroup": "4:memory:/a/b\n3:cpu:/c\n2:cpuacct:/d\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{3 * MIB}\n",
        "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": f"{4 * MIB}\n",
        "sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": f"{MIB}\n",
        "sys/fs/cgroup/memory/a/b/memory.stat": "cache 512\n",
        "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "10000\n",
        "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpuacct/d/cpuacct.usage": "250000000\n",
    }
    found = find_accounting(tree(files))
    usage = found.usage()
    assert (usage.cpu_limit, found.cpu_seconds()) == (0.1, 0.25)
    assert (usage.memory_total, usage.memory_used, usage.memory_cache) == (3 * MIB, MIB, 512)


def test_v1_without_the_memory_controller_still_limits_cpu(tree: Tree) -> None:
    files = {name: text for name, text in CONTAINER_V1.items() if "/memory/" not in name}
    usage = find_accounting(tree(files)).usage()
    assert usage.cpu_limit == 0.75
    assert (usage.memory_total, usage.memory_used) == (16 * MIB, 12 * MIB)


def test_v1_cpuset_limits_cores(tree: Tree) -> None:
    files = without(CONTAINER_V1, "cpu.cfs_quota_us")
    files["sys/fs/cgroup/cpuset/cpuset.effective_cpus"] = "0\n"
    assert find_accounting(tree(files)).usage().cpu_limit == 1


def test_no_cgroup_is_the_machine(tree: Tree) -> None:
    found = find_accounting(tree(PROC))
    assert type(found) is Machine
    usage = found.usage()
    assert (usage.cpu_limit, usage.memory_total) == (CORES, 16 * MIB)
    assert (usage.memory_used, usage.memory_cache) == (12 * MIB, 2 * MIB)
    assert found.cpu_seconds() == 5, "all but idle, iowait and steal"


def test_nothing_to_read_is_zero(tmp_path: Path) -> None:
    found = find_accounting(tmp_path)
    usage = found.usage()
    assert (usage.memory_total, usage.memory_used, usage.memory_cache) == (0, 0, 0)
    assert found.cpu_seconds() == 0
    assert usage.cpu_limit == CORES


@pytest.mark.parametrize("files", [CONTAINER_V2, SERVICE_V2, CONTAINER_V1, PROC])
@pytest.mark.parametrize("text", ["", "\n", "junk\n", "max", "-1", "1 2 3 4 5 6 7 8 9 x\n", "\x00"])
def test_files_of_junk_fail_nothing(tree: Tree, files: dict[str, str], text: str) -> None:
    found = find_accounting(tree(dict.fromkeys(files, text)))
    usage = found.usage()
    assert 0 < usage.cpu_limit <= CORES
    assert found.cpu_seconds() >= 0 and usage.memory_total >= 0


@pytest.mark.parametrize("files", [CONTAINER_V2, SERVICE_V2, CONTAINER_V1])
def test_files_that_vanish_fail_nothing(tree: Tree, files: dict[str, str]) -> None:
    root = tree(files)
    found = find_accounting(root)
    for name in files:
        (root / name).unlink()
    usage = found.usage()
    assert (usage.memory_used, usage.memory_cache, found.cpu_seconds()) == (0, 0, 0)


def test_this_machine_can_be_read() -> None:
    found = find_accounting()
    usage = found.usage()
    assert 0 < usage.cpu_limit <= CORES
    assert 0 < usage.memory_used <= usage.memory_total
    assert found.cpu_seconds() > 0
