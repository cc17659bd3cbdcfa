"""Every gate, scope and encoder of AdaMTL keeps the promises of a variant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mtlbench import variants
from mtlbench.testing import CHECKS, Case
from mtlbench.training.artifact import Named

SWIN = Named("swin", {"arch": "nano", "patch": 2, "window": 4})

FORMS = {
    "whole tokens": ("adamtl", {"scope": "block"}, None),
    "blocks": ("adamtl", {"gates": "blocks"}, None),
    "both, tag, once a stage": ("adamtl", {"gates": "both", "policy": "tag", "decide": "stage"}, None),
    "norm residual": ("adamtl", {"skip": "norm_residual", "trunk": "per_task"}, None),
    "swin": ("adamtl", {}, SWIN),
    "swin, windows": ("adamtl", {"scope": "block"}, SWIN),
    "swin, windows with padding": (
        "adamtl",
        {"scope": "block"},
        Named("swin", {"arch": "nano", "patch": 2, "window": 5}),
    ),
    "swin, both": ("adamtl", {"gates": "both", "block_policy": "flattened"}, SWIN),
    "threshold, whole tokens": ("adamtl_threshold", {"scope": "block", "gates": "both"}, None),
    "threshold, windows": ("adamtl_threshold", {"scope": "block"}, SWIN),
    "compat, swin": ("adamtl_compat", {}, SWIN),
    "compat, certain": ("adamtl_compat", {"decision": "certain", "policy": "tag"}, None),
    "random, windows": ("adamtl_random", {"scope": "block", "gates": "both"}, SWIN),
}


# The checks that depend on how a layer is run; the others are made for each registered variant.
ABOUT_LAYERS = (
    "full_compute_equals_reference",
    "modes_agree",
    "samples_are_independent",
    "formulas_equal_the_counter",
    "counted_decisions_made_the_prediction",
    "forced_decisions_follow_their_seed",
)


@pytest.mark.parametrize("check", ABOUT_LAYERS)
@pytest.mark.parametrize("form", FORMS)
def test_form_conforms(form, check):
    name, options, encoder = FORMS[form]
    case = Case.small(variants.registry.get(name), **options)
    if encoder is not None:
        case = replace(case, problem=replace(case.problem, encoder=encoder))
    CHECKS[check](case)
