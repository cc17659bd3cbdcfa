"""Key layouts of plain vision transformers: timm (also DeiT, AugReg, DINO) and Hugging Face."""

from __future__ import annotations

from mtlbench.encoders.weights.layout import OWN, Layout, Rule
from mtlbench.encoders.weights.resize import resize_position_embedding

__all__ = ["vit_layouts"]

_HEAD = "classifier"
_DISTILLATION = "distillation"
_OWN_BLOCK = r"(blocks\.\d+\.(?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.(?:weight|bias))"
_HF_BLOCK = r"(?:encoder\.layer|layers)\.(\d+)\."
_HF_IN_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": r"attention\.(?:output\.dense|o_proj)",
    "mlp.fc1": r"(?:intermediate\.dense|mlp\.fc1)",
    "mlp.fc2": r"(?:output\.dense|mlp\.fc2)",
}
_HF_QKV = (
    r"attention\.(?:attention\.query|q_proj)",
    r"attention\.(?:attention\.key|k_proj)",
    r"attention\.(?:attention\.value|v_proj)",
)


def vit_layouts(taps: int, grid: tuple[int, int]) -> tuple[Layout, ...]:
    """What `ViT` can read.

    The final norm of a published network becomes the norm of the last tap; the norms of the other taps have no
    counterpart and keep their start values (scale 1, shift 0).

    Args:
        taps: feature maps of the encoder.
        grid: (height, width) in patches.
    """
    last = f"tap_norms.{taps - 1}"
    earlier = tuple(rf"tap_norms\.{i}\.(?:weight|bias)" for i in range(taps - 1))
    resize = (("pos_embed", resize_position_embedding(grid)),)
    timm = Layout(
        "timm ViT",
        (
            Rule("(cls_token|pos_embed)", r"\1"),
            Rule(r"patch_embed\.proj\.(weight|bias)", r"patch_embed.\1"),
            Rule(_OWN_BLOCK, r"\1"),
            Rule(r"norm\.(weight|bias)", rf"{last}.\1"),
        ),
        ((r"(?:head|pre_logits\.fc)\.(?:weight|bias)", _HEAD), (r"dist_token|head_dist\..+", _DISTILLATION)),
        earlier,
        resize,
    )
    hugging_face = Layout(
        "Hugging Face ViT",
        (
            Rule(r"embeddings\.cls_token", "cls_token"),
            Rule(r"embeddings\.position_embeddings", "pos_embed"),
            Rule(r"embeddings\.patch_embeddings\.projection\.(weight|bias)", r"patch_embed.\1"),
            Rule(r"layernorm\.(weight|bias)", rf"{last}.\1"),
            *(
                Rule(rf"{_HF_BLOCK}{theirs}\.(weight|bias)", rf"blocks.\1.{ours}.\2")
                for ours, theirs in _HF_IN_BLOCK.items()
            ),
            *(
                Rule(rf"{_HF_BLOCK}{theirs}\.(weight|bias)", r"blocks.\1.attn.qkv.\2", part=i, parts=3)
                for i, theirs in enumerate(_HF_QKV)
            ),
        ),
        (
            (r"(?:pooler|classifier|cls_classifier)\..+", _HEAD),
            (r"embeddings\.mask_token", "masked pre-training"),
            (r"embeddings\.distillation_token|distillation_classifier\..+", _DISTILLATION),
        ),
        earlier,
        resize,
    )
    own = Layout(OWN.name, OWN.rules, resize=resize)
    return own, timm, hugging_face
