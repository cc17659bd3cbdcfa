"""Streams: what is shared between frames, when nothing is, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import torch
from torch.nn import functional as F

from mtlbench.cost.counter import count_call
from mtlbench.errors import UsageError
from mtlbench.testing import CHECKS, Case
from mtlbench.training.artifact import Named, Source
from mtlbench.variants.sharing.variant import ComputationSharing
from mtlbench.variants.sharing.video_variant import ComputationSharingVideo

FULL = {"interval": 4, "density": 1.0, "temporal_density": 1.0, "shared_blocks": 0}
SPARSE = FULL | {"density": 0.5, "temporal_density": 0.3}
SWIN = Named("swin", {"arch": "nano", "patch": 2, "window": 5})


def clip(frames, seed=0, step=0.2):
    """One picture, to which a little noise is added from frame to frame."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(frames, 3, 32, 48, generator=generator)
    return noise[:1] + step * noise.cumsum(dim=0)


def built(point, **options):
    """A built variant."""
    return Case.small(ComputationSharingVideo, **options).build(point)


def runnable_at(point, tasks=None, mode=None, **options):
    """A stream's network."""
    return built(point, **options).configure(point, tasks, mode)


def run(runnable, frames):
    """Predictions of frames that are called one by one, and what was decided."""
    with torch.inference_mode():
        found = [runnable(frame) for frame in frames.split(1)]
    told = [trace.decisions[0] for _, trace in found]
    return {name: torch.cat([one[name] for one, _ in found]) for name in runnable.tasks}, told


def assert_same(found, expected):
    for name, prediction in expected.items():
        torch.testing.assert_close(found[name], prediction, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [{"interval": 1}, {"temporal_density": 1.0}], ids=str)
def test_without_sharing_between_frames_each_frame_is_an_image(changes):
    point = SPARSE | changes
    found, told = run(runnable_at(point), clip(4))
    case = Case.small(ComputationSharing)
    image = {"density": 0.5, "shared_blocks": 0}
    expected, _ = run_images(case.build(image).configure(image), clip(4))
    assert_same(found, expected)
    assert all(frame.key for frame in told)


def run_images(runnable, images):
    with torch.inference_mode():
        return runnable(images)


@pytest.mark.parametrize("interval", [1, 3])
def test_at_full_density_every_frame_is_the_dense_networks(interval):
    point = FULL | {"interval": interval}
    variant = built(point)
    found, _ = run(variant.configure(point), clip(4))
    assert_same(found, run_images(variant.dense(), clip(4))[0])


@pytest.mark.parametrize("below", ["base", "carried"])
def test_a_stream_that_stands_still_keeps_the_key_frames_predictions(below):
    still = clip(1).expand(5, -1, -1, -1)
    found, told = run(runnable_at(FULL | {"temporal_density": 0.1}, below=below), still)
    assert [frame.age for frame in told] == [0, 1, 2, 3, 0]
    assert_same(found, {name: prediction[:1].expand_as(prediction) for name, prediction in found.items()})


@pytest.mark.parametrize("split", [None, 2])
def test_a_cut_makes_a_key_frame_and_begins_anew(split):
    frames = torch.cat((clip(3), clip(3, seed=1)))
    runnable = runnable_at(SPARSE, split=split)
    found, told = run(runnable, frames)
    assert [frame.age for frame in told] == [0, 1, 2, 0, 1, 2]
    assert [frame.cut for frame in told] == [False, False, False, True, False, False]
    runnable.reset()
    anew, _ = run(runnable, frames[3:])
    assert_same({name: prediction[3:] for name, prediction in found.items()}, anew)


def test_what_is_shared_changes_the_prediction():
    found, _ = run(runnable_at(SPARSE), clip(3))
    whole, _ = run(runnable_at(SPARSE | {"interval": 1}), clip(3))
    for name, prediction in found.items():
        torch.testing.assert_close(prediction[0], whole[name][0])
        assert float((prediction[2] - whole[name][2]).abs().max()) > 1e-3


