"""Computation sharing as a variant: what a density computes, what it costs, what is stored, and what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtlbench.cost.audit import unique_parts
from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.errors import UsageError
from mtlbench.testing import CHECKS, Case
from mtlbench.training.artifact import Named, Source
from mtlbench.variants.sharing.calibrate import levels_for
from mtlbench.variants.sharing.options import base_of
from mtlbench.variants.sharing.prefix_variant import PrefixSharing
from mtlbench.variants.sharing.variant import ComputationSharing, ComputationSharingThreshold

SWIN = Named("swin", {"arch": "nano", "patch": 4})
SOURCE = Source(Named("scenes"), "data", {"epochs": 20}, seed=0)
POINT = {"density": 1.0, "shared_blocks": 0}


def case_of(variant, encoder=None, **options):
    case = Case.small(variant, **options)
    return case if encoder is None else replace(case, problem=replace(case.problem, encoder=encoder))


def called(variant, point, images, tasks=None):
    runnable = variant.configure(point, tasks=tasks)
    with torch.inference_mode():
        return (*runnable(images), runnable)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("variant", [ComputationSharing, PrefixSharing])
def test_conforms_on_swin(variant, check):
    check(case_of(variant, SWIN))


@pytest.mark.parametrize("name", ["formulas_equal_the_counter", "modes_agree", "samples_are_independent"])
@pytest.mark.parametrize("options", [{"below": "carried"}, {"base": "normals", "rank": 3}])
def test_other_options_conform(name, options):
    CHECKS[name](case_of(ComputationSharing, **options))


@pytest.mark.parametrize("density", [0.0, 0.1, 0.37, 0.8])
def test_macs_follow_from_the_tokens_of_the_trace(density):
    """By hand for vit-nano: 96 channels, 6 blocks, 24 tokens and a class token, rank 8."""
    case = case_of(ComputationSharing)
    variant = case.build()
    _, trace, runnable = called(variant, {**POINT, "density": density}, case.images)
    dim, every, rank, depth = 96, 25, 8, 6
    kept = {name: [places.shape[1] for places in trace.decisions.kept[name]] for name in ("depth", "normals")}
    assert {count for counts in kept.values() for count in counts} == {int(density * 24 + 0.5)}
    total = variant.configure(POINT, tasks=["semseg"]).units()
    expected = float(total_macs(total))
    expected += sum(unit.macs for unit in runnable.units() if unit.part in {"head.depth", "head.normals"})
    for counts in kept.values():
        assert len(counts) == depth
        for places in counts:
            rows = places + 1 if places else 0
            expected += rows * (12 * dim * dim + 2 * every * dim + rank * (4 + 2 + 5 + 5) * dim)
            expected += 24 * rank * (dim + rank) if 0 < places < 24 else 0
    assert trace.nominal_macs(runnable.units()) == [pytest.approx(expected)] * len(case.images)


def test_a_task_alone_at_full_density_does_not_pay_for_the_base_task():
    variant = case_of(ComputationSharing).build({**POINT, "shared_blocks": 2})
    full = {**POINT, "shared_blocks": 2}
    alone = {unit.id for unit in variant.configure(full, tasks=["depth"]).units()}
    assert {"encoder.block.1.mlp", "depth.encoder.block.2.mlp"} <= alone
    assert not {"encoder.block.2.mlp", "depth.encoder.block.1.mlp"} & alone
    sharing = {unit.id for unit in variant.configure({**full, "density": 0.5}, tasks=["depth"]).units()}
    assert "encoder.block.2.mlp" in sharing
    assert not any(unit.startswith("head.semseg") for unit in sharing)


def test_an_encoder_shared_whole_leaves_the_heads():
    case = case_of(ComputationSharing)
    point = {"density": 0.5, "shared_blocks": 6}
    variant = case.build(point)
    predictions, trace, runnable = called(variant, point, case.images)
    assert trace.nominal_macs(runnable.units()) == [total_macs(runnable.units())] * 3
    assert not any(unit.part == "sharing" for unit in runnable.units())
    assert set(predictions) == {"semseg", "depth", "normals"}


@pytest.mark.parametrize("encoder", [None, SWIN], ids=["vit", "swin"])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_prefix_costs_the_shared_blocks_once(encoder, first):
    case = case_of(PrefixSharing, encoder)
    variant = case.build({"shared_blocks": first})
    runnable = variant.configure({"shared_blocks": first})
    single = total_macs(variant.dense().units())
    beginning = [
        unit.macs for unit in runnable.units() if not unit.id.startswith(("semseg", "depth", "nor", "head"))
    ]
    assert total_macs(runnable.units()) == single - 2 * sum(beginning)
    blocks = [layer for stage in variant._network.encoder().layers_of for layer in stage]
    shared = sum(layer.attention_macs + layer.mlp_macs for layer in blocks[:first])
    stem = next(unit.macs for unit in runnable.units() if unit.id == "encoder.stem")
    downsample = sum(
        unit.macs for unit in runnable.units() if unit.id.startswith("encoder.stage") and "down" in unit.id
    )
    assert sum(beginning) == shared + stem + downsample


def test_prefix_holds_the_shared_weights_once():
    variant = case_of(PrefixSharing).build({"shared_blocks": 4})
    networks = variant.configure({"shared_blocks": 4}).networks()
    held = {id(p): p.numel() for network in networks for p in network.parameters()}
    dense = [sum(p.numel() for p in n.parameters()) for n in variant.dense().networks()]
    block = sum(p.numel() for p in variant._network.encoder().blocks[0].parameters())
    encoder = variant._network.encoder()
    alike = 4 * block + sum(
        p.numel() for p in (*encoder.patch_embed.parameters(), encoder.cls_token, encoder.pos_embed)
    )
    alike += sum(p.numel() for tap in encoder.tap_norms[:2] for p in tap.parameters())
    assert sum(held.values()) == sum(dense) - 2 * alike


def test_a_branch_stores_its_differences_alone():
    variant = case_of(ComputationSharing, rank=4).build()
    state = variant._network.branch("depth").state_dict()
    differences = sum(value.numel() for key, value in state.items() if key.startswith("deltas."))
    assert differences == 6 * 4 * 96 * (1 + 3 + 1 + 1 + 1 + 4 + 4 + 1)
    assert not any("encoder" in key for key in state)


def test_the_thresholds_compute_the_asked_share_of_the_images_they_were_solved_on():
    case = case_of(ComputationSharingThreshold)
    variant = case.build()
    noise = torch.randn(2, 3, *case.problem.size, generator=torch.Generator().manual_seed(case.seed))
    shares = []
    for density in (0.8, 0.5, 0.3, 0.1):
        _, trace, _ = called(variant, {**POINT, "density": density}, noise)
        kept = [
            places.shape[1] / 24
            for one in trace.decisions
            for row in one.decisions.kept.values()
            for places in row
        ]
        shares.append(np.mean(kept))
        assert shares[-1] == pytest.approx(density, abs=0.08)
    assert shares == sorted(shares, reverse=True)


def test_artifacts_of_a_task_do_not_depend_on_the_others():
    case = case_of(ComputationSharing)
    three = ComputationSharing(case.problem).artifacts(POINT, SOURCE)
    two = ComputationSharing(case.problem.only("semseg", "depth")).artifacts(POINT, SOURCE)
    assert [a.key for a in two] == [a.key for a in three[:2]]
    other = ComputationSharing(case.problem, base="depth").artifacts(POINT, SOURCE)
    assert other[0].problem.task_names == ("depth",)
    assert not {a.key for a in other} & {a.key for a in three}
    threshold = ComputationSharingThreshold(case.problem).artifacts({**POINT, "density": 0.3}, SOURCE)
    assert [a.key for a in threshold] == [a.key for a in three]


@pytest.mark.parametrize("variant", [ComputationSharing, PrefixSharing])
def test_what_cannot_be_shared_is_refused(variant):
    case = case_of(variant)
    point = {**POINT, "shared_blocks": 7} if variant is ComputationSharing else {"shared_blocks": 7}
    assert "has 6" in variant(case.problem).refuse(point)
    fine = dict(point, shared_blocks=6)
    assert variant(case.problem).refuse(fine) is None
    with pytest.raises(UsageError, match="edge is not among the tasks"):
        variant(case.problem, base="edge").refuse(fine)
    resnet = replace(case.problem, encoder=Named("resnet", {"arch": "nano"}))
    assert "does not have" in variant(resnet).refuse(fine)


def test_the_base_task_is_the_named_one_then_semseg_then_the_first():
    assert base_of("depth", ["semseg", "depth"]) == "depth"
    assert base_of(None, ["depth", "semseg"]) == "semseg"
    assert base_of(None, ["depth", "normals"]) == "depth"
    with pytest.raises(UsageError, match="not among"):
        base_of("edge", ["depth"])


def test_the_cache_is_what_the_base_task_holds_of_one_block():
    variant = case_of(ComputationSharing).build()
    assert variant.configure(POINT).cache_bytes() == 0
    assert variant.configure({**POINT, "density": 0.5}, tasks=["semseg"]).cache_bytes() == 0
    tokens, dim = 25, 96
    assert variant.configure({**POINT, "density": 0.5}).cache_bytes() == 4 * tokens * (2 * dim + 2 * dim)


def test_thresholds_of_ones_own():
    problem = case_of(ComputationSharingThreshold).problem
    point = {"density": 0.5, "shared_blocks": 2}
    few = ComputationSharingThreshold(problem, thresholds=[0.1, 0.2])
    with pytest.raises(UsageError, match="2 thresholds are given for 4 blocks of a branch"):
        few.refuse(point)
    for level, places in ((0.0, 24), (1e9, 0)):
        own = ComputationSharingThreshold(problem, thresholds=[level] * 4)
        assert own.refuse(point) is None
        own.build(point, 0, None)
        _, trace, _ = called(own, point, torch.randn(1, 3, 32, 48))
        assert {kept.shape[1] for kept in trace.decisions.kept["depth"]} == {places}
        assert (
            own.artifacts(point, SOURCE)[1].key == ComputationSharing(problem).artifacts(point, SOURCE)[1].key
        )


@pytest.mark.parametrize("variant", [ComputationSharing, PrefixSharing])
def test_the_variant_of_an_artifact_can_be_built(variant):
    """Its problem is the sub-task alone: what training costs is estimated with it."""
    case = case_of(variant)
    full = POINT if variant is ComputationSharing else {"shared_blocks": 0}
    artifact = variant(case.problem).artifacts(full, SOURCE)[1]
    own = variant(artifact.problem, **artifact.options)
    own.build(full, 0, None)
    predictions, _, _ = called(own, full, case.images)
    assert set(predictions) == {"depth"}


@pytest.mark.parametrize("encoder", [None, SWIN], ids=["vit", "swin"])
@pytest.mark.parametrize("tasks", [("semseg", "depth", "normals"), ("depth", "normals"), ("normals",)])
@pytest.mark.parametrize(
    ("variant", "point"),
    [
        (PrefixSharing, {"shared_blocks": 2}),
        (ComputationSharing, {"density": 0.4, "shared_blocks": 2}),
        (ComputationSharing, {"density": 1.0, "shared_blocks": 0}),
    ],
)
def test_every_part_costs_what_its_units_say(variant, point, tasks, encoder):
    case = case_of(variant, encoder)
    runnable = case.build(point).configure(point, tasks=tasks)
    image = case.images[:1]
    with torch.inference_mode():
        (_, trace), count = count_call(runnable, image, parts=unique_parts(runnable.parts()))
    units, counted = runnable.units(), Counter()
    for part, macs in count.by_part.items():
        counted[part.partition("#")[0]] += macs  # several networks have parts of one name
    for part in {unit.part for unit in units}:
        (said,) = of_part(trace, units, part)
        assert counted[part] == pytest.approx(said), part
    assert counted["other"] == 0


def of_part(trace, units, part):
    """What a trace says of the units of one part."""
    return trace.nominal_macs([unit for unit in units if unit.part == part])


def test_thresholds_go_to_nothing_at_full_density():
    network = case_of(ComputationSharingThreshold).build()._network
    levels = [levels_for(network, "depth", density) for density in (0.95, 0.99, 1.0)]
    assert all(a > b > c == 0 for a, b, c in zip(*levels, strict=True))
