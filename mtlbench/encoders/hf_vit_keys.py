"""Weights of a Hugging Face ViT under the names of `ViT`, every key accounted for.

Both spellings are known: that of published checkpoints (`encoder.layer.0.attention.attention.query`) and
that of transformers 5 modules (`layers.0.attention.q_proj`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mtlbench.errors import DataError

__all__ = ["from_hf_vit"]

_UNUSED = re.compile(r"(pooler|classifier)\.|embeddings\.mask_token$")
_LAYER = re.compile(r"(?:encoder\.layer|layers)\.(\d+)\.(.+)\.(weight|bias)$")

_TOP = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.bias",
}
_IN_BLOCK = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.o_proj": "attn.proj",
    "attention.output.dense": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "intermediate.dense": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "output.dense": "mlp.fc2",
}
_QKV = {
    "attention.q_proj": 0,
    "attention.attention.query": 0,
    "attention.k_proj": 1,
    "attention.attention.key": 1,
    "attention.v_proj": 2,
    "attention.attention.value": 2,
}


def from_hf_vit(state: Mapping[str, Tensor], taps: int) -> dict[str, Tensor]:
    """Rename the weights of a Hugging Face `ViTModel`, or of a model that holds one as `vit`.

    Pooler, classifier and mask token have no counterpart and are left out. The final norm becomes the norm
    of the last tap; the other taps' norms have no counterpart there, and keep their start values (scale 1,
    shift 0).

    Args:
        state: the state dictionary of the Hugging Face model.
        taps: feature maps of the `ViT` that will load the result.

    Returns:
        All of `ViT.state_dict()` but the norms of the taps before the last.

    Raises:
        DataError: a key that no ViT has, or a projection without its two companions.
    """
    renamed: dict[str, Tensor] = {}
    projections: dict[str, dict[int, Tensor]] = {}
    for full_key, value in state.items():
        key = full_key.removeprefix("vit.")
        layer = _LAYER.match(key)
        if _UNUSED.match(key):
            continue
        if key in _TOP:
            renamed[_TOP[key]] = value
        elif key in ("layernorm.weight", "layernorm.bias"):
            renamed[f"tap_norms.{taps - 1}.{key.removeprefix('layernorm.')}"] = value
        elif layer and layer[2] in _IN_BLOCK:
            renamed[f"blocks.{layer[1]}.{_IN_BLOCK[layer[2]]}.{layer[3]}"] = value
        elif layer and layer[2] in _QKV:
            projections.setdefault(f"blocks.{layer[1]}.attn.qkv.{layer[3]}", {})[_QKV[layer[2]]] = value
        else:
            raise DataError(f"{full_key!r} is no weight of a ViT", fix="Load a checkpoint of model_type vit")
    for name, parts in projections.items():
        if len(parts) != 3:
            raise DataError(f"{name!r} lacks a part: found {len(parts)} of query, key and value")
        renamed[name] = torch.cat([parts[0], parts[1], parts[2]])
    return renamed
