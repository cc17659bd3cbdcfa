"""Variants: ways to run a set of tasks. One file per family, one line here."""

from mtlbench.variants.base import Axis, Provenance, Runnable, Trace, Variant, registry

__all__ = ["Axis", "Provenance", "Runnable", "Trace", "Variant", "registry"]

registry.add(
    "single_task", "mtlbench.variants.single_task:SingleTask", "one dense network per task, run in turn"
)
registry.add(
    "static_mtl", "mtlbench.variants.static_mtl:StaticMTL", "one shared dense encoder, one head per task"
)
