"""The environment of a measurement, captured in the worker: flat keys, None where unknown."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from mtlbench.hashing import digest

__all__ = ["MACHINE_KEYS", "Value", "capture", "machine_id"]

Value = str | int | float | bool | None

MACHINE_KEYS = (
    "architecture",
    "cpu_vendor",
    "cpu_model",
    "cpu_family",
    "cpu_model_number",
    "cpu_cache",
    "cores_logical",
    "cores_physical",
    "memory_gib",
    "gpu_names",
    "machine_hash",
)
"""What makes timings comparable: the hardware, and which installation of an operating system it is.

Versions of software, the microcode, the load and the power settings are left out: they are recorded, and a
change of them on one machine is what a comparison may want to see.
"""

_CHECKOUT = Path(__file__).resolve().parents[2]


def capture(root: Path = Path("/")) -> dict[str, Value]:
    """Everything about this machine and its software that may move a number.

    Names of host and user are not in it: `host_hash` is a hash. `cgroup_*` are None also where there is no
    limit.

    Args:
        root: where `proc`, `sys` and `etc` lie.
    """
    return {key: _or_none(probe, root) for key, probe in _PROBES.items()}


def machine_id(environment: Mapping[str, Value]) -> str:
    """12 hexadecimal digits of the values under `MACHINE_KEYS`: equal on every boot of one machine.

    A virtual machine made anew from an image that has no fixed `/etc/machine-id` counts as another machine.
    """
    return digest({key: environment.get(key) for key in MACHINE_KEYS}, 12)


def _or_none(probe: Callable[[Path], Value], root: Path) -> Value:
    try:
        return probe(root)
    except Exception:  # an unreadable fact is an unknown fact; a measurement must not fail because of it
        return None


# Software


def _version(package: str) -> Callable[[Path], Value]:
    return lambda _: metadata.version(package)


def _own_version(_: Path) -> Value:
    import mtlbench

    return getattr(mtlbench, "__version__", None) or metadata.version("mtlbench")


def _torch(read: Callable[..., Value]) -> Callable[[Path], Value]:
    def probe(_: Path) -> Value:
        import torch

        return read(torch)

    return probe


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(_CHECKOUT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _git_commit(_: Path) -> Value:
    return _git("rev-parse", "HEAD") if _is_checkout() else None


def _git_dirty(_: Path) -> Value:
    return bool(_git("status", "--porcelain")) if _is_checkout() else None


def _is_checkout() -> bool:
    # An installed copy may lie inside another project's checkout, whose commit says nothing about mtlbench.
    return Path(_git("rev-parse", "--show-toplevel")).resolve() == _CHECKOUT


# Processor


def _cpu(*names: str) -> Callable[[Path], Value]:
    """A probe of the first of these fields that /proc/cpuinfo has (x86 and arm name them differently)."""

    def probe(root: Path) -> Value:
        fields = _cpuinfo(root)
        return next((fields[name] for name in names if name in fields), None)

    return probe


def _cpuinfo(root: Path) -> dict[str, str]:
    first = (root / "proc/cpuinfo").read_text().split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _cpu_flags(root: Path) -> list[str]:
    fields = _cpuinfo(root)
    return sorted((fields.get("flags") or fields["Features"]).split())


def _cores_usable(_: Path) -> Value:
    return len(os.sched_getaffinity(0))


def _governor(root: Path) -> Value:
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return ",".join(sorted({file.read_text().strip() for file in files})) or None


def _turbo(root: Path) -> Value:
    cpu = root / "sys/devices/system/cpu"
    no_turbo = cpu / "intel_pstate/no_turbo"
    if no_turbo.exists():
        return no_turbo.read_text().strip() == "0"
    return (cpu / "cpufreq/boost").read_text().strip() == "1"


def _smt_siblings(root: Path) -> Value:
    """Hardware threads per core, the most of any core."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings")
    return max(int(file.read_text().replace(",", ""), 16).bit_count() for file in files)


def _numa_nodes(root: Path) -> Value:
    return len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or None


def _steal_share(_: Path) -> Value:
    times = psutil.cpu_times()
    return round(times.steal / sum(times), 6)


# Limits


def _cgroup_folders(root: Path, controller: str) -> list[tuple[int, Path]]:
    """The process's own cgroup and all that contain it, as (version, folder)."""
    folders: list[tuple[int, Path]] = []
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = top / path.lstrip("/")
        inside = [own, *own.parents]
        folders += [(1 if controllers else 2, folder) for folder in inside[: inside.index(top) + 1]]
    return folders