def test_a_batch_is_frames_one_after_the_other():
    frames = clip(4)
    one_by_one, told = run(runnable_at(SPARSE), frames)
    runnable = runnable_at(SPARSE)
    together, trace = run_images(runnable, frames)
    assert_same(together, one_by_one)
    assert [frame.age for frame in trace.decisions] == [frame.age for frame in told]
    expected = [runnable._costs.trace_of([frame]).nominal_macs(runnable.units())[0] for frame in told]
    assert trace.nominal_macs(runnable.units()) == expected
    assert expected[3] < expected[0]


def test_what_changes_slowly_is_computed_in_the_end():
    """Places are told apart by their change since they were computed, so each has its turn."""
    frames = clip(8, step=0.01)
    frames[1:] = (
        frames[:1] + torch.arange(1, 8).view(-1, 1, 1, 1) * 0.01
    )  # every token moves a little, all the time
    point = FULL | {"interval": 8, "temporal_density": 0.2}
    _, told = run(runnable_at(point, ["semseg"]), frames)
    computed = torch.cat([frame.time["semseg"][0][0] for frame in told[1:]])
    assert set(computed.tolist()) == set(range(24))


def test_reset_forgets():
    frames, runnable = clip(3), runnable_at(SPARSE)
    first, _ = run(runnable, frames)
    run(runnable, clip(2, seed=1))
    runnable.reset()
    assert runnable.held_bytes() == 0
    again, _ = run(runnable, frames)
    assert all(torch.equal(again[name], first[name]) for name in first)


def dense_stream(network, frames, density, carried):
    """The base task's maps over a stream: every block computed whole, and most of it thrown away."""
    encoder = network.encoder
    held = {}
    for t, frame in enumerate(frames.split(1)):
        x, maps = encoder.embed(frame), []
        for i, block in enumerate(encoder.blocks):
            before, after, keys, values = held.get(i, (x, x, x, x))
            changed = (x - before)[0, 1:].norm(dim=-1)
            chosen = torch.zeros(x.shape[1], dtype=torch.bool)
            chosen[1 + changed.argsort(descending=True)[: round(density * len(changed))]] = True
            chosen[0] = True
            if t == 0:
                chosen[:] = True
            pick = chosen[None, :, None]
            q, k, v = F.linear(block.norm1(x), block.attn.qkv.weight, block.attn.qkv.bias).chunk(3, dim=-1)
            k, v = torch.where(pick, k, keys), torch.where(pick, v, values)
            split = [part.unflatten(-1, (block.attn.heads, -1)).transpose(1, 2) for part in (q, k, v)]
            logits = split[0] @ split[1].transpose(2, 3) / split[0].shape[-1] ** 0.5
            mixed = (logits.softmax(dim=-1) @ split[2]).transpose(1, 2).flatten(2)
            computed = x + block.attn.proj(mixed)
            computed = computed + block.mlp(block.norm2(computed))
            held[i] = (torch.where(pick, x, before), torch.where(pick, computed, after), k, v)
            x = torch.where(pick, computed, after + x - before if carried else after)
            if i in encoder.tap_blocks:
                maps.append(encoder.to_map(x, len(maps)))
    return maps


@pytest.mark.parametrize("below", ["base", "carried"])
def test_sharing_between_frames_is_what_a_dense_reference_makes_of_it(below):
    point = FULL | {"temporal_density": 0.25}
    variant = built(point, below=below)
    found, _ = run(variant.configure(point, ["semseg"]), clip(4))
    network = variant._network
    with torch.inference_mode():
        maps = dense_stream(network, clip(4), 0.25, below == "carried")
        expected = network.head("semseg")(maps)
    torch.testing.assert_close(found["semseg"][3:], expected, rtol=1e-4, atol=1e-4)


@dataclass(frozen=True)
class StreamCase(Case):
    """One point, at which something is taken from the frame before."""

    point: dict = field(default_factory=dict)

    def points(self):
        return [self.point]


