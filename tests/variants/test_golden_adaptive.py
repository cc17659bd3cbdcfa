"""The released code's adaptive networks: its weights in ours give its decisions, its outputs and its count of MACs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench import variants
from mtlbench.encoders.swin import Swin
from mtlbench.training.artifact import Named, Problem

TASKS = {"semseg": "semseg", "normals": "normals", "sal": "saliency", "human_parts": "human_parts"}
WITH_CLASSES = ("semseg", "human_parts")
POINT = {"budget": 0.7}
BATCHES = ([0], [1], [2], [0, 1, 2])


@dataclass
class Golden:
    """What the released code did, and the network with its weights."""

    arrays: dict[str, Tensor]
    printed_macs: list[float]
    static_macs: float
    variant: Any

    def runnable(self, mode="gathered", point=POINT):
        return self.variant.configure(point, mode=mode)

    def run(self, batch, mode="gathered"):
        with torch.inference_mode():
            return self.runnable(mode)(self.arrays["input"][batch])

    def output(self, batch, task):
        return torch.cat([self.arrays[f"output.{i}.{task}"] for i in batch])

    def block_mask(self, image, stage, task=""):
        return self.arrays[".".join(filter(None, (f"block_mask.{image}.{stage}", task)))][0].bool()

    def token_mask(self, image, stage, layer):
        return self.arrays[f"token_mask.{image}.{stage}.{layer}"].flatten().bool()


def problem(config):
    options = {
        "dim": config["embed"],
        "depths": config["depths"],
        "heads": config["heads"],
        "patch": config["patch_size"],
        "window": config["win"],
        "maps": "after_merging",
        "tap_norms": False,
    }
    specs = tuple(
        Named(
            ours,
            {"classes": list(map(str, range(config["num_outputs"][theirs])))} if ours in WITH_CLASSES else {},
        )
        for theirs, ours in TASKS.items()
    )
    head = Named("adamtl", {"width": config["dec"], "layout": "released"})
    return Problem((config["img"],) * 2, Named("swin", Swin.resolve(options)), head, specs)


@pytest.fixture(scope="module", params=["tag", "taw"])
def golden(request, shared, tmp_path_factory):
    folder = shared / "golden" / "adamtl"
    if not folder.is_dir():
        pytest.skip(f"no golden outputs: {folder} is not there")
    meta = json.loads((folder / "meta.json").read_text())
    with np.load(folder / f"{request.param}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    weights = {key.removeprefix("state."): value for key, value in arrays.items() if key.startswith("state.")}
    checkpoint = tmp_path_factory.mktemp("golden") / "ckpt_epoch_0.pth"
    torch.save({"model": weights}, checkpoint)
    variant = variants.registry.get("adamtl_compat")(
        problem(meta["config"]),
        policy=request.param,
        hidden=meta["config"]["ctrl"],
        decision="certain",
        checkpoint=str(checkpoint),
    )
    variant.build(POINT, 0, None)
    macs = meta[request.param]["repo_backbone_macs"]
    return Golden(arrays, macs, meta["static"]["repo_backbone_macs"][0], variant)


@pytest.mark.parametrize("mode", ["gathered", "masked"])
@pytest.mark.parametrize("batch", BATCHES)
def test_golden_outputs(golden, batch, mode):
    found, _ = golden.run(batch, mode)
    for theirs, ours in TASKS.items():
        expected = golden.output(batch, theirs)
        assert (found[ours] - expected).abs().max() < 1e-4 * expected.abs().max(), ours


@pytest.mark.parametrize("mode", ["gathered", "masked"])
@pytest.mark.parametrize("batch", BATCHES)
def test_golden_decisions(golden, batch, mode):
    told = golden.run(batch, mode)[1].decisions
    for row, image in enumerate(batch):
        for s, of_stage in enumerate(told.layers):
            samples = [list(range(len(batch))) if k.samples is None else k.samples.tolist() for k in of_stage]
            assert [row in there for there in samples] == golden.block_mask(image, s).tolist()
            for i, kept in enumerate(of_stage):
                expected = golden.token_mask(image, s, i)
                if row in samples[i]:
                    assert torch.equal(kept.places[samples[i].index(row)], expected)
                else:
                    assert not expected.any()


def test_golden_decisions_of_each_task(golden):
    told = golden.run([0, 1, 2])[1].decisions
    tasks = list(TASKS) if golden.variant.options.policy == "taw" else [""]
    for s, logits in enumerate(told.block_logits):
        expected = [torch.stack([golden.block_mask(image, s, task) for image in range(3)]) for task in tasks]
        assert torch.equal(logits > 0, torch.stack(expected, dim=-1))


@pytest.mark.parametrize("batch", BATCHES)
def test_golden_claimed_macs(golden, batch):
    _, trace = golden.run(batch)
    assert list(trace.claimed_macs) == [golden.printed_macs[image] for image in batch]
    assert trace.claimed_full_macs == golden.static_macs


def test_golden_claimed_macs_without_policies(golden):
    with torch.inference_mode():
        _, trace = golden.runnable(point={"budget": 1.0})(golden.arrays["input"])
    assert list(trace.claimed_macs) == [golden.static_macs] * 3