def _cgroup_quota(root: Path) -> Value:
    """The tightest CPU quota, in cores."""
    quotas = []
    for version, folder in _cgroup_folders(root, "cpu"):
        names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        if all((folder / name).exists() for name in names):
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            quotas += [int(quota) / int(period)] if quota not in ("max", "-1") else []
    return min(quotas, default=None)


def _cgroup_memory(root: Path) -> Value:
    """The tightest memory limit below the machine's own memory, in MiB."""
    limits = []
    for version, folder in _cgroup_folders(root, "memory"):
        file = folder / ("memory.max" if version == 2 else "memory.limit_in_bytes")
        text = file.read_text().strip() if file.exists() else "max"
        limits += [int(text)] if text != "max" and int(text) < psutil.virtual_memory().total else []
    return min(limits) / 2**20 if limits else None


# Identity


def _machine_text(root: Path) -> str:
    return (root / "etc/machine-id").read_text().strip()


def _machine_hash(root: Path) -> Value:
    # machine-id(5) asks that the id itself be kept confidential and hashed with a word of the application.
    return digest(["mtlbench", _machine_text(root)], 12)


def _host_hash(root: Path) -> Value:
    salt = _or_none(_machine_text, root)
    return digest(["mtlbench", salt, socket.gethostname()], 12)


def _virtualised(root: Path) -> Value:
    return "hypervisor" in _cpu_flags(root) or (root / "sys/hypervisor/type").exists()


def _container(root: Path) -> Value:
    return any((root / name).exists() for name in (".dockerenv", "run/.containerenv"))


# Accelerators


def _gpu_names(torch: Any) -> Value:
    cuda = torch.cuda
    return "; ".join(cuda.get_device_name(index) for index in range(cuda.device_count())) or None


def _gpu_driver(root: Path) -> Value:
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", (root / "proc/driver/nvidia/version").read_text())
    return found.group() if found else None


_PROBES: dict[str, Callable[[Path], Value]] = {
    "python": lambda _: platform.python_version(),
    "python_implementation": lambda _: platform.python_implementation(),
    "mtlbench": _own_version,
    "torch": _version("torch"),
    "numpy": _version("numpy"),
    "pillow": _version("pillow"),
    "torch_build": _torch(lambda torch: digest(torch.__config__.show(), 12)),
    "git_commit": _git_commit,
    "git_dirty": _git_dirty,
    "os": lambda _: platform.system(),
    "kernel": lambda _: platform.release(),
    "libc": lambda _: " ".join(platform.libc_ver()).strip() or None,
    "preloaded": lambda _: " ".join(Path(name).name for name in os.environ["LD_PRELOAD"].split(":")),
    "architecture": lambda _: platform.machine(),
    "cpu_vendor": _cpu("vendor_id", "CPU implementer"),
    "cpu_model": _cpu("model name", "CPU part"),
    "cpu_family": _cpu("cpu family", "CPU architecture"),
    "cpu_model_number": _cpu("model", "CPU variant"),
    "cpu_stepping": _cpu("stepping", "CPU revision"),
    "cpu_microcode": _cpu("microcode"),
    "cpu_cache": _cpu("cache size"),
    "cpu_flags": lambda root: digest(_cpu_flags(root), 12),
    "cpu_capability": _torch(lambda torch: torch.backends.cpu.get_cpu_capability()),
    "cores_logical": lambda _: psutil.cpu_count(),
    "cores_physical": lambda _: psutil.cpu_count(logical=False),
    "cores_usable": _cores_usable,
    "smt_siblings": _smt_siblings,
    "numa_nodes": _numa_nodes,
    "governor": _governor,
    "turbo": _turbo,
    "steal_share": _steal_share,
    "cgroup_quota_cores": _cgroup_quota,
    "cgroup_memory_mib": _cgroup_memory,
    "memory_gib": lambda _: round(psutil.virtual_memory().total / 2**30),
    "virtualised": _virtualised,
    "container": _container,
    "gpu_names": _torch(_gpu_names),
    "gpu_driver": _gpu_driver,
    "cuda": _torch(lambda torch: torch.version.cuda),
    "cudnn": _torch(lambda torch: torch.backends.cudnn.version()),
    "machine_hash": _machine_hash,
    "host_hash": _host_hash,
}
