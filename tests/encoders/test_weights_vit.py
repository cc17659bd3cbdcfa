from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import (
    DeiTConfig,
    DeiTForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from mtlbench.encoders.vit import ViT
from mtlbench.encoders.weights import Checkpoint, fit_weights
from mtlbench.encoders.weights.resize import resize_bias_table, resize_position_embedding
from mtlbench.errors import DataError

ARCHS = {"nano": (96, 6, 3), "tiny": (192, 12, 3)}
NANO = {"arch": "nano", "patch": 8}


def config(arch, size, patch, kind=ViTConfig):
    dim, depth, heads = ARCHS[arch]
    return kind(
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        image_size=list(size),
        patch_size=patch,
    )


def randomised(model):
    """Move every parameter away from 0 and 1, so that a forgotten one shows."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.trunc_normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return model.eval()


def load(encoder, state):
    account = fit_weights(encoder, Checkpoint(Path("file"), state), "0" * 64, "vit", encoder.layouts())
    encoder.eval()
    return account


def published_names(state):
    """The spelling of checkpoints on the Hub, written by transformers before version 5."""
    spelling = {
        "layers.": "encoder.layer.",
        "attention.q_proj": "attention.attention.query",
        "attention.k_proj": "attention.attention.key",
        "attention.v_proj": "attention.attention.value",
        "attention.o_proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    renamed = {}
    for key, value in state.items():
        for new, old in spelling.items():
            key = key.replace(new, old)  # noqa: PLW2901  # a chain of replacements
        renamed[key] = value
    return renamed


def timm_names(vit):
    """The state of an encoder as timm names it, with a classifier."""
    renamed = {"head.weight": torch.zeros(10, vit.dim), "head.bias": torch.zeros(10)}
    last = f"tap_norms.{len(vit.channels) - 1}."
    for key, value in vit.state_dict().items():
        if key.startswith("patch_embed."):
            renamed[key.replace("patch_embed.", "patch_embed.proj.")] = value
        elif key.startswith(last):
            renamed[key.replace(last, "norm.")] = value
        elif not key.startswith("tap_norms."):
            renamed[key] = value
    return renamed


def assert_equal_to(ours, theirs, x):
    """All blocks that are tapped, and the last map behind its norm."""
    with torch.no_grad():
        expected = theirs(x, output_hidden_states=True)
        tokens = ours.embed(x)
        torch.testing.assert_close(tokens, expected.hidden_states[0], rtol=1e-4, atol=1e-4)
        for i, block in enumerate(ours.blocks):
            tokens = block(tokens)
            if i in ours.tap_blocks:
                torch.testing.assert_close(tokens, expected.hidden_states[i + 1], rtol=1e-4, atol=1e-4)
        last = ours(x)[-1].flatten(2).mT
    torch.testing.assert_close(last, expected.last_hidden_state[:, 1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spelling", [dict, published_names])
@pytest.mark.parametrize(
    ("arch", "size", "patch"), [("nano", (48, 48), 8), ("nano", (32, 80), 8), ("tiny", (64, 96), 16)]
)
def test_ours_equals_transformers(arch, size, patch, spelling):
    theirs = randomised(ViTModel(config(arch, size, patch)))
    ours = ViT(size, arch=arch, patch=patch)
    account = load(ours, spelling(theirs.state_dict()))
    assert account.layout == "Hugging Face ViT"
    assert set(account.missing) == {f"tap_norms.{i}.{name}" for i in range(3) for name in ("weight", "bias")}
    assert set(account.left_out) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert_equal_to(ours, theirs, torch.randn(2, 3, *size))


@pytest.mark.parametrize("spelling", [dict, published_names])
def test_a_classifier_around_it_is_left_out(spelling):
    theirs = randomised(ViTForImageClassification(config("nano", (32, 32), 8)))
    ours = ViT((32, 32), **NANO)
    account = load(ours, spelling(theirs.state_dict()))
    assert account.layout.endswith("under 'vit.'")
    assert set(account.left_out) == {"classifier.weight", "classifier.bias"}
    assert_equal_to(ours, theirs.vit, torch.randn(2, 3, 32, 32))


def test_a_distilled_network_loses_its_distillation_token():
    theirs = DeiTForImageClassification(config("nano", (32, 32), 8, DeiTConfig)).state_dict()
    ours = ViT((32, 32), **NANO)
    account = load(ours, theirs)
    assert "distillation token" in account.resized["pos_embed"]
    assert any("distillation_token" in key for key in account.left_out)
    position = theirs["deit.embeddings.position_embeddings"]
    assert torch.equal(ours.pos_embed, torch.cat((position[:, :1], position[:, 2:]), dim=1))


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "encoder.", "backbone.", "module.backbone.", "state.net."]
)
def test_timm_names_under_any_prefix(prefix):
    source = randomised(ViT((32, 48), **NANO))
    others = {"decode_head.conv.weight": torch.zeros(3)} if prefix else {}
    state = {prefix + key: value for key, value in timm_names(source).items()} | others
    ours = ViT((32, 48), **NANO)
    account = load(ours, state)
    assert account.layout == "timm ViT" + (f" under {prefix!r}" if prefix else "")
    assert set(account.left_out) == {f"{prefix}head.weight", f"{prefix}head.bias", *others}
    with torch.no_grad():
        x = torch.randn(1, 3, 32, 48)
        assert torch.equal(ours(x)[-1], source(x)[-1])


def test_what_mtlbench_writes_can_be_read():
    source = randomised(ViT((32, 48), **NANO))
    state = {f"encoder.{key}": value for key, value in source.state_dict().items()}
    ours = ViT((32, 48), **NANO)
    account = load(ours, state | {"heads.depth.predict.weight": torch.zeros(1)})
    assert account.missing == ()
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in ours.state_dict().items())


def test_a_position_embedding_of_another_size_is_resized_and_that_is_said():
    source = randomised(ViT((48, 48), **NANO))
    ours = ViT((32, 80), **NANO)
    account = load(ours, timm_names(source))
    assert account.resized == {"pos_embed": "6x6 to 4x10 patches"}
    assert torch.equal(ours.pos_embed[:, 0], source.pos_embed[:, 0])
    expected = pillow(source.pos_embed[0, 1:].detach(), (6, 6), (4, 10))
    torch.testing.assert_close(ours.pos_embed[0, 1:].detach(), expected, rtol=1e-4, atol=1e-5)


def test_a_position_embedding_that_is_no_square_cannot_be_resized():
    with pytest.raises(DataError, match=r"pos_embed is \[1, 25, 96\], not \[1, 17, 96\]"):
        load(ViT((32, 32), **NANO), timm_names(ViT((32, 48), **NANO)))


def pillow(values, old, new):
    """Antialiased bicubic resizing by another library, channel by channel."""
    grids = values.T.reshape(-1, *old).numpy()
    resized = [
        np.asarray(Image.fromarray(grid, mode="F").resize(new[::-1], Image.Resampling.BICUBIC))
        for grid in grids
    ]
    return torch.from_numpy(np.stack(resized)).flatten(1).T


@pytest.mark.parametrize(("old", "new"), [(7, 12), (12, 7), (7, 4)])
def test_bias_tables_are_resized_as_pictures(old, new):
    table = torch.randn((2 * old - 1) ** 2, 3)
    fitted, how = resize_bias_table(table, ((2 * new - 1) ** 2, 3))
    assert how == f"window {old} to {new}"
    expected = pillow(table, (2 * old - 1,) * 2, (2 * new - 1,) * 2)
    torch.testing.assert_close(fitted, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_resized():
    assert resize_bias_table(torch.zeros(9, 3), (25, 4)) is None
    assert resize_bias_table(torch.zeros(10, 3), (25, 3)) is None
    fit = resize_position_embedding((2, 2))
    assert fit(torch.zeros(1, 10, 8), (1, 5, 9)) is None
    assert fit(torch.zeros(1, 9, 8), (1, 5, 8)) is None
    assert fit(torch.zeros(10, 8), (1, 5, 8)) is None
