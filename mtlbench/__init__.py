"""mtlbench: what an efficient multi-task vision model is really worth.

The public API; everything else may change. Imports are lazy, so that `import mtlbench` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "MtlbenchError": "mtlbench.errors",
    "RunResult": "mtlbench.api",
    "load_results": "mtlbench.api",
    "run": "mtlbench.api",
    "seed_table": "mtlbench.results.table",
}

__all__ = ["MtlbenchError", "RunResult", "load_results", "run", "seed_table"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mtlbench' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
