"""The three stages of the element-wise form, trained by the loop that trains everything."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mtlbench import tasks
from mtlbench.data.batches import LoadedSplit, eval_batches, normalise
from mtlbench.errors import MtlbenchError, UsageError
from mtlbench.training.artifact import Named, Problem, Source
from mtlbench.training.loop import learning_rate, train
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.variants.network import build_dense
from mtlbench.variants.sharing.element_network import DENSITIES
from mtlbench.variants.sharing.element_options import ElementOptions
from mtlbench.variants.sharing.element_recipe import element_recipe
from mtlbench.variants.sharing.element_variant import ComputationSharingElement
from mtlbench.variants.sharing.network import flat_layers

PROBLEM = Problem(
    (16, 16),
    Named("vit", {"arch": "nano", "patch": 8}),
    Named("multiscale", {"width": 8}),
    (Named("semseg", {"classes": ["dark", "light"]}), Named("depth")),
)
SUB = PROBLEM.only("depth")
PROTOCOL = TrainingProtocol(epochs=2, batch=4, lr=2e-3, flip=0.0, jitter=0.0)
NORMALISE = partial(normalise, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
BASE = build_dense(PROBLEM.only("semseg"), 0, None).state_dict()
QUICK = {"alpha_scale": 1000.0, "delta_share": 1.0, "mask_share": 0.5, "activation_share": 0.5}


def split(count, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return LoadedSplit(
        tuple(f"{seed}-{i}" for i in range(count)),
        images,
        {"depth": (1 + images.mean(axis=-1) / 100).astype(np.float32)},
        {},
    )


TRAIN, VAL = split(12, 0), split(4, 1)


def trained(stage, options, parents):
    return train(
        element_recipe(stage, SUB, options),
        PROTOCOL,
        {"depth": tasks.registry.get("depth")()},
        TRAIN,
        VAL,
        seed=3,
        parents={"base": BASE, **parents},
        normalise=NORMALISE,
    ).state


@cache
def stages():
    options = ElementOptions(**QUICK)
    delta = trained("delta", options, {})
    mask = trained("mask", options, {"delta": delta})
    return options, delta, mask, trained("activations", options, {"mask": mask})


def logits(options, state):
    return options.alpha_scale * torch.cat((state["difference.gates"], state["difference.tensor_gates"]))


def test_weights_stage_lowers_the_expected_number_of_open_gates():
    options, delta, _, _ = stages()
    found = logits(options, delta)
    assert float(torch.sigmoid(found).mean()) < 0.9 < float(torch.sigmoid(torch.tensor(5.0)))
    assert 0.02 < float((found > 0).double().mean()) < 0.98
    assert delta["difference.values"].count_nonzero() > 0


def test_what_is_stored_is_the_branch_alone_and_sparse():
    _, delta, mask, last = stages()
    assert all(key.startswith(("difference.", "head.", "levels")) for key in {**delta, **mask, **last})
    count = len(last["difference.values"])
    assert len(last["difference.indices"]) == count == len(mask["difference.values"])
    assert torch.equal(last["difference.indices"], mask["difference.indices"])
    assert count < len(delta["difference.values"])


def test_corrected_mask_is_the_settled_gate_and_keeps_its_factor():
    options, delta, _, _ = stages()
    start = element_recipe("mask", SUB, options).network({"base": BASE, "delta": delta}, seed=3)
    element = options.alpha_scale * delta["difference.gates"]
    tensors = torch.repeat_interleave(
        options.alpha_scale * delta["difference.tensor_gates"],
        torch.tensor([p.numel() for p in build_dense(SUB, 0, None).encoder.parameters()]),
    )
    factor = (3 * element.sigmoid() - 1.5).clamp(0, 1) * (3 * tensors.sigmoid() - 1.5).clamp(0, 1)
    torch.testing.assert_close(
        start.difference().detach(), factor * delta["difference.values"], atol=1e-7, rtol=1e-5
    )
    assert torch.equal(start.difference.stored(), factor > 0)


def test_compat_mask_is_one_draw_and_drops_the_factor():
    options = ElementOptions(preset="compat")
    delta = element_recipe("delta", SUB, options).network({"base": BASE}, seed=0).state_dict()
    delta["difference.values"].normal_()
    recipe = element_recipe("mask", SUB, options)
    first, again, other = (recipe.network({"base": BASE, "delta": delta}, seed=s) for s in (3, 3, 4))
    there = first.difference.stored()
    assert torch.equal(there, again.difference.stored())
    assert not torch.equal(there, other.difference.stored())
    assert torch.equal(first.difference().detach(), torch.where(there, delta["difference.values"], 0.0))


def test_the_base_task_is_as_it_was_and_later_stages_move_the_stored_weights():
    before = {name: part.clone() for name, part in BASE.items()}
    _, _, mask, last = stages()
    assert all(torch.equal(before[name], part) for name, part in BASE.items())
    assert not torch.equal(mask["difference.values"], last["difference.values"])
    variant = ComputationSharingElement(PROBLEM)
    variant.build({"density": 1.0}, 0, [BASE, last])
    for name, part in variant._network.network("semseg").state_dict().items():
        assert torch.equal(part, BASE[name])


def test_activation_penalty_is_the_sum_of_an_image_or_the_mean_of_an_element():
    _, _, mask, _ = stages()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    labels = {"depth": torch.ones(3, 16, 16)}

    def penalty(images, kind):
        recipe = element_recipe("activations", SUB, ElementOptions(penalty=kind, lambda_a=1.0))
        network = recipe.network({"base": BASE, "mask": mask}, seed=0)
        found = recipe.losses(network, images, {"depth": labels["depth"][: len(images)]}, 0.0)
        return found["activations"].item()

    # six blocks of 1 + 2 * 2 tokens; norm1, qkv, proj, fc1, act, fc2 are 1 + 3 + 1 + 4 + 4 + 1 times 96 wide
    elements = 6 * 5 * 14 * 96
    assert penalty(images, "sum") == pytest.approx(elements * penalty(images, "mean"), rel=1e-5)
    alone = [penalty(images[i : i + 1], "sum") for i in range(3)]
    assert penalty(images, "sum") == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_thresholds_leave_the_asked_density_on_the_calibration_images():
    _, _, _, last = stages()
    variant = ComputationSharingElement(PROBLEM)
    variant.build({"density": 1.0}, 0, [BASE, last])
    x = torch.cat([NORMALISE(images) for images, _ in eval_batches(VAL, 4)])
    widths = {"qkv": 3, "proj": 1, "fc1": 4, "fc2": 1}
    for density in (*DENSITIES, 0.4):
        runnable = variant.configure({"density": density})
        found = runnable.densities(x)
        for layer in flat_layers(variant._network.encoder("depth")):
            own = [d for d in found if d.unit == layer.unit]
            kept = sum(widths[d.layer] * float(d.outputs.mean()) for d in own) / 9
            assert kept == pytest.approx(density, abs=0.02)


def test_gates_decay_as_the_released_optimizer_would_decay_them():
    options = ElementOptions(preset="compat", lambda_w=0.0, alpha_scale=100.0)
    recipe = element_recipe("delta", SUB, options)
    recipe.protocol(PROTOCOL)
    network = recipe.network({"base": BASE}, seed=0).train()
    images, labels = torch.zeros(1, 3, 16, 16), {"depth": torch.ones(1, 16, 16)}
    expected = 5.0
    for step in range(4):
        recipe.losses(network, images, labels, step / 4)
        expected *= 1 - 0.01 * 100 * learning_rate(step * 2500, 10_000, PROTOCOL)
    assert float(100 * network.difference.gates[0].detach()) == pytest.approx(expected, rel=1e-5)


def test_a_preset_gives_defaults_and_no_more():
    released = ElementOptions(preset="compat", soft=True)
    assert (released.gate_decay, released.mask, released.soft, released.penalty) == (
        0.01,
        "sampled",
        True,
        "sum",
    )
    assert ElementOptions.model_validate(released.model_dump()) == released
    assert ElementOptions().mask == "expected"
    with pytest.raises(ValidationError, match="preset"):
        ElementOptions(preset="paper")


def test_options_of_a_stage_train_no_earlier_one_again():
    source = Source(Named("scenes"), "", {}, 0)

    def keys(**options):
        last = ComputationSharingElement(PROBLEM, **options).artifacts({"density": 1.0}, source)[1]
        mask = last.parents["mask"]
        return last.key, mask.key, mask.parents["delta"].key

    plain, lighter, harder = keys(), keys(lambda_a=0.1), keys(lambda_w=1e-5)
    assert [a == b for a, b in zip(plain, lighter, strict=True)] == [False, True, True]
    assert not set(plain) & set(harder)


def test_a_branch_without_thresholds_runs_at_full_density_alone():
    _, _, mask, _ = stages()  # the second stage solves none
    variant = ComputationSharingElement(PROBLEM)
    variant.build({"density": 1.0}, 0, [BASE, mask])
    variant.configure({"density": 1.0})
    with pytest.raises(UsageError, match="depth was never calibrated"):
        variant.configure({"density": 0.5})


def test_another_base_task_than_there_is_and_foreign_weights_are_refused():
    variant = ComputationSharingElement(PROBLEM, base="normals")
    with pytest.raises(UsageError, match="normals"):
        variant.refuse({"density": 1.0})
    with pytest.raises(MtlbenchError, match="do not fit"):
        ComputationSharingElement(PROBLEM).build({"density": 1.0}, 0, [BASE, {}])
