"""Key layouts of Swin transformers: official (and the detection code's), both of timm, and Hugging Face."""

from __future__ import annotations

import re

from mtlbench.encoders.weights.layout import OWN, Layout, Resize, Rule
from mtlbench.encoders.weights.resize import resize_bias_table

__all__ = ["swin_layouts"]

_HEAD = "classifier"
_DERIVED = "follows from the architecture"
_OTHER_NORM = "no map here has this norm"
_BLOCK = r"((?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.(?:weight|bias)|attn\.relative_position_bias_table)"
_MERGING = r"((?:norm|reduction)\.(?:weight|bias))"
_HF_BLOCK = r"(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\."
_HF_IN_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": r"attention\.(?:output\.dense|o_proj)",
    "mlp.fc1": r"(?:intermediate\.dense|mlp\.fc1)",
    "mlp.fc2": r"(?:output\.dense|mlp\.fc2)",
}
_HF_QKV = (
    r"attention\.(?:self\.query|q_proj)",
    r"attention\.(?:self\.key|k_proj)",
    r"attention\.(?:self\.value|v_proj)",
)


def swin_layouts(taps: int, *, before_merging: bool = True) -> tuple[Layout, ...]:
    """What `Swin` can read.

    The final norm of a published classifier becomes the norm of the last tap; norms of the other taps come from files
    that have them (detection, Hugging Face backbones), and keep their start values (scale 1, shift 0) otherwise. Norms
    that the encoder lacks, or that are of other maps than its own, are left out.

    Args:
        taps: feature maps of the encoder.
        before_merging: whether they are taken where files take them; otherwise the last alone is the same.
    """
    last = f"tap_norms.{taps - 1}"
    earlier = tuple(rf"tap_norms\.{i}\.(?:weight|bias)" for i in range(taps - 1))
    resize = ((r".+\.relative_position_bias_table", resize_bias_table),)
    stem = Rule(r"(patch_embed\.(?:proj|norm)\.(?:weight|bias))", r"\1")
    blocks = Rule(rf"layers[._](\d+)\.blocks\.(\d+)\.{_BLOCK}", r"layers.\1.blocks.\2.\3")
    same = range(0 if before_merging else taps - 1, taps)
    norms = (
        Rule(r"norm\.(weight|bias)", rf"{last}.\1"),
        Rule(rf"norm({_one_of(same)})\.(weight|bias)", r"tap_norms.\1.\2"),
    )
    derived = (r".+\.(?:relative_position_index|attn_mask)", _DERIVED)
    left_out = (
        derived,
        (r"head\..+", _HEAD),
        ("mask_token", "masked pre-training"),
        (rf"norm(?:{_one_of(range(taps))})?\.(?:weight|bias)", _OTHER_NORM),
    )
    official = Layout(
        "official Swin",
        (stem, blocks, Rule(rf"layers\.(\d+)\.downsample\.{_MERGING}", r"layers.\1.downsample.\2"), *norms),
        left_out,
        earlier,
        resize,
    )
    timm = Layout(
        "timm Swin",
        (stem, blocks, Rule(rf"layers[._](\d+)\.downsample\.{_MERGING}", _one_layer_earlier), *norms),
        left_out,
        earlier,
        resize,
    )
    own = Layout(OWN.name, OWN.rules, resize=resize)
    return own, official, timm, *_hugging_face(taps, same, earlier, resize)


def _one_of(taps: range, first: int = 0) -> str:
    """A pattern of the numbers of these taps, where the first tap has the number `first`."""
    return "|".join(str(first + i) for i in taps)


def _one_layer_earlier(match: re.Match[str]) -> str:
    """Since timm 0.9 a layer begins with the merging that ends the layer before it elsewhere."""
    return f"layers.{int(match[1]) - 1}.downsample.{match[2]}"


def _hugging_face(
    taps: int, same: range, earlier: tuple[str, ...], resize: tuple[tuple[str, Resize], ...]
) -> tuple[Layout, Layout]:
    """Of classifiers, whose norm is that of the last tap, and of backbones, which have a norm for each tap.

    Args:
        taps: feature maps of the encoder.
        same: those taken where a backbone takes them.
        earlier: patterns of the norms of all taps but the last.
        resize: as `Layout` takes it.
    """
    rules = (
        Rule(r"(?:swin\.)?embeddings\.patch_embeddings\.projection\.(weight|bias)", r"patch_embed.proj.\1"),
        Rule(r"(?:swin\.)?embeddings\.norm\.(weight|bias)", r"patch_embed.norm.\1"),
        Rule(rf"(?:swin\.)?encoder\.layers\.(\d+)\.downsample\.{_MERGING}", r"layers.\1.downsample.\2"),
        Rule(
            rf"{_HF_BLOCK}attention\.(?:self|relative_position_bias)\.relative_position_bias_table",
            r"layers.\1.blocks.\2.attn.relative_position_bias_table",
        ),
        *(
            Rule(rf"{_HF_BLOCK}{theirs}\.(weight|bias)", rf"layers.\1.blocks.\2.{ours}.\3")
            for ours, theirs in _HF_IN_BLOCK.items()
        ),
        *(
            Rule(rf"{_HF_BLOCK}{theirs}\.(weight|bias)", r"layers.\1.blocks.\2.attn.qkv.\3", part=i, parts=3)
            for i, theirs in enumerate(_HF_QKV)
        ),
    )
    norm = r"(?:swin\.)?layernorm\.(weight|bias)"
    left_out = (
        (r".+\.relative_position_index", _DERIVED),
        (r"classifier\..+", _HEAD),
        (r".*embeddings\.mask_token", "masked pre-training"),
    )
    classifier = Layout(
        "Hugging Face Swin",
        (*rules, Rule(norm, rf"tap_norms.{taps - 1}.\1")),
        (*left_out, (norm, _OTHER_NORM)),
        earlier,
        resize,
    )
    backbone = Layout(
        "Hugging Face Swin backbone",
        (
            *rules,
            Rule(rf"hidden_states_norms\.stage({_one_of(same, first=1)})\.(weight|bias)", _tap_of_stage),
        ),
        (
            *left_out,
            (norm, "a backbone does not use it"),
            (rf"hidden_states_norms\.stage(?:{_one_of(range(taps), first=1)})\..+", _OTHER_NORM),
        ),
        earlier if len(same) < taps else (),
        resize,
    )
    return classifier, backbone


def _tap_of_stage(match: re.Match[str]) -> str:
    return f"tap_norms.{int(match[1]) - 1}.{match[2]}"