FORMS = {
    "measured split, another base": (None, SPARSE, {"base": "depth"}),
    "given split, carried, shared blocks": (
        None,
        SPARSE | {"shared_blocks": 1},
        {"split": 3, "below": "carried"},
    ),
    "windows with padding": (SWIN, SPARSE, {"split": 3}),
    "nothing over time": (None, SPARSE | {"temporal_density": 0.0}, {"split": 3}),
    "nothing of tasks": (None, SPARSE | {"density": 0.0}, {"split": 3}),
}
ABOUT_STREAMS = (
    "modes_agree",
    "tasks_are_independent",
    "formulas_equal_the_counter",
    "counted_decisions_made_the_prediction",
    "forced_decisions_follow_their_seed",
)


@pytest.mark.parametrize("check", ABOUT_STREAMS)
@pytest.mark.parametrize("form", FORMS)
def test_streams_conform(form, check):
    encoder, point, options = FORMS[form]
    case = Case.small(ComputationSharingVideo)
    problem = case.problem if encoder is None else replace(case.problem, encoder=encoder)
    CHECKS[check](StreamCase(case.variant, problem, clip(3), options, point=point))


@pytest.mark.parametrize("tasks", [None, ["depth"], ["semseg"]], ids=str)
def test_executed_macs_equal_the_formulas_frame_by_frame(tasks):
    runnable = runnable_at(SPARSE, tasks)
    units = runnable.units()
    costs = []
    for frame in torch.cat((clip(5), clip(3, seed=1))).split(1):
        with torch.inference_mode():
            (_, trace), count = count_call(runnable, frame)
        (nominal,) = trace.nominal_macs(units)
        assert nominal == pytest.approx(count.macs, rel=1e-9)
        costs.append(nominal)
    assert costs[0] == costs[4] == costs[5] > costs[1] >= costs[2]


def test_the_base_task_runs_no_further_than_it_is_needed():
    case = Case.small(ComputationSharingVideo, split=1)
    case = replace(case, problem=replace(case.problem, encoder=SWIN))
    _, trace = run_images(case.build(SPARSE).configure(SPARSE, ["depth"]), clip(2))
    first, second = (trace.active[f"encoder.stage.0.block.{i}.attention"].tolist() for i in range(2))
    assert first[0] == second[0] == 1
    assert 0 < first[1] < 1
    assert second[1] == 0
    assert trace.active["encoder.stage.0.downsample"].tolist() == [1, 0]
    assert trace.active["encoder.stage.1.block.0.attention"].tolist() == [1, 0]


def test_the_trace_tells_where_each_layer_took_from():
    _, told = run(runnable_at(SPARSE, split=2), clip(3))
    assert [set(frame.time) for frame in told] == [
        set(),
        {"semseg", "depth", "normals"},
        {"semseg", "depth", "normals"},
    ]
    assert set(told[1].task["depth"]) == {0, 1}
    assert set(told[1].time["depth"]) == {2, 3, 4, 5}
    assert set(told[1].time["semseg"]) == set(range(6))
    assert told[1].places("depth", 1).shape == (1, 12)
    assert told[1].places("depth", 2).shape == (1, 7)


@pytest.mark.parametrize(("nearer", "step", "scale"), [("frame before", 1e-3, 4.0), ("base task", 0.2, 0.01)])
def test_the_split_is_measured_once_a_shot_and_by_what_differs_less(nearer, step, scale):
    frames = torch.cat((clip(6, step=step), clip(6, seed=1, step=step)))
    _, told = run(runnable_at(SPARSE, scale=scale), frames)
    splits = [frame.split.get("depth") for frame in told]
    assert splits[1] == splits[7] == 6  # measured in this one, which takes from the base task everywhere
    assert splits[2] == splits[3] == splits[5] == splits[8] == (0 if nearer == "frame before" else 6)
    assert splits[0] is splits[4] is splits[6] is None  # key frames


