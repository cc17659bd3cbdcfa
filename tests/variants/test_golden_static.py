"""The released code's static network: its weights in our encoder and head give its outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from mtlbench.cost.units import total_macs
from mtlbench.encoders.swin import Swin
from mtlbench.heads.released_adamtl import AdaMTLHead
from mtlbench.variants.adamtl.released import released_state, require_fit

TASKS = {"semseg": "semseg", "normals": "normals", "sal": "saliency", "human_parts": "human_parts"}


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "golden" / "adamtl"
    if not folder.is_dir():
        pytest.skip(f"no golden outputs: {folder} is not there")
    config = json.loads((folder / "meta.json").read_text())["config"]
    with np.load(folder / "static.npz") as file:
        return config, {key: torch.from_numpy(file[key]) for key in file.files}


def weights(arrays):
    return {key.removeprefix("state."): value for key, value in arrays.items() if key.startswith("state.")}


def network(config, layout="released"):
    encoder = Swin(
        (config["img"], config["img"]),
        dim=config["embed"],
        depths=config["depths"],
        heads=config["heads"],
        patch=config["patch_size"],
        window=config["win"],
        maps="after_merging",
        tap_norms=False,
    )
    heads = {
        ours: AdaMTLHead(
            encoder.size,
            encoder.channels,
            encoder.strides,
            config["num_outputs"][theirs],
            width=config["dec"],
            layout=layout,
        )
        for theirs, ours in TASKS.items()
    }
    return nn.ModuleDict({"encoder": encoder, "heads": nn.ModuleDict(heads)}).eval()


def predict(net, x):
    maps = net["encoder"](x)
    return {ours: head(maps) for ours, head in net["heads"].items()}


def distance(found, expected):
    """The largest difference, relative to the largest value."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def test_golden_static_outputs(golden):
    config, arrays = golden
    net = network(config)
    state = released_state(weights(arrays))
    require_fit(state, net.state_dict())
    net.load_state_dict(state)
    with torch.inference_mode():
        for i in range(3):
            found = predict(net, arrays["input"][i : i + 1])
            for theirs, ours in TASKS.items():
                assert distance(found[ours], arrays[f"output.{i}.{theirs}"]) < 1e-4, (i, ours)
        together = predict(net, arrays["input"])
        for theirs, ours in TASKS.items():
            expected = torch.cat([arrays[f"output.{i}.{theirs}"] for i in range(3)])
            assert distance(together[ours], expected) < 1e-4


def test_golden_static_needs_the_released_layout(golden):
    config, arrays = golden
    net = network(config, layout="correct")
    net.load_state_dict(released_state(weights(arrays)))
    with torch.inference_mode():
        found = predict(net, arrays["input"][:1])
    assert all(distance(found[ours], arrays[f"output.0.{theirs}"]) > 0.01 for theirs, ours in TASKS.items())


def test_golden_static_tables_lie_in_the_middle(golden):
    """A grid of 2 x 2 has a released table of 3 x 3; elsewhere than in the middle it would do another thing."""
    config, arrays = golden
    released = weights(arrays)
    name = "layers.3.blocks.0.attn.relative_position_bias_table"
    small, wide = released[f"backbone.{name}"], released_state(released)[f"encoder.{name}"]
    heads = config["heads"][3]
    assert (small.shape, wide.shape) == ((9, heads), (49, heads))
    assert torch.equal(wide.view(7, 7, heads)[2:5, 2:5].flatten(0, 1), small)
    assert wide.count_nonzero() == small.count_nonzero()


def test_golden_static_sizes(golden, shared):
    config, _ = golden
    meta = json.loads((shared / "golden/adamtl/meta.json").read_text())["static"]
    net = network(config)
    unused = (49 - 9) * config["heads"][3] * config["depths"][3]  # rows around the middle of the tables
    assert sum(p.numel() for p in net.parameters()) - unused == meta["params"]

    # The released counter adds one for every element that a norm sees, of a final norm that is not there too.
    stages = net["encoder"].layers_of
    normed = sum(2 * layer.dim * layer.tokens for stage in stages for layer in stage)
    normed += sum(stage[0].dim * stage[0].tokens for stage in stages[:-1])  # before merging
    first, last = stages[0][0], stages[-1][0]
    normed += first.dim * first.tokens + last.dim * first.tokens // 2 ** len(stages)
    assert [total_macs(net["encoder"].units()) + normed] * 3 == meta["repo_backbone_macs"]
