"""The measuring process: threads, denormals and the garbage collector, set once and read back."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from mtlbench.errors import MachineUnfitError, UsageError

__all__ = ["ProcessSettings", "frozen_gc", "prepare", "thread_environment", "usable_cores"]

_POOLS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_RECORDED = (
    *_POOLS,
    "OMP_DYNAMIC",
    "MKL_DYNAMIC",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "GOMP_CPU_AFFINITY",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "PYTHONHASHSEED",
)
# At least this many elements per thread make ATen split an element-wise operation (its grain size is 32768).
_GRAIN = 2 * 32768


@dataclass(frozen=True)
class ProcessSettings:
    """What is in force in this process, as read back.

    Attributes:
        threads: intra-operation threads of torch.
        interop_threads: inter-operation threads of torch.
        flush_denormal: whether denormal results become zero on every thread; False only where the CPU cannot.
        environment: the thread variables that are set.
        affinity: the CPUs that the process may run on; None where the system does not say.
    """

    threads: int
    interop_threads: int
    flush_denormal: bool
    environment: Mapping[str, str]
    affinity: tuple[int, ...] | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of `mtlbench.measure.warnings`."""
        seen = {
            "denormals_kept": not self.flush_denormal,
            "oversubscribed": self.affinity is not None and self.threads > len(self.affinity),
        }
        return tuple(code for code, is_seen in seen.items() if is_seen)

    def as_dict(self) -> dict[str, str | int | bool | None]:
        """Flat keys for a record; variables of the environment as `env.<NAME>`."""
        affinity = None if self.affinity is None else ",".join(map(str, self.affinity))
        return {
            "threads": self.threads,
            "interop_threads": self.interop_threads,
            "flush_denormal": self.flush_denormal,
            "affinity": affinity,
            **{f"env.{name}": value for name, value in self.environment.items()},
        }


def thread_environment(threads: int) -> dict[str, str]:
    """Variables for the environment of a measuring child, which must be there before it imports torch.

    Every thread pool gets `threads`, none may change its size by itself, and the hash seed is fixed.

    Raises:
        UsageError: `threads` is less than 1.
    """
    _at_least_one("threads", threads)
    fixed = {"OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE", "PYTHONHASHSEED": "0"}
    return dict.fromkeys(_POOLS, str(threads)) | fixed


def prepare(threads: int, interop_threads: int = 1) -> ProcessSettings:
    """Set what a measurement depends on, and read all of it back. Call it before any other torch operation.

    Denormals are flushed first: the mode belongs to a thread, and threads inherit it only when they are
    created, so after the first parallel operation it comes too late. The read-back multiplies denormals on
    all threads.

    Args:
        threads: threads within an operation.
        interop_threads: threads that run operations side by side.

    Raises:
        UsageError: a number is less than 1.
        MachineUnfitError: what is in force is not what was asked for.
    """
    import torch

    _at_least_one("threads", threads)
    _at_least_one("interop_threads", interop_threads)
    can_flush = torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    _set_interop_threads(interop_threads)
    settings = ProcessSettings(
        threads=torch.get_num_threads(),
        interop_threads=torch.get_num_interop_threads(),
        flush_denormal=_denormals_are_flushed(threads),
        environment=MappingProxyType({name: os.environ[name] for name in _RECORDED if name in os.environ}),
        affinity=_affinity(),
    )
    _check("torch.get_num_threads()", threads, settings.threads)
    _check("torch.get_num_interop_threads()", interop_threads, settings.interop_threads)
    _check("flushing of denormals on every thread", can_flush, settings.flush_denormal)
    return settings


@contextmanager
def frozen_gc() -> Iterator[None]:
    """Keep the garbage collector out of the block, and leave it as it was found.

    Objects that are alive at the start are frozen, so that a collection inside the call, if the call asks for
    one, does not walk the network.
    """
    was_enabled, already_frozen = gc.isenabled(), gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if not already_frozen:
            gc.unfreeze()
        if was_enabled:
            gc.enable()


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} is {value}", fix="Use 1 or more")


def _set_interop_threads(count: int) -> None:
    import torch

    if torch.get_num_interop_threads() == count:
        return
    try:
        torch.set_num_interop_threads(count)
    except RuntimeError as error:
        raise MachineUnfitError(
            f"the inter-operation threads cannot become {count}: parallel work has begun in this process",
            fix="Call prepare() first in a fresh process",
        ) from error


def _denormals_are_flushed(threads: int) -> bool:
    import torch

    smallest_normal = torch.finfo(torch.float32).tiny
    halves = torch.full((threads * _GRAIN,), smallest_normal) * 0.5
    return not bool(halves.any())


def usable_cores() -> int:
    """Logical cores that this process may run on."""
    return len(_affinity() or ()) or os.cpu_count() or 1


def _affinity() -> tuple[int, ...] | None:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None


def _check(what: str, asked: object, found: object) -> None:
    if asked != found:
        raise MachineUnfitError(
            f"{what} is {found}, not {asked}",
            fix="Call prepare() first in a fresh process whose environment is thread_environment(threads)",
        )