@pytest.mark.parametrize(
    "options", [{"split": 2}, {"split": 2, "below": "carried"}, {"split": None, "scale": 0.01}], ids=str
)
def test_what_is_held_is_what_is_stated(options):
    runnable = runnable_at(SPARSE, **options)
    held = []
    for frame in clip(4).split(1):
        with torch.inference_mode():
            runnable(frame)
        held.append(runnable.held_bytes())
    blocks = 6 + 2 * (
        6 if options["split"] is None else 4
    )  # of the base task, and of sub-tasks behind the split
    block = 25 * 4 * 96  # tokens before and behind it, keys and values
    between = 4 * (blocks * block + 3 * 8 * 8)
    assert max(held) <= between
    assert runnable.cache_bytes() == between + 4 * block  # and one that is given from task to task
    if options["split"] is not None:
        assert held[1:] == [between] * 3
    else:
        assert held[2:] == [4 * (6 * block + 3 * 8 * 8)] * 2  # sub-tasks take from the base task alone


def test_nothing_is_held_where_nothing_is_shared_between_frames():
    runnable = runnable_at(SPARSE | {"interval": 1})
    run(runnable, clip(2))
    assert runnable.held_bytes() == 0


def test_no_gradients_are_kept():
    runnable = runnable_at(SPARSE)
    predictions, _ = runnable(clip(2))
    assert not any(prediction.requires_grad for prediction in predictions.values())


@pytest.mark.parametrize("shape", [(1, 3, 48, 32), (3, 32, 48), (0, 3, 32, 48)])
def test_frames_of_another_size_are_refused(shape):
    runnable = runnable_at(SPARSE)
    run(runnable, clip(1))
    with pytest.raises(UsageError, match="32x48"):
        runnable(torch.zeros(shape))


def test_a_trace_is_replayed_where_it_belongs():
    runnable = runnable_at(SPARSE)
    with torch.inference_mode():
        _, trace = runnable(clip(2))
        _, later = runnable(clip(3)[2:])
        with pytest.raises(UsageError, match="2 frames"):
            runnable(clip(3), trace)
        runnable.reset()
        with pytest.raises(UsageError, match="nothing is kept"):
            runnable(clip(3)[2:], later)


def test_forced_frames_take_their_place_in_the_stream():
    runnable = runnable_at(SPARSE | {"interval": 2})
    frames = torch.randn(4, 3, 32, 48, generator=torch.Generator().manual_seed(0))  # they would all be cuts
    forced = [runnable.forced(frame, seed) for seed, frame in enumerate(frames.split(1))]
    with torch.inference_mode():
        ages = [
            runnable(x, told)[1].decisions[0].age for x, told in zip(frames.split(1), forced, strict=True)
        ]
    assert ages == [0, 1, 0, 1]
    assert runnable_at(FULL).forced(frames, 0) is None


def test_a_split_behind_the_last_block_is_refused():
    problem = Case.small(ComputationSharingVideo).problem
    assert ComputationSharingVideo(problem, split=6).refuse(SPARSE) is None
    assert "has 6" in ComputationSharingVideo(problem, split=7).refuse(SPARSE)


def test_an_interval_is_a_number_of_frames():
    with pytest.raises(UsageError, match="number of frames"):
        ComputationSharingVideo(Case.small(ComputationSharingVideo).problem).refuse(
            SPARSE | {"interval": 2.5}
        )


def test_weights_are_those_of_computation_sharing():
    case = Case.small(ComputationSharing)
    source = Source(Named("scenes"), "hash", {"epochs": 1}, 0)
    images = ComputationSharing(case.problem, rank=4).artifacts({"shared_blocks": 3}, source)
    stream = ComputationSharingVideo(case.problem, rank=4, cut=0.3, split=2)
    found = stream.artifacts(SPARSE | {"shared_blocks": 3}, source)
    assert [artifact.key for artifact in found] == [artifact.key for artifact in images]
