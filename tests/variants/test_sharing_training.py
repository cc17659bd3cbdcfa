"""Branches are trained one by one beside a frozen base task, and what is stored builds the network that was trained."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from mtlbench import tasks
from mtlbench.data.batches import LoadedSplit, normalise
from mtlbench.testing import Case
from mtlbench.training.artifact import Named, Problem, Source, in_training_order
from mtlbench.training.loop import train
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.variants.network import build_dense
from mtlbench.variants.sharing.choose import Everything, Ranked
from mtlbench.variants.sharing.network import DENSITIES, SharingNetwork, flat_layers
from mtlbench.variants.sharing.options import SharingOptions
from mtlbench.variants.sharing.prefix_variant import PrefixSharing
from mtlbench.variants.sharing.variant import ComputationSharing, ComputationSharingThreshold
from mtlbench.variants.sharing.walk import Walk

NORMALISE = partial(normalise, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
PROTOCOL = TrainingProtocol(epochs=2, batch=4, lr=3e-3, flip=0.0, jitter=0.0)
SOURCE = Source(Named("scenes"), "data", PROTOCOL.model_dump(), seed=0)
PROBLEM = Problem(
    (32, 48),
    Named("vit", {"arch": "nano", "patch": 8}),
    Named("multiscale", {"width": 16}),
    (Named("saliency"), Named("depth")),
)
ENCODERS = {
    "vit": PROBLEM.encoder,
    "swin": Named("swin", {"arch": "nano", "dim": 8, "heads": [1, 1, 2, 2], "patch": 2, "window": 5}),
}


def split(count, seed):
    """Depth grows with brightness, bright pixels are salient."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 32, 48, 3), dtype=np.uint8)
    brightness = images.mean(axis=-1)
    labels = {
        "depth": (1 + brightness / 100).astype(np.float32),
        "saliency": (brightness > 128).astype(np.uint8),
    }
    return LoadedSplit(tuple(f"{seed}-{i}" for i in range(count)), images, labels, {})


def made_tasks(problem):
    return {spec.name: tasks.registry.get(spec.name)(**spec.options) for spec in problem.tasks}


def trained(variant, point, problem=PROBLEM, **options):
    """States of all artifacts by stage, trained in order as a run does; the base task's network is random."""
    asked = variant(problem, **options)
    artifacts = asked.artifacts(point, SOURCE)
    states = {artifacts[0].key: dict(build_dense(artifacts[0].problem, 7, None).state_dict())}
    losses = {}
    for artifact in in_training_order(artifacts, lambda a: a.key in states):
        own = variant(artifact.problem, **artifact.options)
        result = train(
            own.recipe(artifact),
            PROTOCOL,
            made_tasks(artifact.problem),
            split(8, 0),
            split(4, 1),
            seed=0,
            parents={role: states[parent.key] for role, parent in artifact.parents.items()},
            normalise=NORMALISE,
        )
        states[artifact.key] = result.state
        losses[artifact.stage] = [row["loss"] for row in result.history]
    asked.build(point, 0, [states[a.key] for a in artifacts])
    return asked, [states[a.key] for a in artifacts], losses


IMAGES = NORMALISE(split(3, 2).images)


def called(variant, point, tasks=None):
    with torch.inference_mode():
        return variant.configure(point, tasks)(IMAGES)


@pytest.mark.parametrize(
    ("variant", "point", "options"),
    [
        (ComputationSharing, {"density": 1.0, "shared_blocks": 1}, {"sparsity": 0.1, "delta_share": 1.0}),
        (PrefixSharing, {"shared_blocks": 2}, {}),
    ],
)
def test_training_learns_a_branch_and_leaves_the_base_task_as_it_was(variant, point, options):
    asked, (base, branch), losses = trained(variant, point, **options)
    fresh = build_dense(PROBLEM.only("saliency"), 7, None)
    assert all(torch.equal(base[key], value) for key, value in fresh.state_dict().items())
    first = next(iter(losses.values()))
    assert first[-1] < first[0]
    with torch.inference_mode():
        expected = fresh(IMAGES)["saliency"]
    torch.testing.assert_close(called(asked, point)[0]["saliency"], expected, rtol=1e-4, atol=1e-5)
    assert not set(branch) & set(base), "a branch holds what is its own"


