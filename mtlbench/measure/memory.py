"""Memory in MiB (2**20 bytes): what the process holds, held at most, and what the weights alone need."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["current_rss_mib", "module_weights_mib", "peak_mib", "peak_rss_mib", "reset_peak"]

_MIB = 2**20
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def current_rss_mib() -> float:
    """Resident memory of this process now."""
    return psutil.Process().memory_info().rss / _MIB


def peak_rss_mib() -> float:
    """The highest resident memory of this process since its start, or since `reset_peak`.

    On Linux this is `VmHWM`, not `ru_maxrss`: the latter survives exec, so a worker started by a large parent
    would report the parent's size. Elsewhere it is `ru_maxrss`. Memory of child processes and of other
    devices is not in it.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


def reset_peak(device: str = "cpu") -> bool:
    """Start the peaks anew from the present; call it after warm-up.

    Args:
        device: a torch device name; the peaks of a CUDA device's allocator restart too.

    Returns:
        Whether the peak of the process restarted; where the kernel refuses, it still counts from the process
        start.
    """
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def peak_mib(device: str = "cpu") -> dict[str, float]:
    """Peaks since `reset_peak`, by name.

    Args:
        device: a torch device name.

    Returns:
        `rss` always; on CUDA also `cuda_allocated` (tensors) and `cuda_reserved` (what torch took from the
        driver).
    """
    peaks = {"rss": peak_rss_mib()}
    if device.startswith("cuda"):
        import torch

        peaks["cuda_allocated"] = torch.cuda.max_memory_allocated(device) / _MIB
        peaks["cuda_reserved"] = torch.cuda.max_memory_reserved(device) / _MIB
    return peaks


def module_weights_mib(modules: Iterable[nn.Module]) -> float:
    """Memory of all parameters and buffers; a storage that several share is counted once.

    Args:
        modules: networks that are loaded together, such as the T networks of a single-task cell.
    """
    tensors = (tensor for module in modules for tensor in (*module.parameters(), *module.buffers()))
    return (
        sum({_storage_key(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values()) / _MIB
    )


def _storage_key(tensor: Tensor) -> tuple[str, int]:
    # Tensors without memory (on the meta device) all have address 0.
    return str(tensor.device), tensor.untyped_storage().data_ptr() or id(tensor)
