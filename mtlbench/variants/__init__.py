"""Variants: ways to run a set of tasks. One file per family, one line here."""

from mtlbench.variants.base import Axis, Provenance, Runnable, Trace, Variant, registry

__all__ = ["Axis", "Provenance", "Runnable", "Trace", "Variant", "registry"]

registry.add(
    "single_task", "mtlbench.variants.single_task:SingleTask", "one dense network per task, run in turn"
)
registry.add(
    "static_mtl", "mtlbench.variants.static_mtl:StaticMTL", "one shared dense encoder, one head per task"
)
_ADAMTL = "mtlbench.variants.adamtl.variant"
registry.add(
    "adamtl", f"{_ADAMTL}:AdaMTL", "one adaptive network for all budgets, exact (Neseem et al., 2023)"
)
registry.add(
    "adamtl_threshold", f"{_ADAMTL}:AdaMTLThreshold", "the same, budgets met on average by thresholds"
)
registry.add(
    "adamtl_trained", f"{_ADAMTL}:AdaMTLTrained", "one adaptive network for each budget, as in the paper"
)
registry.add(
    "adamtl_compat",
    "mtlbench.variants.adamtl.compat:AdaMTLCompat",
    "the behaviour of the released AdaMTL code, or a checkpoint of it",
)
registry.add("adamtl_random", f"{_ADAMTL}:AdaMTLRandom", "control: random decisions, the same MACs")
registry.add(
    "adamtl_random_trained",
    f"{_ADAMTL}:AdaMTLRandomTrained",
    "control: the same, one network for each budget",
)
registry.add(
    "static_slim", "mtlbench.variants.static_slim:StaticSlim", "control: narrower MLPs, the same MACs"
)
_SHARING = "mtlbench.variants.sharing"
registry.add(
    "computation_sharing",
    f"{_SHARING}.variant:ComputationSharing",
    "sub-tasks compute the tokens that differ most from a base task's (after Shoouri et al., 2023)",
)
registry.add(
    "computation_sharing_threshold",
    f"{_SHARING}.variant:ComputationSharingThreshold",
    "the same, densities met on average by thresholds",
)
registry.add(
    "prefix_sharing",
    f"{_SHARING}.prefix_variant:PrefixSharing",
    "the first blocks of a base task's network for all tasks, the rest for each",
)
registry.add(
    "computation_sharing_video",
    f"{_SHARING}.video_variant:ComputationSharingVideo",
    "the same, and frames of a stream take from the frame before",
)
registry.add(
    "computation_sharing_element",
    f"{_SHARING}.element_variant:ComputationSharingElement",
    "as published: element by element, computed densely; the control",
)