def test_a_prefix_branch_with_no_training_is_the_base_tasks_network():
    """Its blocks start from the base task's."""
    variant = PrefixSharing(PROBLEM)
    artifact = variant.artifacts({"shared_blocks": 3}, SOURCE)[1]
    base = build_dense(PROBLEM.only("saliency"), 7, None)
    own = PrefixSharing(artifact.problem, **artifact.options)
    branch = own.recipe(artifact).network({"base": base.state_dict()}, 0)
    names = set(base.encoder.modules_from(3))
    assert {name.replace("-", ".") for name in branch.own} == names
    for name in names:
        theirs = base.encoder.get_submodule(name).state_dict()
        assert all(
            torch.equal(value, theirs[key])
            for key, value in branch.own[name.replace(".", "-")].state_dict().items()
        )


def test_the_last_stage_calibrates_thresholds_that_serve_the_other_form():
    point = {"density": 0.5, "shared_blocks": 0}
    asked, states, _ = trained(ComputationSharing, point, gate_share=0.5)
    levels = states[1]["levels"]
    assert levels.shape == (len(DENSITIES), 6)
    assert not levels.isnan().any()
    same = ComputationSharingThreshold(PROBLEM, gate_share=0.5)
    same.build(point, 0, states)
    _, trace = called(same, point)
    kept = [places.shape[1] / 24 for one in trace.decisions for places in one.decisions.kept["depth"]]
    assert 0.2 < np.mean(kept) < 0.8
    full, _ = called(same, {**point, "density": 1.0})
    ranked, _ = called(asked, {**point, "density": 1.0})
    assert all(torch.equal(full[name], ranked[name]) for name in full)


@pytest.mark.parametrize("rule", [Everything, partial(Ranked, density=0.95), partial(Ranked, density=0.3)])
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_branch_without_differences_is_not_apart_from_the_base_task(encoder, rule):
    problem = replace(PROBLEM, encoder=encoder)
    network = SharingNetwork(problem, "saliency", 0, SharingOptions()).eval()
    made = rule(flat_layers(network.encoder)) if rule is not Everything else Everything()
    walk = Walk(network, ("depth",), made, carried=False, training=True, watching=True)
    _, told = walk(IMAGES)
    assert len(told.differing["depth"]) == len(flat_layers(network.encoder))
    assert all(float(differing.detach()) < 1e-5 for differing in told.differing["depth"])


def test_swin_is_trained_too():
    problem = replace(PROBLEM, encoder=ENCODERS["swin"])
    point = {"density": 0.5, "shared_blocks": 1}
    _, states, losses = trained(ComputationSharing, point, problem=problem, sparsity=0.1)
    assert set(losses) == {"delta", "gate"}
    assert not states[1]["levels"].isnan().any()


def test_the_penalty_draws_activations_together():
    """Beside it the branch moves away from the base task."""
    point = {"density": 1.0, "shared_blocks": 0}
    apart = []
    for sparsity in (0.0, 30.0):
        asked, _, _ = trained(ComputationSharing, point, sparsity=sparsity, gate_share=2.0, full_share=1.0)
        own = asked._network.dense("depth").encoder(IMAGES)[-1]
        base = asked._network.encoder(IMAGES)[-1]
        apart.append(float((own - base).detach().norm()))
    assert apart[1] < 0.8 * apart[0]


def test_untrained_branches_differ():
    variant = Case.small(ComputationSharing).build()
    maps = [
        variant._network.dense(name).encoder(torch.randn(1, 3, 32, 48))[-1] for name in ("semseg", "depth")
    ]
    assert float((maps[0] - maps[1]).detach().abs().max()) > 0.01
