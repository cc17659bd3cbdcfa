from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification, ViTModel

from mtlbench.encoders.hf_vit_keys import from_hf_vit
from mtlbench.encoders.vit import ViT
from mtlbench.errors import DataError

ARCHS = {"nano": (96, 6, 3), "tiny": (192, 12, 3)}


def config(arch, size, patch):
    dim, depth, heads = ARCHS[arch]
    return ViTConfig(
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


def load(vit, state):
    missing, unexpected = vit.load_state_dict(from_hf_vit(state, len(vit.channels)), strict=False)
    assert unexpected == []
    earlier = range(len(vit.channels) - 1)
    assert set(missing) == {f"tap_norms.{i}.{name}" for i in earlier for name in ("weight", "bias")}
    return vit.eval()


@pytest.mark.parametrize(
    ("arch", "size", "patch"),
    [("nano", (48, 48), 8), ("nano", (32, 80), 8), ("tiny", (64, 96), 16), ("tiny", (224, 224), 16)],
)
def test_ours_equals_transformers(arch, size, patch):
    theirs = randomised(ViTModel(config(arch, size, patch)))
    ours = load(ViT(size, arch=arch, patch=patch), theirs.state_dict())
    x = torch.randn(2, 3, *size)
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


def test_both_spellings_and_a_classifier_around_it_give_the_same():
    model = randomised(ViTForImageClassification(config("nano", (32, 32), 8)))
    inner = randomised(ViTModel(config("nano", (32, 32), 8)))
    model.vit.load_state_dict(inner.state_dict(), strict=False)
    expected = from_hf_vit(inner.state_dict(), 4)
    published = published_names(inner.state_dict())
    assert any(key.startswith("encoder.layer.5.attention.attention.query") for key in published)
    for state in (model.state_dict(), published):
        found = from_hf_vit(state, 4)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_unknown_and_missing_keys_are_refused():
    state = ViTModel(config("nano", (32, 32), 8)).state_dict()
    with pytest.raises(DataError, match="distillation"):
        from_hf_vit({**state, "embeddings.distillation_token": torch.zeros(1)}, 4)
    with pytest.raises(DataError, match="no weight of a ViT"):
        from_hf_vit({**state, "layers.0.attention.gate.weight": torch.zeros(1)}, 4)
    del state["layers.2.attention.k_proj.bias"]
    with pytest.raises(DataError, match=r"blocks\.2\.attn\.qkv\.bias"):
        from_hf_vit(state, 4)
