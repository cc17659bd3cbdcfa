"""Budgets against brute force and against what a call really spends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench import variants
from mtlbench.errors import UsageError
from mtlbench.testing import Case
from mtlbench.training.artifact import Named
from mtlbench.variants.adamtl.runnable import budgets_of

FORMS = {
    "tokens": {},
    "whole tokens": {"scope": "block"},
    "both": {"gates": "both"},
    "blocks": {"gates": "blocks"},
    "once a stage": {"decide": "stage", "policy": "tag"},
}
SWIN = Named("swin", {"arch": "nano", "patch": 2, "window": 4})


def build(options, encoder=None):
    case = Case.small(variants.registry.get("adamtl"), **options)
    if encoder is not None:
        case = replace(case, problem=replace(case.problem, encoder=encoder, size=(32, 32)))
        case = replace(case, images=case.images[:, :, :32, :32])
    return case, case.build()


BUILT = {
    (form, name): build(options, encoder)
    for form, options in FORMS.items()
    for name, encoder in {"vit": None, "swin": SWIN}.items()
}


@pytest.mark.parametrize("key", BUILT, ids="-".join)
@settings(max_examples=15, deadline=None)
@given(budget=st.floats(0.3, 0.999))
def test_a_call_spends_what_was_asked_and_never_more(key, budget):
    case, variant = BUILT[key]
    budgets = budgets_of(variant._network, case.problem.task_names)
    if budget < budgets.smallest:
        with pytest.raises(UsageError, match="cannot be met"):
            budgets.solve(budget)
        return
    runnable = variant.configure({"budget": budget})
    with torch.inference_mode():
        _, trace = runnable(case.images)
    spent = trace.nominal_macs(runnable.units())
    planned = budgets.macs(budgets.solve(budget))
    assert spent == pytest.approx([planned] * 3, rel=1e-9)
    assert planned <= budget * budgets.reference_macs


@pytest.mark.parametrize("key", [key for key in BUILT if key[0] in {"tokens", "whole tokens"}], ids="-".join)
def test_no_layer_could_keep_one_place_more(key):
    case, variant = BUILT[key]
    budgets = budgets_of(variant._network, case.problem.task_names)
    limit = 0.8 * budgets.reference_macs
    counts = budgets.solve(0.8)
    for s, stage in enumerate(counts.places):
        for i, kept in enumerate(stage):
            if kept == budgets.full.places[s][i]:
                continue
            more = [list(row) for row in counts.places]
            more[s][i] += 1
            assert budgets.macs(replace(counts, places=tuple(map(tuple, more)))) > limit


@pytest.mark.parametrize("key", BUILT, ids="-".join)
def test_a_smaller_budget_never_keeps_more(key):
    case, variant = BUILT[key]
    budgets = budgets_of(variant._network, case.problem.task_names)
    asked = [b for b in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4) if b >= budgets.smallest]
    spent = [budgets.macs(budgets.solve(b)) for b in asked]
    assert all(after <= before for before, after in pairwise(spent))


def test_full_budget_is_the_static_network_to_the_last_mac():
    _, variant = BUILT["tokens", "vit"]
    runnable = variant.configure({"budget": 1.0})
    assert runnable.units() == variant.dense().units()
    assert [part for part, _ in runnable.parts()] == [part for part, _ in variant.dense().parts()]


@pytest.mark.parametrize("key", BUILT, ids="-".join)
def test_gates_in_training_spend_what_the_same_decisions_do_in_a_call(key):
    case, variant = BUILT[key]
    network = variant._network
    budgets = budgets_of(network, case.problem.task_names)
    runnable = variant.configure({"budget": max(0.8, budgets.smallest)})
    forced = runnable.forced(case.images, 0)
    blocks, tokens = [], []
    for layers, told in zip(network.blocks.layers_of, forced.decisions.layers, strict=True):
        rows = [
            torch.zeros(3).index_fill(0, k.samples, 1.0) if k.samples is not None else torch.ones(3)
            for k in told
        ]
        blocks.append(torch.stack(rows, dim=1) if variant.options.gates != "tokens" else None)
        gates = []
        for layer, kept, row in zip(layers, told, rows, strict=True):
            if kept.places is None:
                gates.append(torch.ones(3, layer.tokens))
                continue
            chosen = torch.zeros(len(kept.places), budgets.places(layer)).scatter(1, kept.places, 1.0)
            spread = layer.spread(chosen) if variant.options.scope == "block" else chosen
            full = torch.zeros(3, layer.tokens)
            full[row.bool()] = spread
            gates.append(full)
        tokens.append(gates if variant.options.gates != "blocks" else [])
    spent = budgets.spent(blocks, tokens) * budgets.reference_macs
    units = [unit for unit in runnable.units() if unit.part != "policy"]
    nominal = torch.tensor(forced.nominal_macs(units)) + policies(budgets, blocks, tokens, variant.options)
    assert spent == pytest.approx(nominal, rel=1e-5)


def policies(budgets, blocks, tokens, options):
    """What all policies cost a sample: in training each is asked, in a call those that have something to choose."""
    total = torch.zeros(3)
    for s, (runs, gates) in enumerate(zip(blocks, tokens, strict=True)):
        total += budgets.block_policy_macs(s) if runs is not None else 0
        once, asked = options.decide == "stage", budgets.token_policy_macs(s) if gates else 0
        total += asked if once else asked * (len(gates) if runs is None else runs.sum(dim=1))
    return total
