from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import SwinBackbone, SwinConfig, SwinForImageClassification

from mtlbench.encoders.swin import Swin
from mtlbench.encoders.weights import Checkpoint, fit_weights
from mtlbench.errors import DataError

SIZE, WINDOW = (96, 96), 2  # a backbone of transformers shifts windows even where one spans the grid
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def config(**more):
    return SwinConfig(
        image_size=SIZE[0],
        embed_dim=32,
        depths=[2, 2, 4, 2],
        num_heads=[1, 2, 4, 8],
        window_size=WINDOW,
        **more,
    )


def randomised(model):
    """Move every parameter away from 0 and 1, so that a forgotten one shows."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.trunc_normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return model.eval()


def nano(window=WINDOW):
    return Swin(SIZE, arch="nano", window=window).eval()


def load(encoder, state):
    return fit_weights(encoder, Checkpoint(Path("file"), state), "0" * 64, "swin", encoder.layouts())


def published_names(state):
    """The spelling of checkpoints on the Hub, written by transformers before version 5."""
    spelling = {
        "attention.q_proj": "attention.self.query",
        "attention.k_proj": "attention.self.key",
        "attention.v_proj": "attention.self.value",
        "attention.relative_position_bias.": "attention.self.",
        "attention.o_proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    renamed = {}
    for key, value in state.items():
        for new, old in spelling.items():
            key = key.replace(new, old)  # noqa: PLW2901  # a chain of replacements
        renamed[key] = value
    index = "swin.encoder.layers.0.blocks.0.attention.self.relative_position_index"
    return renamed | {index: torch.zeros(49, 49, dtype=torch.long)}


def official_names(swin):
    """The state of an encoder as the published checkpoints name it, with what else they hold."""
    renamed = {
        "head.weight": torch.zeros(10, 256),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49, dtype=torch.long),
        "layers.0.blocks.1.attn_mask": torch.zeros(4, 49, 49),
    }
    for key, value in swin.state_dict().items():
        if key.startswith("tap_norms.3."):
            renamed[key.replace("tap_norms.3.", "norm.")] = value
        elif not key.startswith("tap_norms."):
            renamed[key] = value
    return renamed


def timm_names(swin):
    """The same as timm has named it since 0.9: merging at the beginning of a layer."""
    state = official_names(swin)
    state["head.fc.weight"] = state.pop("head.weight")
    return {re.sub(r"layers\.(\d)\.downsample", one_more, key): value for key, value in state.items()}


def one_more(match):
    return f"layers.{int(match[1]) + 1}.downsample"


def flat_timm_names(swin):
    """The same from a feature extractor of timm."""
    return {re.sub(r"^layers\.(\d)", r"layers_\1", key): value for key, value in timm_names(swin).items()}


def detection_names(swin):
    """As detection code names a backbone: a norm for every map."""
    return {
        re.sub(
            r"^tap_norms\.(\d)", r"backbone.norm\1", f"{'' if key.startswith('tap') else 'backbone.'}{key}"
        ): value
        for key, value in swin.state_dict().items()
    }


@pytest.mark.parametrize("spelling", [dict, published_names])
def test_a_backbone_of_transformers_gives_the_same_maps(spelling):
    theirs = randomised(SwinBackbone(config(out_features=STAGES)))
    ours = nano()
    account = load(ours, spelling(theirs.state_dict()))
    assert account.layout == "Hugging Face Swin backbone"
    assert account.missing == ()
    x = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        for found, expected in zip(ours(x), theirs(x).feature_maps, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"maps": "after_merging"}, 6),
        ({"maps": "after_merging", "tap_norms": False}, 0),
        ({"tap_norms": False}, 0),
    ],
)
def test_a_backbone_of_transformers_fits_maps_without_its_norms(options, missing):
    ours = Swin(SIZE, arch="nano", window=WINDOW, **options)
    account = load(ours, SwinBackbone(config(out_features=STAGES)).state_dict())
    assert len(account.missing) == missing
    assert {why for key, why in account.left_out.items() if "norms" in key} == {"no map here has this norm"}


@pytest.mark.parametrize("spelling", [dict, published_names])
def test_a_classifier_of_transformers_gives_its_last_map(spelling):
    theirs = randomised(SwinForImageClassification(config()))
    ours = nano()
    account = load(ours, spelling(theirs.state_dict()))
    assert account.layout.startswith("Hugging Face Swin")
    assert "classifier.weight" in account.left_out
    assert {key[:11] for key in account.missing} == {"tap_norms.0", "tap_norms.1", "tap_norms.2"}
    x = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        expected = theirs.swin(x).last_hidden_state
        torch.testing.assert_close(ours(x)[-1].flatten(2).mT, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (official_names, "official Swin"),
        (timm_names, "timm Swin"),
        (flat_timm_names, "timm Swin"),
        (detection_names, "official Swin under 'backbone.'"),
        (nn.Module.state_dict, "the encoder's own names"),
    ],
)
def test_other_layouts_give_the_same_maps(names, title):
    source, ours = randomised(nano()), nano()
    account = load(ours, names(source))
    assert account.layout == title
    x = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        first = 0 if account.missing == () else 3
        for found, expected in list(zip(ours(x), source(x), strict=True))[first:]:
            assert torch.equal(found, expected)


def test_tables_of_another_window_are_resized_and_that_is_said():
    source, ours = randomised(nano(window=7)), nano(window=4)
    account = load(ours, official_names(source))
    assert len(account.resized) == sum(name.endswith("bias_table") for name in ours.state_dict()) == 10
    assert set(account.resized.values()) == {"window 7 to 4"}


def test_downsampling_weights_that_neither_layout_explains_are_refused():
    state = official_names(nano())
    state["layers.7.downsample.norm.weight"] = torch.ones(1)
    with pytest.raises(DataError, match=r"layers\.7\.downsample"):
        load(nano(), state)


def test_another_architecture_is_refused():
    with pytest.raises(DataError, match="of another shape"):
        load(nano(), official_names(Swin(SIZE, arch="tiny")))
